"""Commands `upsets` and `fuzz`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.codecs.skybook import BUNDLE
from benchmarks.faults.fuzz.run import CORPUS, fuzz
from benchmarks.faults.fuzz.targets import PARSERS
from benchmarks.faults.report import fuzz_text, running_text, upsets_text
from benchmarks.faults.running import METHOD, measure_running
from benchmarks.faults.upsets import measure_upsets
from onboard.commands.commandline import Commands, add_json_option, print_result

FLIPS, RUNNING_FLIPS, QUICK_FLIPS = 1_000, 2_000, 100


def _upsets(arguments: argparse.Namespace) -> int:
    if arguments.c:
        return _running(arguments)
    flips = _flips(arguments, FLIPS)
    with Console(stderr=True).status("starting") as status:
        found = measure_upsets(arguments.bundle, flips, arguments.seed, status.update)
    print_result(found, upsets_text(found), arguments.json)
    return int(found["found_in_memory"] < found["flips"])


def _running(arguments: argparse.Namespace) -> int:
    flips = _flips(arguments, RUNNING_FLIPS)
    with Console(stderr=True).status("starting") as status:
        found = measure_running(
            arguments.bundle,
            flips,
            arguments.seed,
            arguments.trellis,
            status.update,
            bound=arguments.max_error,
        )
    print_result(found, running_text(found), arguments.json)
    return int(found["constants_silent_percent"] > 0)


def _flips(arguments: argparse.Namespace, usual: int) -> int:
    if arguments.flips is not None:
        return int(arguments.flips)
    return QUICK_FLIPS if arguments.quick else usual


def _fuzz(arguments: argparse.Namespace) -> int:
    seconds = None if arguments.executions is not None else 60 * arguments.minutes
    names = list(dict.fromkeys(arguments.parser or PARSERS))
    with Console(stderr=True).status("starting") as status:
        found = fuzz(
            names,
            arguments.corpus,
            arguments.output,
            arguments.executions,
            seconds,
            lambda name, executions: status.update(f"{name}: {executions}"),
        )
    print_result(found, fuzz_text(found, arguments.output), arguments.json)
    return 1 if found["crashes"] or found["hangs"] else 0


def add_upsets(commands: Commands) -> None:
    """Add `upsets`."""
    upsets = commands.add_parser(
        "upsets",
        help="flipped bits of a model in memory, and how many are found",
        description="Exit code 1 if a bit flipped in the bundle's bytes or arrays, or with --c in "
        "the constants of the C encoder, is missed.",
        epilog=f"example: python -m benchmarks upsets --c --json upsets.json. With --c: {METHOD}.",
    )
    upsets.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    upsets.add_argument("--c", action="store_true", help="in the C encoder as it runs (needs cc)")
    upsets.add_argument("--trellis", action="store_true", help="with --c: along a trellis")
    bound = "with --c: within so many DN, in place of a ratio"
    upsets.add_argument("--max-error", type=int, metavar="D", help=bound)
    flips = f"of each kind; default: {FLIPS:,}, with --c {RUNNING_FLIPS:,} (some minutes)"
    upsets.add_argument("--flips", type=int, help=flips)
    upsets.add_argument("--quick", action="store_true", help=f"{QUICK_FLIPS} flips")
    upsets.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    add_json_option(upsets)
    upsets.set_defaults(run=_upsets)


def add_fuzz(commands: Commands) -> None:
    """Add `fuzz`."""
    parser = commands.add_parser(
        "fuzz",
        help="damaged and hostile input for every parser, guided by coverage",
        epilog="example: python -m benchmarks fuzz --minutes 10 --json fuzz.json",
    )
    parser.add_argument("--parser", action="append", choices=PARSERS, help="may be repeated")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=1.0, help="for each parser, default 1")
    length.add_argument("--executions", type=int, help="of each parser, instead")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of seeds, by parser")
    parser.add_argument(
        "--output", type=Path, default=Path("build/fuzz"), help="folder for what is found"
    )
    add_json_option(parser)
    parser.set_defaults(run=_fuzz)
