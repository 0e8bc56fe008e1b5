"""Commands `demo` and `rd`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.quality.demo import default_names, run_demo
from benchmarks.quality.measure import rate_distortion
from benchmarks.quality.plots import write_plots
from benchmarks.quality.report import summary_table
from benchmarks.scenes import benchmark_scenes
from onboard.commands.commandline import Commands, add_json_option, print_result


def add_demo_and_rd(commands: Commands) -> None:
    """Add `demo` and `rd`."""
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
    several = "name or path; may be repeated"
    learned = f"{several}; mixture: a learned codec, as are weights (.npz) of `learned`"
    for command, run, bundle in ((demo, _demo, several), (rd, _rd, learned)):
        command.add_argument("--bundle", action="append", help=bundle)
        add_json_option(command)
        command.set_defaults(run=run)


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
