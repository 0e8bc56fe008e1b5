"""Command `watch`: a station's service, from folders and live sources to products."""

import argparse
import logging
import sys
from contextlib import ExitStack
from pathlib import Path

from ground.commands.ingest import add_frame_options, frame_form
from ground.products.extra import library as of_products
from ground.products.kinds import PRODUCTS
from ground.station.extra import library
from ground.station.intake import Intake
from ground.station.live import Address, Receivers
from onboard.commands.commandline import Commands
from onboard.commands.stop import Stop
from onboard.errors import UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS

_EXAMPLES = """\
examples:
  python -m ground watch /srv/passes -o /srv/products --quiet 120
  python -m ground watch /srv/cadus --frames tm --frame-bytes 1115 --crc -o /srv/products
  python -m ground watch zmq://127.0.0.1:5555 --frames tm --frame-bytes 1115 -o /srv/products"""


def add_watch_command(commands: Commands) -> None:
    """Add `watch`."""
    watch = commands.add_parser(
        "watch",
        help="make products of scenes as they arrive, in folders or live, until stopped",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    watch.add_argument(
        "input",
        nargs="+",
        help="folders of recordings (.pkt, .sky, .kiss) that appear and grow, and with --frames tm "
        "or aos of frame files (.cadu, .tm, .aos, .frames, .kiss); udp://HOST:PORT, "
        "zmq://HOST:PORT: live, as of `ingest`",
    )
    watch.add_argument("-o", "--output", type=Path, required=True, help="folder of products")
    watch.add_argument(
        "--quiet",
        type=float,
        default=60.0,
        help="seconds without anything new after which a scene is made of what there is (60)",
    )
    watch.add_argument(
        "--product", choices=sorted({*PRODUCTS}), default=".tif", help="kind of product (.tif)"
    )
    watch.add_argument(
        "--linear", action="store_true", help="leave images as the bundle alone gives them"
    )
    watch.add_argument("--max-pixels", type=int, default=DEFAULT_MAX_PIXELS)
    watch.add_argument("--host", default="127.0.0.1", help="of /metrics and /health (127.0.0.1)")
    watch.add_argument("--port", type=int, default=9464, help="of them, 0 for any (9464)")
    add_frame_options(watch, required=False)
    watch.set_defaults(run=_watch)


def _watch(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.quiet < 1e6:
        raise UsageError(f"--quiet: expected 0..1e6 seconds, found {arguments.quiet}")
    inputs = [(text, Address.parse(text)) for text in arguments.input]
    addresses = [address for _, address in inputs if address is not None]
    form = frame_form(arguments)
    of_products("xarray")
    service = library("ground.watch.service")
    chosen = arguments.spacecraft, arguments.channel
    frames = form and library("ground.watch.framefiles").Frames(form, *chosen)
    plan = service.Plan(
        [Path(text) for text, address in inputs if address is None],
        arguments.output,
        arguments.quiet,
        arguments.product,
        arguments.linear,
        arguments.max_pixels,
        frames,
    )
    _log_as_json()
    monitor = library("ground.watch.monitor").Monitor()
    with ExitStack() as stack:
        stop = stack.enter_context(Stop())
        stack.enter_context(service.alone(plan))
        working = service.Service(plan, monitor)
        stack.callback(working.journal.close)
        url = stack.enter_context(service.monitored(monitor, arguments.host, arguments.port))
        library("structlog").get_logger().info("listening", metrics=f"{url}/metrics")
        if addresses:
            receivers = stack.enter_context(Receivers(addresses))
            names = map(str, receivers.addresses)
            intake = Intake.of(names, form, *chosen)
            stack.enter_context(service.spooling(plan, receivers, intake, monitor))
        working.run(stop.wait)
    return 0


def _log_as_json() -> None:
    """Log to stderr, an event a line."""
    structlog = library("structlog")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
