"""Salvage: what of damaged segments is worth beside what would be shown without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORSE = 1.01
"""Times the squared error of a tile from which on it counts as worse."""


@dataclass(frozen=True)
class Salvaged:
    """What salvage did in one pass.

    Attributes:
        area: pixels shown that come of damaged segments.
        error: their squared error against the original, summed over bands.
        error_without: the same of what would be there without them.
        tiles: tiles of which any pixel is salvaged.
        worse: those whose squared error is larger with salvage, by more than 1 %.
    """

    area: int = 0
    error: float = 0.0
    error_without: float = 0.0
    tiles: int = 0
    worse: int = 0


NO_SALVAGE = Salvaged()


def measure_salvaged(
    original: NDArray[Any],
    image: NDArray[Any],
    without: NDArray[Any],
    salvaged: NDArray[np.bool_],
    tile_map: NDArray[np.int64],
) -> Salvaged:
    """Hold what is salvaged against what would be there without it.

    Args:
        original: samples (bands, rows, cols).
        image: decoded with salvage.
        without: decoded without.
        salvaged: (rows, cols), which pixels are salvaged.
        tile_map: tile of every pixel.
    """
    tiles = tile_map[salvaged]
    sums = []
    for found in (image, without):
        squared = np.square(found[:, salvaged] - 1.0 * original[:, salvaged]).sum(axis=0)
        sums.append(np.bincount(tiles, squared))
    own, other = sums
    worse = int(np.count_nonzero(own > _WORSE * other))
    return Salvaged(len(tiles), float(own.sum()), float(other.sum()), len(np.unique(tiles)), worse)


def add_up(found: Sequence[Salvaged]) -> Salvaged:
    """Return several passes as one."""
    names = ("area", "error", "error_without", "tiles", "worse")
    return Salvaged(**{name: sum(getattr(one, name) for one in found) for name in names})
