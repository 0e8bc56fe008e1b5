"""Cuts: whole tiles of images where they are, made an array only where one is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cuts:
    """Tiles of images of one dtype and as many bands; (tiles, bands, tile, tile) to numpy.

    Attributes:
        images: (bands, rows, cols) each.
        places: number of the image, first row and first column of each tile.
        tile: rows and columns of a tile.
    """

    images: Sequence[NDArray[Any]]
    places: Sequence[tuple[int, int, int]]
    tile: int

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Tiles, bands, rows and columns."""
        return len(self.places), len(self.images[0]), self.tile, self.tile

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the images."""
        return self.images[0].dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the tiles, always copied, for numpy."""
        side = self.tile
        tiles = np.stack(
            [self.images[n][:, row : row + side, col : col + side] for n, row, col in self.places]
        )
        return tiles if dtype is None else tiles.astype(dtype, copy=False)

    def addresses(self) -> tuple[NDArray[np.uint64], int, int] | None:
        """Return where tiles begin in memory, and bytes from a band and from a row to the next.

        None where samples of a row are not side by side in the order of bytes of this machine, or
        images are laid out differently; addresses hold as long as the images do.
        """
        first = self.images[self.places[0][0]]
        band, row, sample = first.strides
        used = [self.images[n] for n in {n for n, _, _ in self.places}]
        if not all(each.strides == first.strides and each.flags.aligned for each in used):
            return None
        if sample != first.itemsize or not first.dtype.isnative or band < 0 or row < 0:
            return None
        begins = np.array([self.images[n].ctypes.data for n in range(len(self.images))], np.uint64)
        numbers, rows, cols = np.array(self.places, np.uint64).T
        return begins[numbers] + rows * np.uint64(row) + cols * np.uint64(sample), band, row
