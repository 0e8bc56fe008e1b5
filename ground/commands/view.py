"""Command `view`: what came down, on a local page, beside the original where there is one."""

import argparse
from pathlib import Path

from ground.commands.convert import add_picture_options
from ground.commands.serve import add_server_options, choice_of, run_server
from ground.products.extra import library
from ground.products.geotiff import read
from onboard.commands.commandline import Commands, add_json_option

_EXAMPLES = """\
examples:
  python -m ground view passes/
  python -m ground view pass.pkt --original scene.tif"""


def add_view_command(commands: Commands) -> None:
    """Add `view`."""
    view = commands.add_parser(
        "view",
        help="look at what came down, on a local page",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    view.add_argument("input", type=Path, help="recording (.sky, .pkt), Zarr, or folder of them")
    view.add_argument("--original", type=Path, help="raster to hold scenes of its size against")
    add_server_options(view, port=8090)
    add_picture_options(view)
    add_json_option(view)
    view.set_defaults(run=_view)


def _view(arguments: argparse.Namespace) -> int:
    choice = choice_of(arguments)
    served = library("ground.serve.library").Library.of(
        arguments.input, choice, arguments.cache_mb << 20
    )
    path = arguments.original
    original = None if path is None else read(path, arguments.max_pixels)
    viewer = library("ground.viewer.requests").Viewer.of(served, original)
    return run_server(viewer.answer, arguments)
