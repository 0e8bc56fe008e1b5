"""Stand-ins: what takes the place of tiles that are lost, and of tiles without data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ground.decode.concealment import nearest_means
from ground.decode.lapped.canvas import Patch
from ground.decode.mask import LOST, of_empty_tile
from ground.decode.reception import Reception
from ground.decode.sides import empty_tiles, sides_of
from ground.decode.tile import TileReception
from onboard.codec.lapped.frontends.frontend import FrontEnd, LappedSide
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid


@dataclass(frozen=True)
class EmptyFill:
    """What the refinement network sees in place of tiles that are all nodata.

    It depends on the tiles around alone, so that a loss elsewhere changes nothing.

    Attributes:
        means: float64 (tiles, bands) DN, average means of the tiles around each.
        steps: float64 (tiles,) DN, average step of the tiles around each; 0 if none has any.
        certain: bool (tiles,), whether no tile around is lost.
    """

    means: NDArray[np.float64]
    steps: NDArray[np.float64]
    certain: NDArray[np.bool_]

    @classmethod
    def around(
        cls,
        sides: Mapping[int, LappedSide],
        empty: set[int],
        grid: TileGrid,
        halo: int,
        height_known: bool,
        bands: int,
        exact: Collection[int] = (),
    ) -> "EmptyFill":
        """Average the side information of the tiles around each.

        Args:
            sides: side information of the tiles that have any, by index.
            empty: tiles that are known to be all nodata.
            grid: tiles of the scene.
            halo: tiles to either side that count as around.
            height_known: whether the grid ends where the scene ends; if not, there may be lost
                tiles below it.
            bands: bands of the scene.
            exact: tiles coded within a bound on their error, which have no side information.
        """
        values = np.zeros((grid.count, bands + 2))
        if not empty:
            return cls(values[:, :bands], values[:, bands], np.ones(grid.count, np.bool_))
        shape = (grid.rows, grid.columns)
        for index, side in sides.items():
            values[index] = (*side.means, side.step, 1.0)
        lost = np.ones(grid.count, np.bool_)
        lost[[*sides, *empty, *(index for index in exact if index < grid.count)]] = False
        window = np.ones((2 * halo + 1, 2 * halo + 1))
        sums = np.stack(
            [scipy.ndimage.convolve(v.reshape(shape), window, mode="constant") for v in values.T],
            axis=-1,
        ).reshape(values.shape)
        below = np.full((halo, grid.columns), not height_known)
        near = scipy.ndimage.maximum_filter(
            np.concatenate([lost.reshape(shape), below]), size=2 * halo + 1, mode="constant"
        )
        averages = sums[:, :-1] / np.maximum(sums[:, -1:], 1.0)
        return cls(averages[:, :-1], averages[:, -1], ~near[: grid.rows].reshape(-1))


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
        sides, empty = sides_of(reception, grid, front_end), empty_tiles(reception, grid)
        steps = sorted(side.step for side in sides.values())
        bands = front_end.bands
        return cls(
            nearest_means(sides, grid, bands),
            steps[len(steps) // 2] if steps else 1.0,
            EmptyFill.around(
                sides, empty, grid, halo, reception.height_known, bands, reception.bounded()
            ),
        )

    def of(self, index: int, tile: TileReception[Any]) -> Patch:
        """Return what takes the place of a tile without side information."""
        if tile.state == ALL_NODATA:
            step = float(self.empty.steps[index]) or self.step
            value = of_empty_tile(bool(self.empty.certain[index]))
            return Patch(_flat(self.empty.means[index]), step, 1.0, value)
        return Patch(_flat(self.means[index]), self.step, 0.0, LOST)


@dataclass(frozen=True)
class StandInsOf:
    """The stand-ins of a scene, chosen once a tile needs one: most scenes arrive whole.

    Attributes:
        reception, grid, front_end, halo: what `StandIns.choose` takes.
    """

    reception: Reception
    grid: TileGrid
    front_end: FrontEnd
    halo: int

    @cached_property
    def chosen(self) -> StandIns:
        """The stand-ins."""
        return StandIns.choose(self.reception, self.grid, self.front_end, self.halo)


def _flat(means: NDArray[np.generic]) -> NDArray[np.float32]:
    return means.astype(np.float32)[:, None, None]
