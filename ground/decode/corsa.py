"""Rebuilding scenes of fixed-length indices: each tile through the decoder graph alone."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import fill_holes, nearest_means
from ground.decode.graph import FloatSession
from ground.decode.mask import Mask, influenced
from ground.decode.nodata import keep_off_nodata, restore_nodata
from ground.decode.reception import MISSING, Reception, TileReception
from onboard.bundle import Bundle
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.frontend import AffineSide
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid
from onboard.link.header import SceneHeader

_TILES_AT_ONCE = 64
_BAND_ROWS = 16


class PyramidRebuilder:
    """Each tile goes through the graph alone and single-threaded, tiles in parallel."""

    def __init__(self, bundle: Bundle, session: FloatSession) -> None:
        self.bundle = bundle
        self.codec = CorsaCodec.of(bundle.codec)
        self.session = session
        self.ring = int(session.metadata.get("radius", bundle.tile))

    def rebuild(
        self,
        reception: Reception,
        grid: TileGrid,
        header: SceneHeader,
        threads: int,
        image: NDArray[Any],
        mask: NDArray[np.uint8],
        report: Callable[[int, int], None],
    ) -> None:
        """Fill image (bands, rows, cols) and mask (rows, cols)."""
        means = nearest_means(reception.sides(grid), grid, self.bundle.bands)

        def work(index: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
            pixels, flags = self._decode_tile(reception.tile(grid, index), means[index], header)
            return pixels.astype(image.dtype), flags

        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, grid.count, _TILES_AT_ONCE):
                batch = range(start, min(start + _TILES_AT_ONCE, grid.count))
                for index, (pixels, flags) in zip(batch, pool.map(work, batch), strict=True):
                    row, col, rows, cols = grid.box(index)
                    image[:, row : row + rows, col : col + cols] = pixels
                    mask[row : row + rows, col : col + cols] = flags
                report(batch.stop, grid.count)
        sides = reception.sides(grid)
        lost = [index for index in range(grid.count) if index not in sides]
        _conceal(image, mask, grid, lost, header)

    def _decode_tile(
        self, tile: TileReception, nearest_means: NDArray[np.int32], header: SceneHeader
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the samples and the mask of a tile's valid rows and columns."""
        shape = (self.bundle.bands, tile.rows, tile.cols)
        low, high = header.sample_range
        if tile.state == ALL_NODATA:
            return np.full(shape, header.nodata or 0), np.full(shape[1:], Mask.NODATA, np.uint8)
        if not isinstance(tile.side, AffineSide):
            pixels = np.broadcast_to(nearest_means[:, None, None], shape).astype(np.int64)
            mask = np.full(shape[1:], Mask.CONCEALED, np.uint8)
        else:
            samples = self._synthesise(tile)[:, : tile.rows, : tile.cols]
            found = np.rint(self.codec.front_end.denormalise(samples, tile.side))
            pixels, mask = found.astype(np.int64), self._mask(tile)
        return restore_nodata(np.clip(pixels, low, high), mask, tile, header, high)

    def _synthesise(self, tile: TileReception) -> NDArray[np.float32]:
        """Run the decoder graph; a codeword that did not arrive counts as zero, the mean one."""
        inputs = []
        for level, indices in zip(self.codec.levels, tile.maps, strict=True):
            codewords = level.codebook.codewords[np.maximum(indices, 0)].astype(np.float32)
            codewords[indices == MISSING] = 0
            side = self.bundle.tile // level.reduction
            fill = [(0, side - indices.shape[0]), (0, side - indices.shape[1]), (0, 0)]
            whole = np.pad(codewords, fill, mode="symmetric")
            inputs.append(np.ascontiguousarray(whole.transpose(2, 0, 1))[None])
        samples: NDArray[np.float32] = self.session.run(inputs)[0]
        return samples

    def _mask(self, tile: TileReception) -> NDArray[np.uint8]:
        """Return the mask of a tile whose side information arrived, nodata left aside."""
        mask = np.zeros((tile.rows, tile.cols), np.uint8)
        for number, (level, indices) in enumerate(zip(self.codec.levels, tile.maps, strict=True)):
            flag = Mask.FINE_MISSING if number else Mask.CONCEALED
            lost = np.repeat(indices == MISSING, level.reduction, 0).repeat(level.reduction, 1)
            mask = np.maximum(mask, np.where(lost[: tile.rows, : tile.cols], flag, 0))
        return influenced(mask, self.ring)


def _conceal(
    image: NDArray[Any],
    mask: NDArray[np.uint8],
    grid: TileGrid,
    lost: Sequence[int],
    header: SceneHeader,
) -> None:
    """Carry what arrived into tiles that are lost, some rows of tiles at a time."""
    holes = np.zeros(mask.shape, np.bool_)
    for index in lost:
        row, col, rows, cols = grid.box(index)
        holes[row : row + rows, col : col + cols] = True
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
