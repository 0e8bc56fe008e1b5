"""What the command lines of all packages share: parser, results, exit codes."""

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from onboard.errors import LimitError, SkybookError
from onboard.outputs import open_whole, telling_room

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXIT_CODES = """\
exit codes: 0 ok, 1 internal, 2 usage, 3 bad input, 4 damaged or incomplete stream,
5 wrong or damaged bundle, 6 limit exceeded, 7 engine unavailable"""


def command_parser(
    package: str, description: str | None
) -> tuple[argparse.ArgumentParser, Commands]:
    """Return the parser of `python -m PACKAGE`, and what its commands are added to."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {package}",
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json [FILE]`."""
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="machine-readable result"
    )


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show how far long work is, on a terminal and where rich is installed; else stay quiet.

    Yields:
        Function to call with the text to show.
    """
    if sys.stderr.isatty() and find_spec("rich"):
        from rich.console import Console  # noqa: PLC0415 (not needed to fly)

        with Console(stderr=True).status(text) as status:
            yield status.update
    else:
        yield lambda _text: None


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show what part of long work is done, on a terminal and where rich is installed.

    Yields:
        Function to call with what is done and of how much, None if nobody knows.
    """
    if not (sys.stderr.isatty() and find_spec("rich")):
        yield lambda _done, _of: None
        return
    from rich.console import Console  # noqa: PLC0415 (not needed to fly)
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def warn(path: object, remarks: Sequence[str]) -> None:
    """Say what there is to remark on an input, in one line on stderr."""
    if remarks:
        print(f"warning: {path}: {'; '.join(remarks)}", file=sys.stderr)


def peak_rss_mb() -> float:
    """Return the peak resident memory of this process in MiB.

    Linux's own figure where there is one: `ru_maxrss` also counts the process that started us.
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_result(result: dict[str, Any], text: str, target: str | None) -> None:
    """Print text for people, or JSON to stdout or to the file that `--json` names."""
    document = json.dumps({"schema": 1, "skybook": version("skybook"), **result}, indent=2)
    with telling_room("stdout"):
        print(document if target == "-" else text, flush=True)
    if target not in (None, "-"):
        with open_whole(Path(target)) as file:
            file.write(document.encode() + b"\n")


def _run(arguments: argparse.Namespace) -> int:
    """Run a command; what stdout does not take is an error, and is dropped."""
    try:
        code: int = arguments.run(arguments)
        with telling_room("stdout"):
            sys.stdout.flush()
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # else Python tries again, and fails, when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn errors into one line on stderr and an exit code."""
    arguments = parser.parse_args(argv)
    try:
        code = _run(arguments)
    except SkybookError as error:
        print(f"error {error.code}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"error {SkybookError.code}: {error}", file=sys.stderr)
        return SkybookError.exit_code
    except MemoryError:
        print(f"error {LimitError.code}: out of memory", file=sys.stderr)
        return LimitError.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        print(f"error {SkybookError.code}: internal: {error!r}", file=sys.stderr)
        return SkybookError.exit_code
    return code
