"""What `decode --window` and `--overview` write: a part of a scene, that alone read and decoded."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground import metrics
from ground.api.source import Source
from ground.api.windows import Overviewed, Windows
from ground.commands.options import given_choice
from ground.decode.lapped.overview import averaged
from ground.decode.mask import Mask
from ground.products import geotiff
from ground.products.kinds import product_of
from ground.products.stac import write_item
from ground.scene import Scene
from onboard.errors import StreamError, UsageError

Window = tuple[int, int, int, int]
_ALONE = ("all_scenes", "dump", "rgb", "apid", "width", "bands", "tile")


def add_part_options(parser: argparse.ArgumentParser) -> None:
    """Add what asks for a part of a scene."""
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument(
        "--window",
        metavar="X0,Y0,X1,Y1",
        help="this part alone: first column and row, and those after the last, in pixels",
    )
    parts.add_argument(
        "--overview",
        type=int,
        choices=(2, 4, 8, 16),
        metavar="N",
        help="all of it at 1/N of its size, N = 2, 4, 8 or 16, from the coarse layers alone",
    )
    parser.add_argument(
        "--index",
        action="store_true",
        help="with --window or --overview: keep an index beside the recording, INPUT.idx, so that "
        "the next one reads no more than it needs; one that is there and fits is used anyway",
    )


def asks_for_part(arguments: argparse.Namespace) -> bool:
    """Return whether a part is asked for; refuse options that do not go with it.

    Raises:
        UsageError: naming the option.
    """
    part = arguments.window is not None or arguments.overview is not None
    if not part:
        if arguments.index:
            raise UsageError("--index: expected --window or --overview, too")
        return False
    if not arguments.output:
        raise UsageError("--window, --overview: expected -o, too")
    for name in _ALONE:
        if getattr(arguments, name):
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option}: expected neither --window nor --overview")
    return True


def window_of(text: str, shape: Sequence[int], mosaic: bool) -> Window:
    """Return the window that a text names, inside of rows and columns.

    Raises:
        UsageError: it names none, or of a mosaic one that begins or ends within a cell.
    """
    rows, cols = shape
    try:
        left, top, right, bottom = map(int, text.split(","))
    except ValueError as error:
        raise UsageError(f"--window: expected X0,Y0,X1,Y1, found {text!r:.80}") from error
    if not (0 <= left < right <= cols and 0 <= top < bottom <= rows):
        raise UsageError(
            f"--window: expected 0 <= X0 < X1 <= {cols} and 0 <= Y0 < Y1 <= {rows}, found {text}"
        )
    if mosaic and any(side % 2 for side in (left, top, right, bottom)):
        raise UsageError(f"--window: expected even numbers, of a Bayer mosaic, found {text}")
    return left, top, right, bottom


def write_part(arguments: argparse.Namespace) -> tuple[dict[str, Any], str, list[str]]:
    """Decode and write a part of a scene; return figures, a text, and why it is not complete.

    Raises:
        UsageError: the part is none of the scene.
        StreamError: the size of the scene did not arrive.
    """
    choice = given_choice(arguments, scene_id=arguments.scene_id, run=arguments.encoding_run)
    source = Source.open(arguments.input, choice, arguments.index)
    windows = Windows.of(source)
    if windows is None:
        raise StreamError("window: expected a scene header and its height, which did not arrive")
    scene, found, window = _decoded(arguments, windows)
    origin = replace(
        source.origin(windows.header.run),
        window=window,
        overview=arguments.overview or 1,
        layers=found.layers,
        linear=arguments.linear or found.layers is not None,
    )
    product = product_of(arguments.output)
    reasons = product.write(arguments.output, scene, found.mask, origin)
    if arguments.stac:
        files = product.files_of(arguments.output)
        reasons += write_item(arguments.output, files, scene, origin, found.mask)
    result = _result(windows, scene, found.mask) | {
        "window": None if window is None else list(window),
        "overview": arguments.overview,
        "layers": found.layers,
        "linear": origin.linear,
        "bytes_read": source.bytes_read,
    }
    text = _text(arguments.output, result)
    if arguments.original:
        result |= _compared(arguments, scene, found.mask, window)
        text += f"\nPSNR16 {result['psnr16']:.2f} dB against the same part of the original"
    if arguments.quicklook:
        _quicklook(arguments, scene, found.mask, window, text)
    if np.isin(found.mask, (Mask.CONCEALED, Mask.FINE_MISSING, Mask.SALVAGED)).any():
        reasons.append("some segments are missing, see the mask")
    return result, text, reasons + windows.reception.problems


def _decoded(
    arguments: argparse.Namespace, windows: Windows
) -> tuple[Scene, Overviewed, Window | None]:
    """Return the part of the scene, what was decoded of it, and its window."""
    scene = windows.unread()
    if arguments.overview:
        found = windows.overview(arguments.overview)
        return scene.part(found.image, step=arguments.overview), found, None
    mosaic = windows.header.bayer is not None
    window = window_of(arguments.window, windows.shape[1:], mosaic)
    left, top, right, bottom = window
    image, mask = windows.read(np.arange(top, bottom), np.arange(left, right))
    return scene.part(image, left, top), Overviewed(image, mask, None), window


def _original(arguments: argparse.Namespace, scene: Scene, window: Window | None) -> NDArray[Any]:
    """Return the same part of the original: that window, or means of the same squares.

    Raises:
        UsageError: the original is another size.
    """
    image = geotiff.read(arguments.original).image
    if window is not None:
        left, top, right, bottom = window
        part: NDArray[Any] = image[:, top:bottom, left:right]
    else:
        part = np.rint(averaged(image.astype(np.float32), arguments.overview)).astype(image.dtype)
    if part.shape != scene.image.shape:
        raise UsageError(
            f"--original: expected {scene.image.shape} of the same part, found {part.shape}"
        )
    return part


def _compared(
    arguments: argparse.Namespace, scene: Scene, mask: NDArray[np.uint8], window: Window | None
) -> dict[str, Any]:
    """Return PSNRs against the original."""
    original, valid = _original(arguments, scene, window), mask != Mask.NODATA
    peak = scene.peak
    return {
        "psnr16": metrics.psnr(original, scene.image, metrics.PEAK_16_BIT, valid),
        "peak": peak,
        "psnr": metrics.psnr(original, scene.image, peak, valid),
    }


def _result(windows: Windows, scene: Scene, mask: NDArray[np.uint8]) -> dict[str, Any]:
    source = windows.source
    return {
        "scene": source.encoding.scene_id,
        "run": windows.header.run,
        "bundle": source.decoder.bundle.name,
        "bytes": source.size,
        "shape": list(scene.image.shape),
        "scene_shape": list(windows.shape),
        "bayer": scene.bayer,
        "mask_percent": {
            m.name.lower(): 100 * np.count_nonzero(mask == m) / mask.size for m in Mask
        },
    }


def _text(output: Path, result: dict[str, Any]) -> str:
    """Return in words what was written."""
    bands, rows, cols = result["shape"]
    _, height, width = result["scene_shape"]
    layers = result["layers"]
    if result["window"]:
        what = f"window {','.join(map(str, result['window']))}"
    elif layers is None:
        what = f"overview 1/{result['overview']}, decoded whole and averaged"
    else:
        what = f"overview 1/{result['overview']}, of layers up to {layers}"
    shares = ", ".join(
        f"{name.replace('_', ' ')} {share:.2f} %"
        for name, share in result["mask_percent"].items()
        if share
    )
    percent = 100 * result["bytes_read"] / max(result["bytes"], 1)
    return (
        f"{output}: {bands} bands, {rows} x {cols}, of {height} x {width}: {what} "
        f"({result['bundle']}, run {result['run']}); read {result['bytes_read']} of "
        f"{result['bytes']} bytes ({percent:.1f} %)\nmask: {shares}"
    )


def _quicklook(
    arguments: argparse.Namespace,
    scene: Scene,
    mask: NDArray[np.uint8],
    window: Window | None,
    caption: str,
) -> None:
    from ground.products.quicklook import quicklook  # noqa: PLC0415 (pillow is loaded only here)

    original = _original(arguments, scene, window) if arguments.original else None
    place = arguments.quicklook
    quicklook(
        place, original, scene.image, mask, arguments.gain, rgb=scene.rgb, caption=caption[:120]
    )
