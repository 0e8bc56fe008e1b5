"""Command `scene`: a test scene as a GeoTIFF."""

import argparse
from pathlib import Path

from ground.products import geotiff
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.commands.commandline import Commands


def add_scene_command(commands: Commands) -> None:
    """Add `scene`."""
    scene = commands.add_parser(
        "scene",
        help="write a test scene: the real spyndex one, or a procedural one",
        epilog="example: python -m ground scene spyndex -o scene.tif",
    )
    scene.add_argument("name", choices=("spyndex", "procedural"))
    scene.add_argument("-o", "--output", type=Path, required=True, help="GeoTIFF to write")
    scene.add_argument("--seed", type=int, default=0)
    scene.add_argument("--rows", type=int, default=512)
    scene.add_argument("--cols", type=int, default=512)
    scene.set_defaults(run=_scene)


def _scene(arguments: argparse.Namespace) -> int:
    if arguments.name == "spyndex":
        scene = spyndex_scene()
    else:
        scene = procedural(arguments.seed, arguments.rows, arguments.cols)
    geotiff.write(arguments.output, scene)
    bands, rows, cols = scene.image.shape
    print(f"{arguments.output}: {bands} bands, {rows} x {cols}, {scene.image.dtype}")
    return 0
