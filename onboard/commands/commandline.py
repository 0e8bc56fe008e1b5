"""What the command lines of all packages share: parser, results, exit codes."""

import argparse
import errno
import json
import os
import resource
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from onboard.errors import LimitError, SkybookError, UsageError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

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


def refuse_overwriting(
    outputs: Mapping[str, Path | str | None], inputs: Iterable[Path | str | None]
) -> None:
    """Refuse an output that is an input, by whatever name or link, or another output.

    Inputs are mapped, and would be lost.

    Args:
        outputs: files to write, by the options that name them; None and "-" are no files.
        inputs: files to read, which need not exist; None is no file, "-" is stdin.

    Raises:
        UsageError: naming the option, the output and what it is already.
    """
    taken: dict[Path | tuple[int, int], str] = {}
    for path in inputs:
        if path is not None and (found := _file_of(path)):
            taken[found] = f"the input {path}"
    for option, output in outputs.items():
        if output is None or str(output) == "-":
            continue
        place = _file_of(output) or Path(output).resolve()
        if place in taken:
            raise UsageError(
                f"{option} {output}: is {taken[place]}, expected another place to write to"
            )
        if not (isinstance(place, Path) and place.exists()):  # a device loses nothing
            taken[place] = f"the output of {option}"


def _file_of(path: Path | str) -> tuple[int, int] | None:
    """Return device and inode of a regular file, "-" for stdin; None if there is none."""
    try:
        found = os.fstat(0) if str(path) == "-" else os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def warn(path: object, remarks: Sequence[str]) -> None:
    """Say what there is to remark on an input, in one line on stderr."""
    if remarks:
        print(f"warning: {path}: {'; '.join(remarks)}", file=sys.stderr)


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Open a file that grows under its own name: what was written stays.

    Raises:
        UsageError: it cannot be created, or there is no more room for it.
    """
    file = _create(path)
    with telling_room(path), file:
        yield file


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is of no use unless it is whole: it is removed where writing fails.

    Raises:
        UsageError: it cannot be created, or there is not enough room for it.
    """
    file = _create(path)
    with telling_room(path), removed_unless_whole(path), file:
        yield file


def _create(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error


@contextmanager
def telling_room(path: Path) -> Iterator[None]:
    """Name the file for which there is no more room.

    Raises:
        UsageError: disk, quota or limit of a file's size is used up.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error


@contextmanager
def removed_unless_whole(path: Path) -> Iterator[None]:
    """Remove a file, unless it is a device, if anything fails."""
    try:
        yield
    except BaseException:
        if path.is_file():
            path.resolve().unlink(missing_ok=True)
        raise


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
    if target is None:
        print(text)
        return
    document = json.dumps({"schema": 1, "skybook": version("skybook"), **result}, indent=2)
    if target == "-":
        print(document)
    else:
        print(text)
        with open_whole(Path(target)) as file:
            file.write(document.encode() + b"\n")


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn errors into one line on stderr and an exit code."""
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except SkybookError as error:
        print(f"error {error.code}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
