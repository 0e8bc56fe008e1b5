"""Command `serve`: streams and Zarrs as tiles for GDAL, QGIS and browsers, decoded on demand."""

import argparse
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from ground.commands.convert import add_picture_options
from ground.products.extra import library
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.stop import Stop
from onboard.errors import UsageError

if TYPE_CHECKING:
    from ground.serve.server import Reply

_EXAMPLES = """\
examples:
  python -m ground serve passes/ --port 8080
  gdalinfo http://127.0.0.1:8080/pass.pkt/scene.vrt
  gdal_translate http://127.0.0.1:8080/pass.pkt/gdal.xml scene.tif"""


def add_serve_command(commands: Commands) -> None:
    """Add `serve`."""
    serve = commands.add_parser(
        "serve",
        help="serve streams and Zarrs as tiles over HTTP, for GDAL, QGIS and browsers",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("input", type=Path, help="recording (.sky, .pkt), Zarr, or folder of them")
    add_server_options(serve, port=8080)
    add_picture_options(serve)
    add_json_option(serve)
    serve.set_defaults(run=_serve)


def add_server_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Add what every command shares that listens."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=port, help=f"TCP port, 0 for any ({port})")
    parser.add_argument("--cache-mb", type=int, default=256, help="memory for tiles (256)")


def choice_of(arguments: argparse.Namespace) -> Any:
    """Return how pictures are decoded, a `ground.api.source.Choice`."""
    if not 1 <= arguments.cache_mb <= 1 << 20:
        raise UsageError(f"--cache-mb: expected 1..{1 << 20}, found {arguments.cache_mb}")
    return library("ground.api.source").Choice(
        bundle=arguments.bundle,
        linear=arguments.linear,
        max_pixels=arguments.max_pixels,
        profile=arguments.profile,
        threads=arguments.threads,
    )


def run_server(reply: "Reply", arguments: argparse.Namespace) -> int:
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
    choice = choice_of(arguments)
    served = library("ground.serve.library").Library.of(
        arguments.input, choice, arguments.cache_mb << 20
    )
    return run_server(partial(library("ground.serve.requests").answer, served), arguments)
