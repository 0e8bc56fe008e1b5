"""Bayer mosaics: one band, or the four planes of its colour filters (SPEC.md, section 9)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError

PATTERNS = ("rggb", "bggr", "grbg", "gbrg")
"""Colours of a cell of 2 x 2 samples, row by row, in the order of their numbers."""
PLANES = 4
CELL = 2
"""Rows and columns of a cell."""


def cell_of(pattern: str | None) -> int:
    """Return rows and columns of an image that make one of the scene: 2 of a mosaic, else 1."""
    return 1 if pattern is None else CELL


def split(mosaic: NDArray[Any]) -> NDArray[Any]:
    """Return the planes (4, rows / 2, cols / 2) of a mosaic (1, rows, cols).

    Plane `2 r + c` has the samples in row r and column c of each cell.

    Raises:
        InputError: there are other bands, or a side is odd.
    """
    if mosaic.ndim != 3 or len(mosaic) != 1 or any(side % CELL for side in mosaic.shape[1:]):
        raise InputError(
            f"Bayer mosaic: expected one band, rows and columns even, found {mosaic.shape}"
        )
    return np.stack([mosaic[0, row::CELL, col::CELL] for row, col in np.ndindex(CELL, CELL)])


def join(planes: NDArray[Any]) -> NDArray[Any]:
    """Return the mosaic (1, rows, cols) of planes (4, rows / 2, cols / 2)."""
    _, rows, cols = planes.shape
    mosaic = np.empty((1, CELL * rows, CELL * cols), planes.dtype)
    for plane, (row, col) in zip(planes, np.ndindex(CELL, CELL), strict=True):
        mosaic[0, row::CELL, col::CELL] = plane
    return mosaic
