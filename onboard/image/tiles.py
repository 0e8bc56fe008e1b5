"""The fixed grid of tiles that a scene is cut into (SPEC.md, section 1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import LimitError, UsageError

MAX_SIDE = 1 << 24
MAX_TILES = (1 << 32) - 1
MAX_TILE = 256
DEFAULT_MAX_PIXELS = 1 << 28
"""Pixels (width x height) that a reader makes unless told otherwise."""


@dataclass(frozen=True)
class TileGrid:
    """Square tiles over a scene, numbered row by row, in each row group of bands by group.

    Attributes:
        width: columns of the scene, 1..2^24 pixels.
        height: rows of the scene, 1..2^24 pixels.
        tile: rows and columns of a tile, 1..256 pixels.
        groups: groups of bands, whose tiles lie one over the other.

    Raises:
        LimitError: a side or the number of tiles is outside the format's maxima.
    """

    width: int
    height: int
    tile: int
    groups: int = 1

    def __post_init__(self) -> None:
        for name, value, most in (
            ("width", self.width, MAX_SIDE),
            ("height", self.height, MAX_SIDE),
            ("tile", self.tile, MAX_TILE),
        ):
            if not 1 <= value <= most:
                raise LimitError(f"{name}: expected 1..{most} pixels, found {value}")
        if self.count > MAX_TILES:
            raise LimitError(f"tiles: expected at most {MAX_TILES}, found {self.count}")

    @cached_property
    def across(self) -> int:
        """Tiles side by side."""
        return -(-self.width // self.tile)

    @cached_property
    def columns(self) -> int:
        """Tiles in a row, of all groups."""
        return self.groups * self.across

    @cached_property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile)

    @cached_property
    def count(self) -> int:
        """Tiles of the scene."""
        return self.rows * self.columns

    def box(self, index: int) -> tuple[int, int, int, int]:
        """Return first row, first column, valid rows and valid columns of a tile, in pixels.

        Raises:
            UsageError: the grid has no such tile.
        """
        if not 0 <= index < self.count:
            raise UsageError(f"tile: expected 0..{self.count - 1}, found {index}")
        row, col = index // self.columns * self.tile, index % self.across * self.tile
        return row, col, min(self.tile, self.height - row), min(self.tile, self.width - col)

    def insides(self) -> Iterator[tuple[int, int]]:
        """Yield valid rows and valid columns of each tile, as `box` has them."""
        cols = [min(self.tile, self.width - col) for col in range(0, self.width, self.tile)]
        for row in range(0, self.height, self.tile):
            rows = min(self.tile, self.height - row)
            yield from [(rows, own) for own in cols] * self.groups

    def group(self, index: int) -> int:
        """Return the group of bands that a tile is of."""
        return index % self.columns // self.across

    def first(self, index: int) -> int:
        """Return the tile of the first group at the place of a tile."""
        return index - self.group(index) * self.across

    def bands(self, index: int, bands: int) -> slice:
        """Return which of so many bands of the scene a tile has."""
        own = -(-bands // self.groups)
        return slice(self.group(index) * own, (self.group(index) + 1) * own)

    def cut(self, image: NDArray[Any], index: int) -> NDArray[Any]:
        """Return a tile (bands, tile, tile) of an image, of all bands of that.

        It is symmetrically reflected beyond the scene's border.
        """
        row, col, rows, cols = self.box(index)
        part = np.asarray(image[:, row : row + rows, col : col + cols])
        if rows == cols == self.tile:
            return part
        fill = ((0, 0), (0, self.tile - rows), (0, self.tile - cols))
        return np.pad(part, fill, mode="symmetric")


def positions(rows: int, cols: int, reduction: int) -> tuple[int, int]:
    """Return rows and columns of the latent positions that touch `rows` x `cols` pixels."""
    return -(-rows // reduction), -(-cols // reduction)
