"""Rebuilding scenes of CORSA: each tile through the decoder graph alone."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import fill_holes, nearest_means
from ground.decode.corsa.maps import MISSING, MapTile
from ground.decode.mask import Mask, influenced
from ground.decode.nodata import keep_off_nodata, restore_nodata
from ground.decode.rebuilder import Network, Product
from ground.decode.reception import Reception
from onboard.bundle import Bundle
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid
from onboard.link.header import SceneHeader

_TILES_AT_ONCE = 64
_BAND_ROWS = 16


class CorsaRebuilder:
    """Each tile goes through the graph alone and single-threaded, tiles in parallel."""

    def __init__(self, bundle: Bundle) -> None:
        self._bands, self._side = bundle.bands, bundle.tile
        self._levels, self._front_end = bundle.levels, bundle.affine

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 included."""
        return 1 + len(self._levels)

    def tile(self, reception: Reception, grid: TileGrid, index: int) -> MapTile:
        """Return what arrived of a tile of the grid, as far as it makes sense."""
        _, _, rows, cols = grid.box(index)
        tile = MapTile(rows, cols, self._front_end, reception.signed, self._levels)
        return reception.fill(tile, grid, index)

    def complete(self, tiles: Sequence[MapTile]) -> list[int]:
        """Return of each of some tiles how many layers are whole, from layer 0 on."""
        return [tile.complete for tile in tiles]

    def rebuild(
        self,
        reception: Reception,
        product: Product,
        network: Network,
        report: Callable[[int, int], None],
    ) -> None:
        """Fill a product, as `ground.decode.rebuilder.Rebuilder` promises."""
        grid, header = product.grid, product.header
        sides = reception.sides(grid, self._front_end)
        means = nearest_means(sides, grid, self._bands)

        def work(index: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
            tile = self.tile(reception, grid, index)
            pixels, flags = self._decode_tile(tile, means[index], header, network)
            return pixels.astype(product.image.dtype), flags

        with ThreadPoolExecutor(network.threads) as pool:
            for start in range(0, grid.count, _TILES_AT_ONCE):
                batch = range(start, min(start + _TILES_AT_ONCE, grid.count))
                for index, (pixels, flags) in zip(batch, pool.map(work, batch), strict=True):
                    rows, cols = product.area(index)
                    product.image[:, rows, cols], product.mask[rows, cols] = pixels, flags
                report(batch.stop, grid.count)
        _conceal(product, [index for index in range(grid.count) if index not in sides])

    def _decode_tile(
        self,
        tile: MapTile,
        nearest_means: NDArray[np.int32],
        header: SceneHeader,
        network: Network,
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the samples and the mask of a tile's valid rows and columns."""
        shape = (self._bands, tile.rows, tile.cols)
        low, high = header.sample_range
        if tile.state == ALL_NODATA:
            return np.full(shape, header.nodata or 0), np.full(shape[1:], Mask.NODATA, np.uint8)
        if tile.side is None:
            pixels = np.broadcast_to(nearest_means[:, None, None], shape).astype(np.int64)
            mask = np.full(shape[1:], Mask.CONCEALED, np.uint8)
        else:
            samples = self._synthesise(tile, network)[:, : tile.rows, : tile.cols]
            found = np.rint(self._front_end.denormalise(samples, tile.side))
            pixels, mask = found.astype(np.int64), influenced(_mask(tile), network.halo)
        return restore_nodata(np.clip(pixels, low, high), mask, tile, header, high)

    def _synthesise(self, tile: MapTile, network: Network) -> NDArray[np.float32]:
        """Run the decoder graph; a codeword that did not arrive counts as zero, the mean one."""
        inputs = []
        for level, indices in zip(self._levels, tile.maps, strict=True):
            codewords = level.codebook.codewords[np.maximum(indices, 0)].astype(np.float32)
            codewords[indices == MISSING] = 0
            side = self._side // level.reduction
            fill = [(0, side - indices.shape[0]), (0, side - indices.shape[1]), (0, 0)]
            whole = np.pad(codewords, fill, mode="symmetric")
            inputs.append(np.ascontiguousarray(whole.transpose(2, 0, 1))[None])
        samples: NDArray[np.float32] = network.session.run(inputs)[0]
        return samples


def _mask(tile: MapTile) -> NDArray[np.uint8]:
    """Return the mask of a tile whose side information arrived, nodata left aside."""
    mask = np.zeros((tile.rows, tile.cols), np.uint8)
    for number, (level, indices) in enumerate(zip(tile.levels, tile.maps, strict=True)):
        flag = Mask.FINE_MISSING if number else Mask.CONCEALED
        lost = np.repeat(indices == MISSING, level.reduction, 0).repeat(level.reduction, 1)
        mask = np.maximum(mask, np.where(lost[: tile.rows, : tile.cols], flag, 0))
    return mask


def _conceal(product: Product, lost: Sequence[int]) -> None:
    """Carry what arrived into tiles that are lost, some rows of tiles at a time."""
    grid, header = product.grid, product.header
    image, mask = product.image, product.mask
    holes = np.zeros(mask.shape, np.bool_)
    for index in lost:
        holes[product.area(index)] = True
    holes &= mask == Mask.CONCEALED
    for first in range(0, grid.height, _BAND_ROWS * grid.tile):
        core = np.s_[first : first + _BAND_ROWS * grid.tile]
        if not holes[core].any():
            continue
        wide = np.s_[max(first - grid.tile, 0) : core.stop + grid.tile]
        filled = image[:, wide].astype(np.float32)
        fill_holes(filled, ~holes[wide] & (mask[wide] != Mask.NODATA), holes[wide])
        inner = filled[:, first - wide.start :][:, : core.stop - core.start]
        pixels = np.clip(np.rint(inner), *header.sample_range).astype(np.int64)
        pixels = keep_off_nodata(pixels, header, header.sample_range[1])
        image[:, core] = np.where(holes[core], pixels, image[:, core])
