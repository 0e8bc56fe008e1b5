"""Commands `serve` and `view`: recordings as tiles for GDAL and QGIS, and as a page; on demand."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from ground.commands.options import add_headless_options, add_picture_options, given_choice
from ground.products.extra import library
from ground.products.geotiff import read
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.stop import Stop
from onboard.errors import UsageError

if TYPE_CHECKING:
    from ground.serve.server import Reply

_SERVE = """\
examples:
  python -m ground serve passes/ --port 8080
  gdalinfo http://127.0.0.1:8080/pass.pkt/scene.vrt
  gdal_translate http://127.0.0.1:8080/pass.pkt/gdal.xml scene.tif"""
_VIEW = """\
examples:
  python -m ground view passes/
  python -m ground view pass.pkt --original scene.tif"""


def add_serve_command(commands: Commands) -> None:
    """Add `serve`."""
    told = "serve streams and Zarrs as tiles over HTTP, for GDAL, QGIS and browsers"
    _add(commands, "serve", told, _SERVE, 8080, _serve)


def add_view_command(commands: Commands) -> None:
    """Add `view`."""
    view = _add(commands, "view", "look at what came down, on a local page", _VIEW, 8090, _view)
    view.add_argument("--original", type=Path, help="raster to hold scenes of its size against")
    add_headless_options(view)


def _add(
    commands: Commands,
    name: str,
    told: str,
    examples: str,
    port: int,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add a command that listens."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=told, epilog=examples, formatter_class=raw)
    parser.add_argument("input", type=Path, help="recording (.sky, .pkt), Zarr, or folder of them")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=port, help=f"TCP port, 0 for any ({port})")
    parser.add_argument("--cache-mb", type=int, default=256, help="memory for tiles (256)")
    add_picture_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)
    return parser


def _served(arguments: argparse.Namespace, **headless: int | None) -> Any:
    """Return what is served, a `ground.serve.library.Library`.

    Args:
        arguments: of the command line.
        headless: what is taken of scenes whose headers did not arrive, as `Choice` names it.
    """
    if not 1 <= arguments.cache_mb <= 1 << 20:
        raise UsageError(f"--cache-mb: expected 1..{1 << 20}, found {arguments.cache_mb}")
    choice = given_choice(arguments, **headless)
    kept = arguments.cache_mb << 20
    return library("ground.serve.library").Library.of(arguments.input, choice, kept)


def _answer(reply: "Reply", arguments: argparse.Namespace) -> int:
    """Answer requests until the process is told to stop."""
    with (
        library("ground.serve.server").Server(reply, arguments.host, arguments.port) as server,
        Stop() as stop,
    ):
        text = f"{arguments.input}: at {server.url}/ until SIGTERM or Ctrl-C"
        print_result({"url": f"{server.url}/"}, text, arguments.json)
        Thread(target=server.serve_forever, daemon=True).start()
        stop.wait()
        server.shutdown()
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    served = _served(arguments)
    return _answer(partial(library("ground.serve.requests").answer, served), arguments)


def _view(arguments: argparse.Namespace) -> int:
    path = arguments.original
    original = None if path is None else read(path, arguments.max_pixels)
    width, bands = arguments.width, arguments.bands
    if original is not None and width is None:  # what it was encoded from knows
        bands, _, width = (
            original.image.shape if bands is None else (bands, *original.image.shape[1:])
        )
    served = _served(arguments, width=width, bands=bands, tile=arguments.tile)
    return _answer(library("ground.viewer.requests").Viewer.of(served, original).answer, arguments)
