"""Bayer mosaics: made of real RGB, and demosaiced for rivals that code colours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from onboard.image.bayer import CELL, join

PATTERN = "rggb"
RED, GREEN, BLUE = range(3)
_PLANES = (RED, GREEN, GREEN, BLUE)
_GREEN = np.array(
    [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]]
)
_ALONG = np.array(
    [[0, 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 8, 10, 8, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]]
)
_ACROSS = np.array(
    [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]]
)
_UNIT = 16


def planes_of(rgb: NDArray[Any]) -> NDArray[Any]:
    """Return the planes (4, rows / 2, cols / 2) that a mosaic of (3, rows, cols) has."""
    cells = zip(_PLANES, np.ndindex(CELL, CELL), strict=True)
    return np.stack([rgb[colour, row::CELL, col::CELL] for colour, (row, col) in cells])


def demosaic(planes: NDArray[np.uint16], peak: int) -> NDArray[np.uint16]:
    """Return red, green and blue (3, rows, cols) of planes (4, rows / 2, cols / 2).

    Samples stay where they are, so that what was filled in costs no error of its own.

    Source: H. S. Malvar, L. He and R. Cutler, "High-quality linear interpolation for demosaicing of
    Bayer-patterned color images", ICASSP 2004, figure 2.
    """
    mosaic = join(planes)[0].astype(np.float64)
    green, along, down, across = (
        convolve(mosaic, kernel / _UNIT, mode="mirror")
        for kernel in (_GREEN, _ALONG, _ALONG.T, _ACROSS)
    )
    rgb = np.stack([mosaic] * 3)
    at_red, in_red_row, in_blue_row, at_blue = (
        (slice(row, None, CELL), slice(col, None, CELL)) for row, col in np.ndindex(CELL, CELL)
    )
    for place, other in ((at_red, BLUE), (at_blue, RED)):
        rgb[GREEN][place] = green[place]
        rgb[other][place] = across[place]
    for place, red, blue in ((in_red_row, along, down), (in_blue_row, down, along)):
        rgb[RED][place] = red[place]
        rgb[BLUE][place] = blue[place]
    found: NDArray[np.uint16] = np.clip(np.rint(rgb), 0, peak).astype(np.uint16)
    return found
