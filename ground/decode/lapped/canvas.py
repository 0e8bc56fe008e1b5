"""Canvas: some rows of tiles of a scene, linearly rebuilt, as the refinement network sees them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import fill_holes
from ground.decode.lapped.synthesis import CELL
from ground.decode.mask import Mask, salvaged, worse
from ground.decode.tile import TileReception
from onboard.codec.lapped.context import BLOCK
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid


@dataclass(frozen=True)
class Patch:
    """What stands on a canvas in the place of one tile.

    Attributes:
        pixels: float32 (bands, rows, cols) DN, or (bands, 1, 1) for all of the tile.
        step: step of the tile, DN, or of each of its positions (rows, cols).
        known: share of its layers that arrived.
        value: value of its pixels in the mask.
    """

    pixels: NDArray[np.float32]
    step: float | NDArray[np.float64]
    known: float
    value: Mask


@dataclass(frozen=True)
class Canvas:
    """Some rows of tiles of a scene.

    Attributes:
        grid: tiles of the scene.
        first: first row of pixels in the scene.
        image: float32 (bands, rows, cols) DN, sides filled up to multiples of 4; bands group by
            group, the last one filled up.
        step: float32 (rows / 4, cols / 4), step of each cell, DN.
        known: float32 (rows / 4, cols / 4), share of the layers of each cell that arrived.
        mask: uint8 (rows, cols) of `Mask`, inside the scene.
        salvaged: tiles of which anything comes of damaged segments.
    """

    grid: TileGrid
    first: int
    image: NDArray[np.float32]
    step: NDArray[np.float32]
    known: NDArray[np.float32]
    mask: NDArray[np.uint8]
    salvaged: set[int] = field(default_factory=set)

    @classmethod
    def blank(cls, grid: TileGrid, rows: range, bands: int) -> "Canvas":
        """Return a canvas of some rows of tiles, of so many bands, on which nothing stands."""
        first = rows.start * grid.tile
        height = min(rows.stop * grid.tile, grid.height) - first
        cells = -(-height // CELL), -(-grid.width // CELL)
        return cls(
            grid,
            first,
            np.zeros((grid.groups * bands, cells[0] * CELL, cells[1] * CELL), np.float32),
            np.zeros(cells, np.float32),
            np.zeros(cells, np.float32),
            np.zeros((height, grid.width), np.uint8),
        )

    def area(self, index: int) -> tuple[slice, slice]:
        """Return the rows and the columns of a tile on the canvas."""
        row, col, rows, cols = self.grid.box(index)
        return slice(row - self.first, row - self.first + rows), slice(col, col + cols)

    def put(self, index: int, patch: Patch) -> None:
        """Put something in the place of a tile."""
        self.pixels(index)[:] = patch.pixels
        self.note(index, patch)

    def pixels(self, index: int) -> NDArray[np.float32]:
        """Return the pixels of a tile, to be filled."""
        return self.image[self.grid.bands(index, len(self.image)), *self.area(index)]

    def note(self, index: int, patch: Patch) -> None:
        """Say of a tile what stands in its place, its pixels left aside."""
        here = self.area(index)
        if patch.value != Mask.COMPLETE:
            self.mask[here] = worse(self.mask[here], patch.value)
        cells = tuple(slice(side.start // CELL, -(-side.stop // CELL)) for side in here)
        self.known[cells] = patch.known
        if np.size(patch.step) == 1:
            self.step[cells] = patch.step
            return
        rows, cols = self.step[cells].shape
        each = np.kron(patch.step, np.ones((BLOCK // CELL, BLOCK // CELL)))
        self.step[cells] = each[:rows, :cols]

    def salvage(self, tiles: Iterable[int]) -> None:
        """Say of tiles that stand on it that anything of them comes of damaged segments."""
        for index in tiles:
            here = self.area(index)
            self.mask[here] = salvaged(self.mask[here])
            self.salvaged.add(index)

    def conceal(
        self, tiles: Mapping[int, TileReception[Any]], exact: Mapping[int, NDArray[np.bool_]]
    ) -> None:
        """Carry what arrived into the tiles that are lost.

        Args:
            tiles: all tiles of the canvas.
            exact: of tiles within a bound the pixels (rows, cols) that arrived or are nodata.
        """
        height, width = self.mask.shape
        cut = any(not arrived.all() for arrived in exact.values())
        for group in range(self.grid.groups):
            own = {index: tile for index, tile in tiles.items() if self.grid.group(index) == group}
            if all(tile.state is not None for tile in own.values()) and not cut:
                continue
            known, holes = (np.zeros((height, width), np.bool_) for _ in range(2))
            for index, tile in own.items():
                here = self.area(index)
                if index in exact:
                    known[here], holes[here] = exact[index], ~exact[index]
                    continue
                plane = known if tile.side is not None else holes
                plane[here] = tile.state != ALL_NODATA
            bands = self.grid.bands(next(iter(own)), len(self.image))
            fill_holes(self.image[bands, :height, :width], known, holes)

    def fill_up(self) -> None:
        """Repeat the last row and column of the scene up to the sides of the canvas."""
        height, width = self.mask.shape
        self.image[:, height:] = self.image[:, height - 1 : height]
        self.image[:, :, width:] = self.image[:, :, width - 1 : width]
