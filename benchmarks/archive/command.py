"""Command `ground`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.archive.measure import measure_ground
from benchmarks.archive.report import ground_text, plot_ground
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError


def _ground(arguments: argparse.Namespace) -> int:
    workers = sorted({1, *arguments.workers})
    if workers[0] < 1 or arguments.scenes < 2 or arguments.side < 64:
        raise UsageError("--workers, --scenes, --side: expected at least 1, 2 and 64")
    with Console(stderr=True).status("starting") as status:
        found = measure_ground(workers, arguments.scenes, arguments.side, status.update)
    print_result(found, ground_text(found), arguments.json)
    if arguments.plot:
        plot_ground(found, arguments.plot)
    return 0


def add_ground(commands: Commands) -> None:
    """Add `ground`."""
    parser = commands.add_parser(
        "ground",
        help="how `ground batch` scales with its workers (skybook[cluster])",
        epilog="example: python -m benchmarks ground --workers 2 4 --plot x.png --json ground.json",
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="besides one (2)")
    parser.add_argument("--scenes", type=int, default=24, help="default: %(default)s")
    parser.add_argument("--side", type=int, default=1_024, help="rows and columns (%(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot of the speeds (PNG)")
    add_json_option(parser)
    parser.set_defaults(run=_ground)
