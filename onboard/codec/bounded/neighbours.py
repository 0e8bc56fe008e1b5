"""Neighbours: which pixels a pixel is predicted from, and where its energy is read (SPEC.md, 20).

Pixels of a tile are numbered row by row; number `rows * cols` is the start, a value that stands
for what lies before the first pixel.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

CAUSAL = (
    (-1, 0),
    (0, -1),
    (0, -2),
    (-1, -2),
    (-1, -1),
    (-1, 1),
    (-1, 2),
    (0, -3),
    (-2, -1),
    (-2, 0),
    (-2, 1),
    (-3, 0),
    (-2, -2),
    (-2, 2),
)
"""Rows down and columns right of earlier pixels of the same band; the first is the base."""
AROUND = ((0, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (-1, 0), (1, -1), (1, 1))
"""The same of pixels of an earlier band."""
PREDICTING = 6
"""Of `AROUND`, the first ones, from which a pixel is predicted."""
REFERENCES = 2
"""Earlier bands that a band is predicted from, at most: those just before it."""
SMALL = 1024
"""Pixels of a tile up to which all count where coefficients are fitted."""
SLOPE = 3
"""Columns that a wave falls behind from one row to the next."""


@dataclass(frozen=True)
class Neighbours:
    """Neighbours of all pixels of a tile.

    Attributes:
        causal: (12, pixels), numbers of the pixels that stand for `CAUSAL`.
        around: (9, pixels), numbers of the pixels that stand for `AROUND`.
    """

    causal: NDArray[np.int64]
    around: NDArray[np.int64]


@lru_cache(maxsize=16)
def neighbours(rows: int, cols: int) -> Neighbours:
    """Return the neighbours in tiles of a shape."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    causal = [_causal(row, col, down, right, cols) for down, right in CAUSAL]
    around = [
        np.clip(row + down, 0, rows - 1) * cols + np.clip(col + right, 0, cols - 1)
        for down, right in AROUND
    ]
    return Neighbours(np.stack(causal), np.stack(around))


def _causal(
    row: NDArray[np.int64], col: NDArray[np.int64], down: int, right: int, cols: int
) -> NDArray[np.int64]:
    """Return which pixels stand for an earlier one, that may lie outside the tile."""
    start = int(row[-1] + 1) * cols
    before = np.where(col > 0, row * cols + col - 1, np.where(row > 0, (row - 1) * cols, start))
    if down == 0:
        return np.where(col > 0, row * cols + np.maximum(col + right, 0), before)
    inside = np.maximum(row + down, 0) * cols + np.clip(col + right, 0, cols - 1)
    return np.where(row > 0, inside, before)


@lru_cache(maxsize=16)
def sampled(rows: int, cols: int) -> NDArray[np.int64]:
    """Return the pixels that coefficients are fitted to: all of a small tile, else each fourth."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    if rows * cols <= SMALL:
        return np.arange(rows * cols)
    return np.flatnonzero((col + (row >> 1)) % 4 == 0)


@lru_cache(maxsize=16)
def waves(rows: int, cols: int) -> list[NDArray[np.int64]]:
    """Return the pixels of a tile in waves, of which none is predicted from another of its own."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    time = col + SLOPE * row
    order = np.argsort(time, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(time[order])) + 1)
