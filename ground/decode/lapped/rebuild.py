"""Rebuilding scenes of the lapped codec: linear synthesis per tile, refinement across tiles."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import EmptyFill, fill_holes, nearest_means
from ground.decode.lapped.lanes import LaneTile, complete_layers, read_lanes
from ground.decode.lapped.synthesis import CELL, tile_borders
from ground.decode.lapped.tiles import DEPENDENT_STEP, linear_tiles
from ground.decode.mask import LOST, Mask, of_empty_tile, of_tile, open_below, with_halo
from ground.decode.nodata import keep_off_nodata, restore_nodata
from ground.decode.rebuilder import Network, Product
from ground.decode.reception import Reception
from onboard.bundle import Bundle
from onboard.codec.lapped.context import LATTICES
from onboard.codec.lapped.frontend import AdaptiveSide
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid
from onboard.link.header import SceneHeader

_BAND_ROWS = 16
_CORE = 1024
"""Pixels of a side of what one thread refines at once; several threads share it."""
_TILES_AT_ONCE = 256
_LARGEST_STEP = 2_000.0
"""DN; of flat tiles the step may be larger, but the network has not seen any."""


@dataclass
class _Canvas:
    """Some rows of tiles of a scene, linearly rebuilt.

    Attributes:
        first: first row of pixels in the scene.
        image: float32 (bands, rows, cols) DN, sides filled up to multiples of 4.
        step: float32 (rows / 4, cols / 4), DN.
        known: the same, share of the layers that arrived.
        mask: uint8 (rows, cols).
        tiles: what arrived of each tile, by index.
    """

    first: int
    image: NDArray[np.float32]
    step: NDArray[np.float32]
    known: NDArray[np.float32]
    mask: NDArray[np.uint8]
    tiles: dict[int, LaneTile]


@dataclass(frozen=True)
class _StandIns:
    """What takes the place of tiles that are not rebuilt.

    Attributes:
        means: int32 (tiles, bands) DN, for lost tiles if nothing around them is known.
        step: DN, for lost tiles: the usual one.
        empty: for tiles that are all nodata.
    """

    means: NDArray[np.int32]
    step: float
    empty: EmptyFill


class LappedRebuilder:
    """Works on bands of tile rows, so that memory beyond the image depends on its width."""

    def __init__(self, bundle: Bundle) -> None:
        self._bands, self._side = bundle.bands, bundle.tile
        self._coder = bundle.lapped

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 included."""
        return 1 + self._coder.contexts.layers

    def tile(self, reception: Reception, grid: TileGrid, index: int) -> LaneTile:
        """Return what arrived of a tile of the grid, as far as it makes sense."""
        _, _, rows, cols = grid.box(index)
        tile = LaneTile(rows, cols, self._coder.front_end, reception.signed)
        return reception.fill(tile, grid, index)

    def complete(self, tiles: Sequence[LaneTile]) -> list[int]:
        """Return of each of some tiles of one shape how many layers are whole, from layer 0 on."""
        return complete_layers(self._coder, tiles)

    def rebuild(
        self,
        reception: Reception,
        product: Product,
        network: Network,
        report: Callable[[int, int], None],
    ) -> None:
        """Fill a product, as `ground.decode.rebuilder.Rebuilder` promises."""
        grid, header = product.grid, product.header
        halo = -(-network.halo // grid.tile)
        stand_ins = self._stand_ins(reception, grid, halo)
        with ThreadPoolExecutor(network.threads) as pool:
            for first in range(0, grid.rows, _BAND_ROWS):
                stop = min(first + _BAND_ROWS, grid.rows)
                rows = range(max(first - halo, 0), min(stop + halo, grid.rows))
                canvas = self._canvas(reception, grid, rows, stand_ins)
                inner = range(first * grid.tile, min(stop * grid.tile, grid.height))
                refined = self._refine(canvas, inner, pool, network)
                flags = with_halo(canvas.mask, network.halo)
                if stop == grid.rows and not reception.height_known:
                    open_below(flags, network.halo)
                here = slice(inner.start, inner.stop)
                samples = _rounded(refined, header, product.image.dtype)
                product.image[:, here] = samples[:, : len(inner), : grid.width]
                product.mask[here] = flags[here.start - canvas.first : here.stop - canvas.first]
                for index in range(first * grid.columns, stop * grid.columns):
                    restore_nodata(canvas.tiles[index], product, index)
                report(stop * grid.columns, grid.count)

    def _stand_ins(self, reception: Reception, grid: TileGrid, halo: int) -> _StandIns:
        sides = reception.sides(grid, self._coder.front_end)
        steps = sorted(side.step for side in sides.values())
        return _StandIns(
            nearest_means(sides, grid, self._bands),
            steps[len(steps) // 2] if steps else 1.0,
            EmptyFill.around(
                sides, reception.empty(grid), grid, halo, reception.height_known, self._bands
            ),
        )

    def _canvas(
        self, reception: Reception, grid: TileGrid, rows: range, stand_ins: _StandIns
    ) -> _Canvas:
        """Rebuild some rows of tiles, each tile alone."""
        first = rows.start * grid.tile
        height = min(rows.stop * grid.tile, grid.height) - first
        cells = -(-height // CELL), -(-grid.width // CELL)
        shape = (self._bands, cells[0] * CELL, cells[1] * CELL)
        canvas = _Canvas(
            first,
            np.zeros(shape, np.float32),
            np.full(cells, stand_ins.step, np.float32),
            np.zeros(cells, np.float32),
            np.zeros((height, grid.width), np.uint8),
            {},
        )
        alike: dict[tuple[int, int, bool], list[int]] = {}
        for index in range(rows.start * grid.columns, rows.stop * grid.columns):
            tile = canvas.tiles[index] = self.tile(reception, grid, index)
            alike.setdefault((*grid.box(index)[2:], tile.dependent), []).append(index)
        for members in alike.values():
            for start in range(0, len(members), _TILES_AT_ONCE):
                self._place_tiles(
                    canvas, reception, grid, members[start : start + _TILES_AT_ONCE], stand_ins
                )
        _conceal(canvas, grid)
        canvas.image[:, height:] = canvas.image[:, height - 1 : height]
        canvas.image[:, :, grid.width :] = canvas.image[:, :, grid.width - 1 : grid.width]
        return canvas

    def _place_tiles(
        self,
        canvas: _Canvas,
        reception: Reception,
        grid: TileGrid,
        members: list[int],
        stand_ins: _StandIns,
    ) -> None:
        """Rebuild tiles of one shape, dependent or not, and put them on the canvas."""
        arrived: list[tuple[int, AdaptiveSide]] = []
        for index in members:
            if (side := canvas.tiles[index].side) is None:
                _put_stand_in(canvas, grid, index, stand_ins)
            else:
                arrived.append((index, side))
        if not arrived:
            return
        found = read_lanes(self._coder, [canvas.tiles[index] for index, _ in arrived])
        for lane in found.wrong:
            reception.refuse(f"tile {arrived[lane.tile][0]}: symbols do not end")
        layers = self._coder.contexts.layers
        tiles = linear_tiles(self._coder, found, [side for _, side in arrived])
        _, _, rows, cols = grid.box(members[0])
        for (index, side), pixels, complete in zip(arrived, tiles, found.complete, strict=True):
            flag = of_tile(int(complete), layers, LATTICES)
            share = float(complete) / layers
            step = side.step * DEPENDENT_STEP if found.dependent else side.step
            _put(canvas, grid, index, pixels[:, :rows, :cols], step, share, flag)

    def _refine(
        self, canvas: _Canvas, inner: range, pool: ThreadPoolExecutor, network: Network
    ) -> NDArray[np.float32]:
        """Run the refinement network over some rows of the scene, part by part."""
        first = inner.start - canvas.first
        stop = min(first + -(-len(inner) // CELL) * CELL, canvas.image.shape[1])
        refined = np.empty_like(canvas.image[:, first:stop])
        step = np.minimum(canvas.step, np.float32(_LARGEST_STEP))
        border = tile_borders(self._side // CELL, canvas.first // CELL, canvas.step.shape)

        def work(part: tuple[slice, slice, slice, slice]) -> None:
            rows, cols, wide_rows, wide_cols = part
            cells = tuple(slice(s.start // CELL, s.stop // CELL) for s in (wide_rows, wide_cols))
            found = network.session.run(
                [
                    np.ascontiguousarray(canvas.image[None, :, wide_rows, wide_cols]),
                    np.ascontiguousarray(step[None, None, *cells]),
                    np.ascontiguousarray(canvas.known[None, None, *cells]),
                    np.ascontiguousarray(border[None, :, *cells]),
                ]
            )[0]
            row, col = rows.start - wide_rows.start, cols.start - wide_cols.start
            inner = found[:, row : row + rows.stop - rows.start, col : col + cols.stop - cols.start]
            refined[:, rows.start - first : rows.stop - first, cols] = inner

        side = _CORE if network.threads == 1 else _CORE // 2
        parts = _parts(slice(first, stop), canvas.image.shape[1:], side, network.halo)
        list(pool.map(work, parts))
        return refined


def _rounded(
    refined: NDArray[np.float32], header: SceneHeader, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return samples, none of which has the value of nodata."""
    low, high = header.sample_range
    np.rint(refined, out=refined)
    np.clip(refined, low, high, out=refined)
    return keep_off_nodata(refined.astype(dtype), header)


def _put(
    canvas: _Canvas,
    grid: TileGrid,
    index: int,
    pixels: NDArray[np.float32],
    step: float,
    known: float,
    flag: Mask,
) -> None:
    """Put a tile on the canvas."""
    row, col, rows, cols = grid.box(index)
    row -= canvas.first
    canvas.image[:, row : row + rows, col : col + cols] = pixels
    canvas.mask[row : row + rows, col : col + cols] = flag
    cells = np.s_[row // CELL : -(-(row + rows) // CELL), col // CELL : -(-(col + cols) // CELL)]
    canvas.known[cells], canvas.step[cells] = known, step


def _put_stand_in(canvas: _Canvas, grid: TileGrid, index: int, stand_ins: _StandIns) -> None:
    """Put something in the place of a tile that is lost, or all nodata."""
    if canvas.tiles[index].state != ALL_NODATA:
        pixels = stand_ins.means[index].astype(np.float32)[:, None, None]
        _put(canvas, grid, index, pixels, stand_ins.step, 0.0, LOST)
        return
    empty = stand_ins.empty
    pixels = empty.means[index].astype(np.float32)[:, None, None]
    flag = of_empty_tile(bool(empty.certain[index]))
    _put(canvas, grid, index, pixels, float(empty.steps[index]) or stand_ins.step, 1.0, flag)


def _conceal(canvas: _Canvas, grid: TileGrid) -> None:
    """Carry what arrived into the tiles that are lost."""
    if all(tile.state is not None for tile in canvas.tiles.values()):
        return
    height, width = canvas.mask.shape
    known, holes = np.zeros((height, width), np.bool_), np.zeros((height, width), np.bool_)
    for index, tile in canvas.tiles.items():
        row, col, rows, cols = grid.box(index)
        row -= canvas.first
        plane = known if tile.side is not None else holes
        plane[row : row + rows, col : col + cols] = tile.state != ALL_NODATA
    fill_holes(canvas.image[:, :height, :width], known, holes)


def _parts(
    inner: slice, shape: tuple[int, ...], side: int, halo: int
) -> Iterator[tuple[slice, slice, slice, slice]]:
    """Yield parts of some rows of a canvas, and each with the halo that its result depends on."""
    halo = -(-halo // CELL) * CELL
    for row in range(inner.start, inner.stop, side):
        for col in range(0, shape[1], side):
            rows = slice(row, min(row + side, inner.stop))
            cols = slice(col, min(col + side, shape[1]))
            yield (
                rows,
                cols,
                slice(max(row - halo, 0), min(rows.stop + halo, shape[0])),
                slice(max(col - halo, 0), min(cols.stop + halo, shape[1])),
            )
