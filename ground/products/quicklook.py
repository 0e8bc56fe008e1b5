"""Quicklook: original, decoded image, error and mask side by side in one PNG."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from ground.products.legend import LEGEND, NODATA
from ground.scene import Scene
from onboard.errors import InputError, UsageError
from onboard.image.files import Image
from onboard.outputs import open_whole

LARGEST_PANEL = 1024
SMALLEST_PANEL = 240
PERCENTILES = (2, 98)
MARGIN, LINE, FONT_SIZE = 8, 20, 13
PAPER, INK = (255, 255, 255), (20, 20, 20)
GREY = (0, 0, 0)

Panel = NDArray[np.uint8]


def quicklook(
    path: Path,
    original: Image | None,
    decoded: Image,
    mask: NDArray[np.uint8],
    gain: float = 10.0,
    *,
    rgb: tuple[int, int, int] | None = None,
    caption: str = "",
) -> None:
    """Write a PNG with the panels original, decoded, error times gain and mask.

    Both images are stretched between the 2nd and 98th percentile of the original's pixels
    that are not nodata. The error is the mean over all bands of |decoded - original| in parts of
    that stretch: white is 1 / gain of it. Large scenes are averaged down to 1024 pixels a panel;
    a pixel of the mask then shows the highest code under it.

    Args:
        path: path of the PNG.
        original: image (bands, rows, cols) to compare with; None shows decoded and mask only.
        decoded: decoded image (bands, rows, cols).
        mask: mask (rows, cols), codes as in `LEGEND`.
        gain: factor on the error, above 0.
        rgb: bands shown as red, green and blue, thrice the same for grey; None takes 2, 1, 0, or
            band 0 of fewer than three.
        caption: line below the panels, such as PSNR and bytes.

    Raises:
        InputError: shapes differ, or the mask holds another code.
        UsageError: a gain of 0 or less, or the file cannot be written.
    """
    _check(original, decoded, mask, gain)
    reference = decoded if original is None else original
    low, high = _stretch(reference, mask != NODATA)
    step = -(-max(mask.shape) // LARGEST_PANEL)
    shown = Scene(decoded).rgb if rgb is None else rgb
    panels = [("decoded", _colour(_shrink(decoded, step), low, high, shown))]
    if original is not None:
        grey = _shrink(_error(original, decoded, high - low) * (mask != NODATA), step)
        panels.insert(0, ("original", _colour(_shrink(original, step), low, high, shown)))
        panels.append((f"|error| x {gain:g}", _colour(grey * gain, np.zeros(1), np.ones(1), GREY)))
    colours = np.array([entry.colour for entry in LEGEND], np.uint8)
    panels.append(("mask", colours[_blocks(mask[None], step).max(axis=(2, 4))[0]]))
    with open_whole(path) as file:
        _sheet(panels, caption).save(file, "PNG")


def _check(original: Image | None, decoded: Image, mask: NDArray[np.uint8], gain: float) -> None:
    """Refuse images, mask and gain that do not fit together."""
    if decoded.ndim != 3 or 0 in decoded.shape or mask.shape != decoded.shape[1:]:
        raise InputError(
            f"quicklook: expected (bands, rows, cols) and a mask (rows, cols), found "
            f"{decoded.shape} and {mask.shape}"
        )
    if original is not None and original.shape != decoded.shape:
        raise InputError(f"original: expected {decoded.shape}, found {original.shape}")
    if mask.max() >= len(LEGEND):
        raise InputError(f"mask: expected codes 0 to {len(LEGEND) - 1}, found {mask.max()}")
    if not gain > 0:
        raise UsageError(f"gain: expected more than 0, found {gain}")


def _stretch(image: Image, valid: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Return per band, (bands, 1, 1), the DN shown black and the DN shown white."""
    pixels = image[:, valid] if valid.any() else image.reshape(len(image), -1)
    low, high = np.percentile(pixels, PERCENTILES, axis=1)
    return low[:, None, None], np.maximum(high, low + 1)[:, None, None]


def _error(original: Image, decoded: Image, span: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the mean over bands of the absolute error in parts of the stretch, (1, rows, cols)."""
    total = np.zeros((1, *original.shape[1:]), np.float32)
    for a, b, width in zip(original, decoded, span.ravel(), strict=True):
        total += np.abs(a.astype(np.float32) - b) / np.float32(width * len(original))
    return total


def _blocks(image: NDArray[Any], step: int) -> NDArray[Any]:
    """View (bands, rows, cols) as (bands, rows, step, cols, step), the border repeated."""
    bands, rows, cols = image.shape
    padded: NDArray[Any] = np.pad(image, ((0, 0), (0, -rows % step), (0, -cols % step)), "edge")
    return padded.reshape(bands, -(-rows // step), step, -(-cols // step), step)


def _shrink(image: NDArray[np.generic], step: int) -> NDArray[np.float64]:
    """Average an image down by a whole factor."""
    mean: NDArray[np.float64] = np.mean(_blocks(image, step), axis=(2, 4), dtype=np.float64)
    return mean


def _colour(
    image: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    rgb: tuple[int, int, int],
) -> Panel:
    """Return (rows, cols, 3), these bands stretched."""
    scaled = np.clip((image - low) / (high - low), 0, 1)[list(rgb)]
    return np.rint(255 * scaled).astype(np.uint8).transpose(1, 2, 0)


def _sheet(panels: list[tuple[str, Panel]], caption: str) -> Picture.Image:
    """Lay out the panels with their names, the legend under the mask and the caption below."""
    rows, cols = panels[0][1].shape[:2]
    pitch = max(cols, SMALLEST_PANEL) + MARGIN
    top = MARGIN + LINE
    height = top + rows + MARGIN + LINE * (len(LEGEND) + 1) + MARGIN
    sheet = Picture.new("RGB", (MARGIN + pitch * len(panels), height), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    for index, (name, panel) in enumerate(panels):
        left = MARGIN + index * pitch
        draw.text((left, MARGIN), name, INK, font)
        sheet.paste(Picture.fromarray(panel), (left, top))
    below = top + rows + MARGIN
    draw.text((MARGIN, below + LINE * len(LEGEND)), caption, INK, font)
    left = MARGIN + (len(panels) - 1) * pitch
    for index, entry in enumerate(LEGEND):
        line = below + index * LINE
        draw.rectangle((left, line, left + FONT_SIZE, line + FONT_SIZE), entry.colour)
        text = f"{entry.value} {entry.meaning}"
        draw.text((left + FONT_SIZE + MARGIN, line - 1), text, INK, font)
    return sheet
