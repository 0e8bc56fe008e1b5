"""Planes of a Bayer mosaic back from the middle of its cells to their places (SPEC.md, 12)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.frontends import alignment
from onboard.image.bayer import CELL


@cache
def _back(side: int, mirrored: bool) -> NDArray[np.float32]:
    """Return the inverse of a matrix of `alignment`, exact but for what 32-bit floats leave."""
    matrix = alignment.matrix(side, mirrored) * 2.0**-alignment.SHIFT
    return np.asarray(np.linalg.inv(matrix), np.float32)


def moved_back(planes: NDArray[np.float32], means: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return tiles (tiles, 4, rows, cols) in DN of which `alignment.align` moved the deviations.

    Args:
        planes: float32 (tiles, 4, rows, cols) DN at the middle of the cells, whole positions.
        means: int64 (tiles, 4), mean of each plane, DN.
    """
    found = np.empty_like(planes)
    rows, cols = planes.shape[2:]
    for plane, (row, col) in enumerate(np.ndindex(CELL, CELL)):
        mean = means[:, plane, None, None].astype(np.float32)
        down, across = _back(rows, bool(row)), _back(cols, bool(col))
        found[:, plane] = down @ (planes[:, plane] - mean) @ across.T + mean
    return found
