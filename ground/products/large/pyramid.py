"""Pyramid: a scene and its overviews, block by block, each as soon as what it needs is there."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ground.products.large.block import SIDE
from ground.products.overview import halved


class Place(NamedTuple):
    """Which block: level, 0 for the scene itself, row and column, counted in blocks."""

    level: int
    row: int
    col: int


Put = Callable[[Place, NDArray[Any], NDArray[np.uint8]], None]
"""Takes a block, its image (bands, rows, cols) and its mask (rows, cols)."""


def sizes_of(rows: int, cols: int) -> list[tuple[int, int]]:
    """Return rows and columns of a scene and of its overviews, the last of which is one block."""
    sizes = [(rows, cols)]
    while max(sizes[-1]) > SIDE:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


@dataclass
class _Growing:
    """A block of which so many quarters are missing."""

    image: NDArray[Any]
    mask: NDArray[np.uint8]
    missing: int


class Pyramid:
    """Takes the blocks of a scene in any order, from any threads; keeps what is not whole yet."""

    def __init__(self, image: NDArray[Any], nodata: int | None, put: Put) -> None:
        """Begin.

        Args:
            image: (bands, rows, cols), of which only shape and dtype are looked at.
            nodata: value of samples without data.
            put: takes each block, of the scene and of its overviews, once.
        """
        self._bands, self._dtype = len(image), image.dtype
        self.sizes = sizes_of(*image.shape[1:])
        self._nodata, self._put = nodata, put
        self._growing: dict[Place, _Growing] = {}
        self._lock = Lock()

    def add(self, place: Place, image: NDArray[Any], mask: NDArray[np.uint8]) -> None:
        """Take a block, and put those that become whole with it."""
        self._put(place, image, mask)
        if place.level + 1 == len(self.sizes):
            return
        quarter = halved(image, mask, self._nodata)
        under = Place(place.level + 1, place.row // 2, place.col // 2)
        whole = self._grown(under, place.row % 2, place.col % 2, *quarter)
        if whole is not None:
            self.add(under, whole.image, whole.mask)

    def _grown(
        self, place: Place, row: int, col: int, image: NDArray[Any], mask: NDArray[np.uint8]
    ) -> _Growing | None:
        """Put a quarter into a block; return the block if it is whole."""
        rows, cols = mask.shape
        here = (
            slice(row * SIDE // 2, row * SIDE // 2 + rows),
            slice(col * SIDE // 2, col * SIDE // 2 + cols),
        )
        with self._lock:
            growing = self._growing.get(place) or self._begun(place)
            growing.image[:, *here], growing.mask[here] = image, mask
            growing.missing -= 1
            return None if growing.missing else self._growing.pop(place)

    def _begun(self, place: Place) -> _Growing:
        rows, cols = (
            min(SIDE, side - SIDE * first)
            for side, first in zip(self.sizes[place.level], place[1:], strict=True)
        )
        image = np.empty((self._bands, rows, cols), self._dtype)
        mask = np.empty((rows, cols), np.uint8)
        quarters = (1 + (rows > SIDE // 2)) * (1 + (cols > SIDE // 2))
        found = self._growing[place] = _Growing(image, mask, quarters)
        return found
