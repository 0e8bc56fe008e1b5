"""Pyramid: tiles of a picture at every zoom, made where they are asked for and kept for a while.

At zoom 0 one tile holds all of the picture; at the last one pixels are those of the picture.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from threading import Lock, RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.picture import Picture
from ground.api.windows import Window
from ground.products.legend import hidden
from ground.products.overview import halved
from onboard.errors import UsageError

SIDE = 256
"""Rows and columns of a tile; those at the right and lower border have fewer."""
_OF_OVERVIEWS = (3, 4)
"""Zooms from the last one on of which a stream has an overview: 1/8, 1/16."""
_PERCENTILES = (2, 98)
_LOOKED_AT = 3
"""Tiles along each side of which the stretch is told."""


class Cache:
    """Tiles that were asked for last, up to so many bytes; threads share it."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, 0
        self._kept: OrderedDict[Any, Window] = OrderedDict()
        self._lock = Lock()

    @property
    def bytes(self) -> int:
        """Bytes of what is kept."""
        return self._held

    def get(self, key: Any, made: Callable[[], Window]) -> Window:
        """Return what is kept, or what is made now."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = made()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = found
                self._held += _size(found)
            while self._held > self._most and self._kept:
                _, dropped = self._kept.popitem(last=False)
                self._held -= _size(dropped)
        return found


def _size(window: Window) -> int:
    return sum(part.nbytes for part in window)


class Pyramid:
    """Tiles of a picture."""

    def __init__(self, picture: Picture, cache: Cache) -> None:
        self.picture = picture
        self._cache = cache
        self._lock = RLock()
        longer = max(picture.shape[1:])
        self.last = max(0, (-(-longer // SIDE) - 1).bit_length())
        """Zoom at which pixels are those of the picture."""

    def shape(self, zoom: int) -> tuple[int, int]:
        """Return rows and columns of pixels at a zoom."""
        step = 1 << (self.last - zoom)
        _, rows, cols = self.picture.shape
        return -(-rows // step), -(-cols // step)

    def tile(self, zoom: int, col: int, row: int) -> Window:
        """Return image and mask of a tile.

        Raises:
            UsageError: there is no such tile.
        """
        if not 0 <= zoom <= self.last:
            raise UsageError(f"tile: expected a zoom of 0..{self.last}, found {zoom}")
        rows, cols = (-(-side // SIDE) for side in self.shape(zoom))
        if not (0 <= col < cols and 0 <= row < rows):
            raise UsageError(
                f"tile: expected column 0..{cols - 1} and row 0..{rows - 1} at zoom {zoom}, found "
                f"{col} and {row}"
            )
        with self._lock:  # who asks for the same waits for it
            return self._cache.get((self, zoom, col, row), lambda: self._made(zoom, col, row))

    def _made(self, zoom: int, col: int, row: int) -> Window:
        """Read a tile, all pixels under it at once; a coarser one is made of four finer ones.

        Where a stream has an overview of its coarse layers, it is cut out of that.
        """
        times = self.last - zoom
        if self.picture.overview is not None and times in _OF_OVERVIEWS:
            image, mask = self.picture.overview(1 << times)
            here = tuple(slice(at * SIDE, (at + 1) * SIDE) for at in (row, col))
            return image[:, *here], mask[here]
        if SIDE << times <= max(SIDE, self.picture.side // 2):
            image, mask = self.picture.read(*self._under(times, col, row))
            for _ in range(times):
                image, mask = halved(image, mask, self.picture.scene.nodata)
            return image, mask
        rows, cols = self.shape(zoom + 1)
        quarters = [
            [self.tile(zoom + 1, x, y) for x in (2 * col, 2 * col + 1) if x * SIDE < cols]
            for y in (2 * row, 2 * row + 1)
            if y * SIDE < rows
        ]
        image = np.concatenate([np.concatenate([q[0] for q in line], 2) for line in quarters], 1)
        mask = np.concatenate([np.concatenate([q[1] for q in line], 1) for line in quarters], 0)
        return halved(image, mask, self.picture.scene.nodata)

    def _under(self, times: int, col: int, row: int) -> tuple[slice, slice]:
        """Return rows and columns of the picture under a tile."""
        side = SIDE << times
        _, rows, cols = self.picture.shape
        return (
            slice(row * side, min((row + 1) * side, rows)),
            slice(col * side, min((col + 1) * side, cols)),
        )

    def window(self, zoom: int, rows: slice, cols: slice) -> Window:
        """Return image and mask of some rows and columns at a zoom."""
        down, across = (range(at.start // SIDE, -(-at.stop // SIDE)) for at in (rows, cols))
        tiles = [[self.tile(zoom, x, y) for x in across] for y in down]
        image = np.concatenate([np.concatenate([t[0] for t in line], 2) for line in tiles], 1)
        mask = np.concatenate([np.concatenate([t[1] for t in line], 1) for line in tiles], 0)
        here = tuple(
            slice(at.start - span.start * SIDE, at.stop - span.start * SIDE)
            for at, span in ((rows, down), (cols, across))
        )
        return image[:, *here], mask[here]

    @cached_property
    def spread(self) -> list[tuple[int, int]]:
        """Columns and rows of a few tiles at the last zoom that lie all over the picture."""
        down, across = (
            sorted({(2 * i + 1) * count // (2 * _LOOKED_AT) for i in range(_LOOKED_AT)})
            for count in (-(-side // SIDE) for side in self.shape(self.last))
        )
        return [(col, row) for row in down for col in across]

    @cached_property
    def stretch(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The samples of red, green and blue that are shown as black and as white.

        They are told by a few tiles spread over the picture, without what is no measurement.
        """
        shown = list(self.picture.scene.rgb)
        found = []
        for col, row in self.spread:
            image, mask = self.tile(self.last, col, row)
            found.append(image[shown][:, ~hidden(mask)])
        samples = np.concatenate(found, axis=1)
        if not samples.size:
            return np.zeros(3), np.ones(3)
        low, high = np.percentile(samples, _PERCENTILES, axis=1)
        return low, np.maximum(high, low + 1)
