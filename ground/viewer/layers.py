"""Layers: tiles as pictures for the eye: samples, errors, what each pixel is worth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.windows import Window
from ground.products.legend import LEGEND, NODATA, hidden
from ground.serve.images import png
from ground.serve.pyramid import SIDE

RAMP = np.array(
    [(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)], np.float32
)
"""Colours from nothing to most, evenly apart, in order of lightness."""


def shown(
    tile: Window, bands: list[int], low: NDArray[Any], high: NDArray[Any], gamma: float
) -> bytes:
    """Return a PNG of three bands, black at `low` and white at `high`, what is hidden left out.

    Args:
        tile: image and mask.
        bands: those shown as red, green and blue.
        low: samples shown as black, one a band of the image.
        high: samples shown as white.
        gamma: above 1 dark parts are made brighter.
    """
    image, mask = tile
    floor, span = (v[bands][:, None, None] for v in (low, high - low))
    share = np.clip((image[bands] - floor) / np.maximum(span, 1), 0, 1)
    colours = np.rint(255 * share ** (1 / gamma)).astype(np.uint8)
    return _sheet(colours, ~hidden(mask))


def error(tile: Window, bands: list[int], most: float) -> bytes:
    """Return a PNG of the largest error of some bands, the last colour at `most` DN and above."""
    image, mask = tile
    place = np.minimum(image[bands].max(axis=0) / most, 1) * (len(RAMP) - 1)
    below = np.minimum(place.astype(np.intp), len(RAMP) - 2)
    part = (place - below)[..., None]
    colours = np.rint(RAMP[below] * (1 - part) + RAMP[below + 1] * part).astype(np.uint8)
    return _sheet(colours.transpose(2, 0, 1), mask != NODATA)


def worth(tile: Window) -> bytes:
    """Return a PNG of the mask in the colours of the legend."""
    colours = np.zeros((256, 3), np.uint8)
    for entry in LEGEND:
        colours[entry.value] = entry.colour
    mask = tile[1]
    return _sheet(colours[mask].transpose(2, 0, 1), np.ones(mask.shape, np.bool_))


def _sheet(colours: NDArray[np.uint8], seen: NDArray[np.bool_]) -> bytes:
    """Return a PNG of full size, clear where nothing is to be seen."""
    opaque = np.where(seen, np.uint8(255), np.uint8(0))
    _, rows, cols = colours.shape
    sheet = np.concatenate([colours, opaque[None]])
    return png(np.pad(sheet, ((0, 0), (0, SIDE - rows), (0, SIDE - cols))))
