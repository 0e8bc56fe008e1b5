"""Vectors: features of tiles, as one family of codecs makes them of symbols."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """Features of tiles.

    Attributes:
        names: what each number of a vector is.
        values: float32 (tiles, names); NaN where what it takes did not arrive.
        layers: u8 (tiles,), layers that arrived whole of those that the features take, layer 0
            included.
        wanted: layers that the features take, layer 0 included.
    """

    names: tuple[str, ...]
    values: Real
    layers: NDArray[np.uint8]
    wanted: int

    @classmethod
    def none(cls, tiles: int, names: Sequence[str] = (), wanted: int = 0) -> Self:
        """Return vectors of which nothing is known."""
        values = np.full((tiles, len(names)), np.nan, np.float32)
        return cls(tuple(names), values, np.zeros(tiles, np.uint8), wanted)


def signed_log(values: Real) -> Real:
    """Return sign(x) log2(1 + |x|), the scale of all features of samples."""
    found: Real = np.copysign(np.log2(1 + np.abs(values)), values).astype(np.float32)
    return found
