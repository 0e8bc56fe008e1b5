"""Blocks of tiles: what have steps of their own, and errors that a model foresees."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FIELD = 34
"""Added to the state of a tile, not all nodata, whose blocks have step codes of their own."""
UNIT = 4_096
"""Units of a squared error in a square of DN."""


class Blocks(NamedTuple):
    """Blocks of tiles of one shape, whole positions.

    Their errors are int64 (tiles, rows, cols) of blocks: squared, in 1/4096 DN^2.

    Attributes:
        samples: int64 (rows, cols), samples of each block.
        fixed: int64 (tiles,), squared error of a sample that no step changes, in 1/4096 DN^2.
    """

    samples: NDArray[np.int64]
    fixed: NDArray[np.int64]


def has_field(state: int) -> bool:
    """Say of a tile state whether blocks of the tile have step codes of their own."""
    return state & FIELD == FIELD
