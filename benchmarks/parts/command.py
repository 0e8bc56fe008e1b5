"""Command `parts`."""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.parts.measure import FULL, QUICK, measure, text_of
from ground.scenes.spyndex import spyndex_scene
from onboard.commands.commandline import Commands, add_json_option, print_result


def add_parts(commands: Commands) -> None:
    """Add `parts`."""
    parts = commands.add_parser(
        "parts",
        help="time and bytes that a window and overviews of a large scene take, from an index",
        epilog="example: python -m benchmarks parts --json parts.json",
    )
    parts.add_argument(
        "--side", type=int, help=f"rows and columns of the scene (default {FULL.side})"
    )
    quick = f"a scene of {QUICK.side} pixels a side, {QUICK.runs} run"
    parts.add_argument("--quick", action="store_true", help=quick)
    add_json_option(parts)
    parts.set_defaults(run=_parts)


def _parts(arguments: argparse.Namespace) -> int:
    scale = QUICK if arguments.quick else FULL
    if arguments.side is not None:
        scale = replace(scale, side=arguments.side)
    with TemporaryDirectory() as folder, Console(stderr=True).status("starting") as status:
        found = measure(spyndex_scene(), scale, Path(folder), status.update)
    print_result(found, text_of(found), arguments.json)
    return 0
