"""Command `cfdp`."""

import argparse

from rich.console import Console

from benchmarks.cfdp.measure import measure_cfdp
from benchmarks.cfdp.report import cfdp_text
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError


def _cfdp(arguments: argparse.Namespace) -> int:
    if arguments.transfers < 1 or arguments.first < 0:
        raise UsageError("--transfers, --first: expected at least 1 and 0")
    seeds = range(arguments.first, arguments.first + arguments.transfers)
    with Console(stderr=True).status("starting") as status:
        found = measure_cfdp(seeds, status.update)
    print_result(found, cfdp_text(found), arguments.json)
    return int(bool(found["stalled"] or found["wrong"] or found["undelivered"]))


def add_cfdp(commands: Commands) -> None:
    """Add `cfdp`."""
    parser = commands.add_parser(
        "cfdp",
        help="files from cfdp-py over links that lose PDUs, and passes that end",
        description="Class 2, 0 to 50 % of the PDUs lost each way, and the first metadata, ends of "
        "file, acknowledgements, NAKs or Finished; in simulated time. Exit code 1 if a transfer "
        "stalls, or its file is wrong.",
        epilog="example: python -m benchmarks cfdp --transfers 1000 --json cfdp.json",
    )
    parser.add_argument("--transfers", type=int, default=1_000, help="default: %(default)s")
    parser.add_argument("--first", type=int, default=0, help="number of the first (%(default)s)")
    add_json_option(parser)
    parser.set_defaults(run=_cfdp)
