"""Command `bounded`."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from benchmarks.bounded.coders import Coders
from benchmarks.bounded.measure import BOUNDS, measure
from benchmarks.bounded.report import text
from benchmarks.codecs.skybook import BUNDLE
from ground.decode.decoder import Decoder
from ground.scene import Scene
from ground.scenes.folders import find_scenes, read_item
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.encoder import Encoder
from onboard.errors import UsageError


def add_bounded(commands: Commands) -> None:
    """Add `bounded`."""
    bounded = commands.add_parser(
        "bounded",
        help="bytes at a bound on the error, down to lossless, beside codecs that keep it",
        epilog="example: python -m benchmarks bounded --data FOLDER --json bounded.json",
    )
    bounded.add_argument("--data", type=Path, help="folder of GeoTIFFs; spyndex is always in")
    bounded.add_argument("--bundle", default=BUNDLE, help="name or path, with a part `bounded`")
    bounded.add_argument(
        "--bounds", default=",".join(map(str, BOUNDS)), help="DN (default %(default)s)"
    )
    bounded.add_argument(
        "--first",
        default="",
        metavar="D,...",
        help="first bounds of scenes in two parts, which together keep the least of --bounds",
    )
    add_json_option(bounded)
    bounded.set_defaults(run=_bounded)


def _bounded(arguments: argparse.Namespace) -> int:
    bounds = _numbers("--bounds", arguments.bounds)
    firsts = _numbers("--first", arguments.first) if arguments.first else []
    coders = Coders(
        Encoder(bundles.load(arguments.bundle)), Decoder(bundles.find(arguments.bundle))
    )
    console = Console(stderr=True)
    with console.status("starting") as status:
        document = measure(
            coders,
            _scenes(arguments.data),
            bounds,
            lambda scene, bound: status.update(f"{scene}, D {bound}"),
            firsts,
        )
    print_result(document, text(document), arguments.json)
    return 0


def _numbers(option: str, text: str) -> list[int]:
    try:
        return sorted({int(number) for number in text.split(",")})
    except ValueError as error:
        raise UsageError(f"{option}: expected numbers, found {text!r:.60}") from error


def _scenes(folder: Path | None) -> Iterator[tuple[str, Scene]]:
    yield "spyndex", spyndex_scene()
    for item in find_scenes(folder) if folder else ():
        yield item.path.stem, read_item(item)
