"""Overview: a scene at 1/2 to 1/16 of its size, from the coarse layers of its tiles alone.

The mean over squares of N x N pixels of a linear synthesis is a synthesis, too, with filters that
are averaged so. It takes the layers that hold the frequencies below 8 / N of the first two
components; what else is in them counts as well. At 1/8 that is DC. At 1/16 it is DC where that is
not more than a twentieth of what arrived, else the first lattice of DC alone: one symbol for each
pixel and component, interpolated from the middle of its block to that of the pixel. No network
refines an overview, and it is not held to the symbols.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import fill_holes
from ground.decode.lapped.lanes import LaneTile, alike, read_lanes
from ground.decode.lapped.samples import samples_of
from ground.decode.lapped.synthesis import SYNTHESIS_UNIT, synthesise, to_bands
from ground.decode.lapped.tiles import steps_of, values_of
from ground.decode.mask import Mask, conceal_untold, of_tile
from ground.decode.partial import coarse, tile_bytes
from ground.decode.reception import Reception
from onboard.codec.lapped.context import BLOCK, FREQUENCIES, LATTICES, ContextModel
from onboard.codec.lapped.frontends.frontend import LappedSide
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.lapped.transform import LappedTransform
from onboard.codec.profile import Profile
from onboard.codec.rans import STATE_BYTES
from onboard.codec.tile import ALL_NODATA, EMPTY, SOME_NODATA
from onboard.image.tiles import TileGrid
from onboard.link.header import SceneHeader

STEPS = (2, 4, 8, 16)
"""Pixels of a side of what becomes one."""
_COARSEST = 4
"""Pixels of a side of what a synthesis makes one of; coarser is averaged from there."""
_TILES_AT_ONCE = 256
_DC_TILES_AT_ONCE = 8192
_BYTES_OF_SYMBOL = 0.625
"""Of DC, guessed."""
_GROWTH = (1, 1.25, 1.75)
"""How much more is read of tiles that take more than was guessed, before all of them is."""
_LOOKED_AT = 2
"""Components whose frequencies tell how many layers are taken: others are small."""
_CHEAP = 20
"""DC is taken at 1/16 where it is at most this part of what arrived."""
_LEAST_SHARE = 0.25
"""Share of a pixel that has data, of which its mean is told: less counts as so much."""


def layers_of(contexts: ContextModel, step: int) -> int:
    """Return the layers that an overview takes; of 1/16 where DC is cheap."""
    if step >= BLOCK:
        return LATTICES
    component, frequency = np.divmod(contexts.order, FREQUENCIES)
    row, col = np.divmod(frequency, BLOCK)
    low = (component < _LOOKED_AT) & (row < BLOCK // step) & (col < BLOCK // step)
    last = int(np.flatnonzero(low).max())
    return LATTICES + int(np.searchsorted(contexts.cuts, last, side="right"))


@dataclass(frozen=True)
class Overview:
    """An overview that is being made.

    Attributes:
        grid: tiles of the scene.
        step: pixels of a side of what becomes one.
        layers: layers of a tile that it takes.
        image: float32 (groups * bands, rows, cols) DN, with fraction bits.
        mask: uint8 (rows, cols) of `Mask`.
    """

    grid: TileGrid
    step: int
    layers: int
    image: NDArray[np.float32]
    mask: NDArray[np.uint8]

    @classmethod
    def blank(cls, grid: TileGrid, step: int, layers: int, bands: int) -> "Overview":
        """Return one in which nothing stands."""
        shape = -(-grid.height // step), -(-grid.width // step)
        image = np.zeros((grid.groups * bands, *shape), np.float32)
        return cls(grid, step, layers, image, np.zeros(shape, np.uint8))

    def area(self, index: int) -> tuple[slice, slice]:
        """Return the rows and the columns of a tile."""
        row, col, rows, cols = self.grid.box(index)
        here = ((row, rows), (col, cols))
        first, second = (slice(a // self.step, -(-(a + b) // self.step)) for a, b in here)
        return first, second

    def put(self, index: int, pixels: NDArray[np.float32] | float, value: Mask) -> None:
        """Put something (bands, rows, cols) in the place of a tile."""
        here = self.area(index)
        self.image[self.grid.bands(index, len(self.image)), *here] = pixels
        mask = self.mask[here]
        np.maximum(mask, np.uint8(value), out=mask)

    def conceal(self, holes: Sequence[int], empty: Sequence[int]) -> None:
        """Carry what arrived into the tiles that are lost, group by group."""
        for group in range(self.grid.groups):
            own = [index for index in holes if self.grid.group(index) == group]
            if not own:
                continue
            known = np.ones(self.mask.shape, np.bool_)
            lost = np.zeros(self.mask.shape, np.bool_)
            for index in own:
                lost[self.area(index)] = True
            for index in (*own, *empty):
                known[self.area(index)] = False
            bands = self.grid.bands(own[0], len(self.image))
            fill_holes(self.image[bands], known, lost)


@dataclass(frozen=True)
class Overviews:
    """Makes overviews of scenes.

    Attributes:
        reader: reads the tiles.
        profile: spectral profile of the scenes.
    """

    reader: LayerReader
    profile: Profile | None = None

    @property
    def _coder(self) -> LappedModel:
        return self.reader.model

    def of(
        self, reception: Reception, grid: TileGrid, header: SceneHeader, step: int
    ) -> tuple[NDArray[Any], NDArray[np.uint8], int]:
        """Return samples (bands, rows, cols) and mask of a scene, and the layers that they take.

        Args:
            reception: what arrived; problems are counted.
            grid: tiles of the scene, whose sides are multiples of `step`.
            header: header of the scene.
            step: one of `STEPS`.
        """
        layers = layers_of(self._coder.contexts, step)
        dc, most = self._first_bytes(grid, 1.0), None
        if step > BLOCK and _CHEAP * dc * grid.count > tile_bytes(reception):
            layers, most = 1, self._first_bytes(grid, 0.25)
        elif layers == LATTICES:
            most = dc
        front_end = self._coder.front_end
        overview = Overview.blank(grid, step, layers, front_end.bands)
        tiles: dict[int, LaneTile] = {}
        left: Sequence[int] = range(grid.count)
        growth = iter(_GROWTH)
        while left:
            factor = next(growth, None)
            wanted = most if most is None or factor is None else int(factor * most)
            source = coarse(reception, layers, None if factor is None else wanted)
            for index in left:
                _, _, rows, cols = grid.box(index)
                tile = LaneTile(rows, cols, front_end, reception.signed)
                tiles[index] = source.fill(tile, grid, index)
            all_there = factor is None or wanted is None
            left = self._put_all(overview, {n: tiles[n] for n in left}, all_there)
        self._conceal(overview, tiles)
        overview.image[:] *= np.float32(2.0**-front_end.fraction)
        image = samples_of(overview.image[: header.bands], header, self.profile)
        restore(overview, tiles)
        image[:, overview.mask == Mask.NODATA] = header.nodata or 0
        return image, overview.mask, layers

    def _first_bytes(self, grid: TileGrid, share: float) -> int:
        """Return the bytes of layer 0 and of a share of DC that most tiles take."""
        symbols = self._coder.front_end.bands * (grid.tile // BLOCK) ** 2 * share
        return 1 + self._coder.front_end.side_bytes + STATE_BYTES + int(symbols * _BYTES_OF_SYMBOL)

    def _put_all(self, overview: Overview, tiles: Mapping[int, LaneTile], last: bool) -> list[int]:
        """Put tiles into an overview; return those of which more must be read, see `_put`."""
        lossy = {n: tile for n, tile in tiles.items() if tile.side and not tile.coding & EMPTY}
        most = _TILES_AT_ONCE if overview.layers > 1 else _DC_TILES_AT_ONCE
        short: list[int] = []
        for members in alike(lossy, most):
            short += self._put(overview, {n: lossy[n] for n in members}, last)
        return short

    def _conceal(self, overview: Overview, tiles: Mapping[int, LaneTile]) -> None:
        """Mark tiles without side information; carry what arrived into those that are lost."""
        empty = [n for n, tile in tiles.items() if tile.state == ALL_NODATA]
        lost = [n for n, tile in tiles.items() if tile.state is None]
        for value, numbers in ((Mask.NODATA, empty), (Mask.CONCEALED, lost)):
            for index in numbers:
                overview.put(index, 0.0, value)
        overview.conceal(lost, empty)

    def _put(self, overview: Overview, tiles: dict[int, LaneTile], last: bool) -> list[int]:
        """Put tiles of one shape into an overview; return those that must be read again.

        Args:
            overview: overview.
            tiles: tiles by number.
            last: whether there is no more of them.
        """
        layers = overview.layers
        numbers = list(tiles)
        found = read_lanes(self.reader, list(tiles.values()), layers)
        over = {lane.tile for lane in found.beyond}
        short = (
            []
            if last
            else [n for n, whole in enumerate(found.complete) if whole < layers or n in over]
        )
        sides = [tile.side for tile in tiles.values() if tile.side is not None]
        bands = self._bands(found, sides, overview.step)
        waiting = set(short)
        for place, index in enumerate(numbers):
            if place in waiting:
                continue
            rows, cols = (side.stop - side.start for side in overview.area(index))
            value = of_tile(int(found.complete[place]), layers, min(layers, LATTICES))
            pixels = bands[place, :, :rows, :cols]
            tile = tiles[index]
            if tile.state == SOME_NODATA:
                means = np.array(sides[place].means, np.float32)[:, None, None]
                pixels = means + (pixels - means) / _shares(tile.nodata, overview.step)
            overview.put(index, pixels, value)
        return [numbers[place] for place in short]

    def _bands(self, found: Read, sides: Sequence[LappedSide], step: int) -> NDArray[np.float32]:
        """Return bands (tiles, bands, rows, cols) in DN of what was read of tiles."""
        coder = self._coder
        steps = np.array([side.step for side in sides])
        means = np.array([side.means for side in sides], np.int64)
        count, rows, cols = found.state.shape
        depth = means.shape[1]
        values = values_of(coder, found)
        values *= steps_of(coder, found, steps).astype(np.float32)
        if len(found.layers) == 1:
            dc = values[..., :depth].transpose(0, 3, 1, 2).reshape(-1, rows, cols)
            planes = _between(dc[:, ::2, ::2]) * np.float32(_dc_gain(coder.transform))
        else:
            component, frequency = np.divmod(coder.contexts.order[: values.shape[3]], FREQUENCIES)
            used = int(frequency.max()) + 1
            latents = np.zeros((count, depth, rows, cols, used), np.float32)
            latents[:, component, :, :, frequency] = values.transpose(3, 0, 1, 2)
            fine = min(step, _COARSEST)
            planes = synthesise(coder.transform, latents.reshape(-1, rows, cols, used), fine)
            planes = averaged(planes, step // fine)
        bands = to_bands(planes, np.array([side.angles for side in sides], np.uint8), means)
        return np.asarray(bands, np.float32)


def averaged(planes: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Return planes (n, rows, cols) of means of squares; a border is repeated up to whole ones."""
    if step == 1:
        return planes
    _, rows, cols = planes.shape
    wide = np.pad(planes, ((0, 0), (0, -rows % step), (0, -cols % step)), mode="edge")
    squares = wide.reshape(len(wide), wide.shape[1] // step, step, -1, step)
    return np.asarray(squares.mean(axis=(2, 4), dtype=np.float32))


def _dc_gain(transform: LappedTransform) -> float:
    """Return the plane that a DC of 1 everywhere makes."""
    return float(transform.synthesis[0].sum()) / SYNTHESIS_UNIT / BLOCK**2


def _between(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return planes (n, rows, cols), each value a quarter of the way to the next ones."""
    for axis in (1, 2):
        after = np.take(planes, [*range(1, planes.shape[axis]), -1], axis=axis)
        planes = np.float32(0.75) * planes + np.float32(0.25) * after
    return planes


def _shares(nodata: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    """Return the share of each pixel (rows, cols) that has data, at least a quarter."""
    data = averaged((~nodata).astype(np.float32)[None], step)[0]
    return np.asarray(np.maximum(data, np.float32(_LEAST_SHARE)), np.float32)


def restore(overview: Overview, tiles: Mapping[int, LaneTile]) -> None:
    """Mark, in place, what of tiles with nodata has none, and what is not known of."""
    for index, tile in tiles.items():
        if tile.state != SOME_NODATA:
            continue
        mask = overview.mask[overview.area(index)]
        nodata = averaged(tile.nodata.astype(np.float32)[None], overview.step)[0]
        told = averaged(tile.mask_known.astype(np.float32)[None], overview.step)[0]
        conceal_untold(mask, told == 1)
        mask[nodata == 1] = Mask.NODATA
