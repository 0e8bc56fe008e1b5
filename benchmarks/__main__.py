"""Command line of the benchmarks: demo, rd, resources."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.demo import default_names, run_demo
from benchmarks.plots import write_plots
from benchmarks.ratedistortion import rate_distortion
from benchmarks.report import summary_table
from benchmarks.resources import QUICK_RUNS, RUNS, measure_resources, resources_text
from benchmarks.scenes import benchmark_scenes
from onboard.commandline import add_json_option, command_parser, print_result, run_command


def _demo(arguments: argparse.Namespace) -> int:
    result = run_demo(arguments.output, arguments.bundle or default_names())
    if arguments.json:
        print_result(result, "", arguments.json)
    print(f"\nPictures: {arguments.output}/*.png (original, decoded, error, mask)")
    return 0


def _rd(arguments: argparse.Namespace) -> int:
    console = Console(stderr=True)
    with console.status("starting") as status:
        document = rate_distortion(
            arguments.bundle or default_names(),
            lambda bands: benchmark_scenes(arguments.data, bands),
            lambda bundle, scene: status.update(f"{bundle}: {scene}"),
        )
    print_result(document, summary_table(document), arguments.json)
    if arguments.plots:
        write_plots(document, arguments.plots)
    return 0


def _resources(arguments: argparse.Namespace) -> int:
    runs = QUICK_RUNS if arguments.quick else RUNS
    with Console(stderr=True).status(f"{arguments.bundle}: {runs} runs"):
        found = measure_resources(arguments.bundle, runs)
    print_result(found, resources_text(found), arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("benchmarks", __doc__)
    demo = commands.add_parser(
        "demo",
        help="a real scene through all commands",
        epilog="example: python -m benchmarks demo --output demo",
    )
    demo.add_argument("--output", type=Path, default=Path("demo"), help="folder for what is made")
    rd = commands.add_parser(
        "rd",
        help="rate and distortion against JPEG 2000 and HTJ2K",
        epilog="example: python -m benchmarks rd --data FOLDER --json rd.json",
    )
    rd.add_argument("--data", type=Path, help="folder of GeoTIFFs; the spyndex scene is always in")
    rd.add_argument("--plots", type=Path, metavar="DIR", help="folder for plots (PNG)")
    for command, run in ((demo, _demo), (rd, _rd)):
        command.add_argument("--bundle", action="append", help="name or path; may be repeated")
        add_json_option(command)
        command.set_defaults(run=run)
    resources = commands.add_parser(
        "resources",
        help="speed and memory of the onboard chain, on one CPU and one thread",
        epilog="example: python -m benchmarks resources --bundle NAME --json resources.json",
    )
    resources.add_argument("--bundle", required=True, help="name or path of a model bundle")
    quick = f"{QUICK_RUNS} runs instead of {RUNS}"
    resources.add_argument("--quick", action="store_true", help=quick)
    add_json_option(resources)
    resources.set_defaults(run=_resources)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
