"""Rebuilding scenes of CORSA: each tile through the decoder graph alone."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.concealment import fill_holes, nearest_means
from ground.decode.corsa.dump import dump_indices
from ground.decode.corsa.features import pooled_codewords
from ground.decode.corsa.maps import MISSING, MapTile
from ground.decode.mask import LOST, Mask, of_positions, salvaged, with_halo
from ground.decode.nodata import keep_off_nodata, restore_nodata
from ground.decode.rebuilder import Network, Product
from ground.decode.reception import Reception
from ground.decode.salvaged import Mended, places, with_segment
from ground.decode.sides import sides_of
from ground.decode.vectors import Vectors
from onboard.bundle import Bundle
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.frontend import AffineSide
from onboard.errors import StreamError
from onboard.image.tiles import TileGrid

_TILES_AT_ONCE = 64
_BAND_ROWS = 16


class CorsaRebuilder:
    """Each tile goes through the graph alone and single-threaded, tiles in parallel."""

    def __init__(self, bundle: Bundle) -> None:
        self._bands, self._side = bundle.bands, bundle.tile
        codec = CorsaCodec.of(bundle.codec)
        self._levels, self._front_end = codec.levels, codec.front_end

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 included."""
        return 1 + len(self._levels)

    @property
    def in_order(self) -> bool:
        """Whether rows of tiles are final once reported: lost ones are filled at the end."""
        return False

    @property
    def refines(self) -> bool:
        """Whether the network only refines an image: it makes it."""
        return False

    def for_mosaic(self) -> "CorsaRebuilder":
        """Refuse: the network knows no mosaics."""
        raise StreamError("Bayer mosaic: expected one of coder rans, found one of coder fixed")

    def graph(self, _model: bytes) -> None:
        """Return nothing: its networks run in onnxruntime."""

    def tile(self, reception: Reception, grid: TileGrid, index: int) -> MapTile:
        """Return what arrived of a tile of the grid, as far as it makes sense."""
        _, _, rows, cols = grid.box(index)
        tile = MapTile(rows, cols, self._front_end, reception.signed, self._levels)
        return reception.fill(tile, grid, index)

    def complete(self, tiles: Sequence[MapTile]) -> list[int]:
        """Return how many layers of each tile are whole, from layer 0 on."""
        return [tile.complete for tile in tiles]

    def refined(self, tiles: Sequence[MapTile]) -> list[bool]:
        """Return that none is in two parts."""
        return [False] * len(tiles)

    def dump(self, grid: TileGrid, tiles: Sequence[MapTile]) -> dict[str, NDArray[Any]]:
        """Return what arrived of all tiles of a grid, before it becomes an image."""
        return dump_indices(self._levels, grid, tiles)

    def features(self, tiles: Sequence[MapTile]) -> Vectors:
        """Return the pooled codewords of each tile."""
        return pooled_codewords(self._levels, tiles)

    def overviews(self) -> None:
        """Return None: the network makes tiles of all their layers."""

    def rebuild(
        self,
        reception: Reception,
        product: Product,
        network: Network,
        report: Callable[[int, int], None],
    ) -> None:
        """Fill a product, as `ground.decode.rebuilder.Rebuilder` promises."""
        grid, header = product.grid, product.header
        sides = sides_of(reception, grid, self._front_end)
        means = nearest_means(sides, grid, self._bands)

        def work(index: int, mended: Mended[MapTile]) -> None:
            here, tile = product.area(index), mended.tile
            if tile.side is None:
                samples = means[index][:, None, None].astype(np.int64)
                product.mask[here] = LOST
            else:
                samples = self._decoded(tile, tile.side, network)
                product.mask[here] = with_halo(of_positions(_lost(tile)), network.halo)
            samples = np.clip(samples, *header.sample_range)
            product.image[:, *here] = keep_off_nodata(samples, header)
            if mended.salvage:
                product.mask[here] = salvaged(product.mask[here])
            restore_nodata(tile, product, index)

        with ThreadPoolExecutor(network.threads) as pool:
            for start in range(0, grid.count, _TILES_AT_ONCE):
                batch = range(start, min(start + _TILES_AT_ONCE, grid.count))
                # Tiles are read one after the other, so that what is refused has one order.
                tiles = (self._mended(reception, grid, index) for index in batch)
                list(pool.map(work, batch, tiles))
                report(batch.stop, grid.count)
        _conceal(product, [index for index in range(grid.count) if index not in sides])

    def _mended(self, reception: Reception, grid: TileGrid, index: int) -> Mended[MapTile]:
        """Return what arrived of a tile, and of its damaged segments those with one wrong bit.

        Nothing in an index tells whether it is right: what cannot be put right is left out.
        """
        found = Mended(self.tile(reception, grid, index), ())
        for alternatives in places(reception, grid, index):
            for one in alternatives:
                tile = with_segment(found.tile, one.segment, grid.tile) if one.wrong == 1 else None
                if tile is not None:
                    found = Mended(tile, (*found.salvage, one))
                    break
        reception.salvage.use(found.salvage)
        return found

    def _decoded(self, tile: MapTile, side: AffineSide, network: Network) -> NDArray[np.int64]:
        """Return a tile's valid rows and columns (bands, rows, cols) in whole DN."""
        decoded = self._synthesise(tile, network)[:, : tile.rows, : tile.cols]
        return np.rint(self._front_end.denormalise(decoded, side)).astype(np.int64)

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


def _lost(tile: MapTile) -> list[NDArray[np.bool_]]:
    """Return the pixels (rows, cols) that each level of a tile is lost for."""
    return [
        (indices == MISSING)
        .repeat(level.reduction, 0)
        .repeat(level.reduction, 1)[: tile.rows, : tile.cols]
        for level, indices in zip(tile.levels, tile.maps, strict=True)
    ]


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
        pixels = keep_off_nodata(pixels, header)
        image[:, core] = np.where(holes[core], pixels, image[:, core])
