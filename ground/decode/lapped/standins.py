"""Stand-ins: what takes the place of tiles that are lost, and of tiles without data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import EmptyFill, nearest_means
from ground.decode.lapped.canvas import Patch
from ground.decode.lapped.lanes import LaneTile
from ground.decode.mask import LOST, of_empty_tile
from ground.decode.reception import Reception
from onboard.codec.lapped.frontends.frontend import FrontEnd
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid


@dataclass(frozen=True)
class StandIns:
    """What takes the place of tiles that are not rebuilt.

    Attributes:
        means: int32 (tiles, bands) DN, pixels of lost tiles if nothing around them is known.
        step: step of lost tiles, DN: the usual one.
        empty: pixels and steps of tiles that are all nodata.
    """

    means: NDArray[np.int32]
    step: float
    empty: EmptyFill

    @classmethod
    def choose(
        cls, reception: Reception, grid: TileGrid, front_end: FrontEnd, halo: int
    ) -> "StandIns":
        """Return the stand-ins of a scene.

        Args:
            reception: what arrived of the scene.
            grid: tiles of the scene.
            front_end: front end that wrote the side information.
            halo: tiles to either side that the network sees.
        """
        sides, empty = reception.sides(grid, front_end), reception.empty(grid)
        steps = sorted(side.step for side in sides.values())
        bands = front_end.bands
        return cls(
            nearest_means(sides, grid, bands),
            steps[len(steps) // 2] if steps else 1.0,
            EmptyFill.around(sides, empty, grid, halo, reception.height_known, bands),
        )

    def of(self, index: int, tile: LaneTile) -> Patch:
        """Return what takes the place of a tile without side information."""
        if tile.state == ALL_NODATA:
            step = float(self.empty.steps[index]) or self.step
            value = of_empty_tile(bool(self.empty.certain[index]))
            return Patch(_flat(self.empty.means[index]), step, 1.0, value)
        return Patch(_flat(self.means[index]), self.step, 0.0, LOST)


def _flat(means: NDArray[np.generic]) -> NDArray[np.float32]:
    return means.astype(np.float32)[:, None, None]
