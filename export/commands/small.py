"""Command `verify-small`: the C encoder on a microcontroller, emulated, compared with Python."""

import argparse
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard import bundle as bundles
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import BundleError, InputError, UsageError

_BITS = 12
_LINES = 64
_BUDGETS = {512: 400_000, 1024: 640_000}
"""Bytes of RAM for scenes of so many columns, unless told otherwise."""
_WAYS: dict[str, tuple[str, ...]] = {"plain": (), "trellis": ("trellis=1",)}


def add_small_command(commands: Commands) -> None:
    """Add `verify-small`."""
    parser = commands.add_parser(
        "verify-small",
        help="build the C encoder for a Cortex-M7, run it emulated, compare it with Python",
        epilog="example: python -m export verify-small skybook encoder --width 512 --json",
    )
    parser.add_argument("bundle", help="the bundle that the C source was made of")
    parser.add_argument("folder", type=Path, help="folder that `export c` wrote")
    parser.add_argument("--width", type=int, default=1024, help="columns of the build (1024)")
    parser.add_argument(
        "--ram", type=int, help="bytes of RAM, stack included (400000 up to 512 columns, 640000)"
    )
    parser.add_argument(
        "--macro", action="append", default=[], metavar="NAME=VALUE", help="another of small.h"
    )
    parser.set_defaults(run=_verify_small)
    add_json_option(parser)


def _verify_small(arguments: argparse.Namespace) -> int:
    from export.csource.small import build_image, run_image  # noqa: PLC0415 (for the image alone)

    if not 64 <= arguments.width <= 1 << 16:
        raise UsageError(f"--width: expected 64 to 65536, found {arguments.width}")
    if not (arguments.folder / "board.c").is_file():
        raise InputError(f"{arguments.folder}: expected C sources that `export c` wrote")
    ram = arguments.ram or _BUDGETS[512 if arguments.width <= 512 else 1024]
    bundle = bundles.load(arguments.bundle)
    image = build_image(arguments.folder, arguments.width, ram, tuple(arguments.macro))
    samples = _samples(arguments.width)
    result: dict[str, Any] = {"name": bundle.name, "width": arguments.width, "passed": True}
    lines = []
    for way, options in _WAYS.items():
        stream, taken = run_image(image, samples, options)
        same = stream == _expected(bundle, samples, way)
        result |= {way: {"same": same, "sha256": sha256(stream).hexdigest(), **asdict(taken)}}
        result["passed"] = result["passed"] and same
        lines.append(
            f"{way}: {taken.instructions_per_pixel} instructions a pixel, {taken.stack_bytes} "
            f"bytes of stack; {len(stream)} bytes of stream, {'as' if same else 'NOT as'} Python's"
        )
    lines.append(
        f"{taken.flash_bytes} bytes of flash, {taken.ram_bytes} of RAM (at most {ram}): an encoder "
        f"of {taken.encoder_bytes}, a line, a stack"
    )
    print_result(result, "\n".join(lines), arguments.json)
    return 0 if result["passed"] else BundleError.exit_code


def _samples(width: int) -> NDArray[np.uint16]:
    """Return a row of tiles of a procedural scene, of 12 bits, without nodata."""
    from ground.scenes.procedural import procedural  # noqa: PLC0415

    drawn = procedural(11, _LINES, width, nodata=False).image
    found: NDArray[np.uint16] = np.minimum(drawn >> 2, (1 << _BITS) - 1).astype(np.uint16)
    return found


def _expected(bundle: bundles.Bundle, samples: NDArray[Any], way: str) -> bytes:
    """Return the stream of the Python runtime."""
    from onboard.encoder import Encoder, Options  # noqa: PLC0415
    from onboard.link.header import SceneHeader  # noqa: PLC0415

    header = replace(SceneHeader.of(samples), significant_bits=_BITS, tile=bundle.tile)
    options = Options(window="strip", trellis=way == "trellis")
    strips = Encoder(bundle).strips(samples, header, options)
    return b"".join(segment for strip in strips for segment in strip.segments)
