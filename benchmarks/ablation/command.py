"""Command `ablation`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.ablation.measure import run_ablation
from benchmarks.ablation.report import ablation_text
from benchmarks.codecs.skybook import BUNDLE
from benchmarks.scenes import benchmark_scenes
from onboard.commands.commandline import Commands, add_json_option, print_result


def _ablation(arguments: argparse.Namespace) -> int:
    with Console(stderr=True).status("starting") as status:
        found = run_ablation(
            BUNDLE,
            lambda bands: benchmark_scenes(arguments.data, bands),
            arguments.train,
            status.update,
        )
    print_result(found, ablation_text(found), arguments.json)
    return 0


def add_ablation(commands: Commands) -> None:
    """Add `ablation`."""
    ablation = commands.add_parser(
        "ablation",
        help="what each part of the flagship codec is worth",
        description="Changes one part at a time, fits the tables again, and measures real streams.",
        epilog="example: python -m benchmarks ablation --data FOLDER --train OTHER_FOLDER",
    )
    ablation.add_argument("--data", type=Path, help="GeoTIFFs; the spyndex scene is always in")
    training = "GeoTIFFs that tables are fitted to; default: procedural, a quarter of spyndex"
    ablation.add_argument("--train", type=Path, metavar="DIR", help=training)
    add_json_option(ablation)
    ablation.set_defaults(run=_ablation)
