"""Rebuilding scenes of bounded tiles: no network, no image in between."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ground.decode.bounded.exact import Exact
from ground.decode.bounded.salvage import mended_tiles
from ground.decode.bounded.tile import BoundedTile, NoFrontEnd, Start
from ground.decode.concealment import fill_holes
from ground.decode.mask import Mask, salvaged
from ground.decode.nodata import keep_off_nodata, restore_nodata
from ground.decode.rebuilder import Network, Product
from ground.decode.reception import Reception
from ground.decode.salvaged import Mended
from ground.decode.vectors import Vectors
from onboard.bundle import Bundle
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.bounded.read.course import Lane
from onboard.codec.bounded.read.rest import read_rest
from onboard.codec.bounded.read.tiles import Read, TileReader
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid

_BAND_ROWS = 16
_TILES_AT_ONCE = 256


class Found(NamedTuple):
    """What was read of some tiles.

    Attributes:
        read: what arrived; of tiles whose rest arrived whole the samples are those of both parts.
        refined: (tiles,), of which that is so.
    """

    read: Read
    refined: NDArray[np.bool_]


class BoundedRebuilder:
    """Reads tiles of one shape together, some rows of tiles at a time."""

    def __init__(self, bundle: Bundle) -> None:
        """Take the codec of a bundle.

        Raises:
            BundleError: it has none.
        """
        self._codec = BoundedCodec.of(bundle.bounded)
        self._bands = -(-bundle.bands // bundle.codec.groups)

    def for_mosaic(self) -> "BoundedRebuilder":
        """Return the same: the planes of a Bayer mosaic are as they were."""
        return self

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 included."""
        return 1 + self._bands

    @property
    def in_order(self) -> bool:
        """Whether rows of tiles are final once reported: they are."""
        return True

    @property
    def refines(self) -> bool:
        """Whether the network only refines an image: it does nothing at all."""
        return True

    def graph(self, _model: bytes) -> None:
        """Return nothing: no network has anything to do."""

    def tile(self, reception: Reception, grid: TileGrid, index: int) -> BoundedTile:
        """Return what arrived of a tile of the grid, as far as it makes sense."""
        _, _, rows, cols = grid.box(index)
        tile = BoundedTile(rows, cols, NoFrontEnd(), reception.signed, self._bands)
        return reception.fill(tile, grid, index)

    def complete(self, tiles: Sequence[BoundedTile]) -> list[int]:
        """Return how many layers of each tile are whole, from layer 0 on; all are of one shape."""
        found = [0 if tile.state is None else 1 for tile in tiles]
        found = [
            self.layers if tile.state == ALL_NODATA else whole
            for tile, whole in zip(tiles, found, strict=True)
        ]
        readable = [number for number, tile in enumerate(tiles) if tile.readable]
        if readable:
            pixels = tiles[0].rows * tiles[0].cols
            read = self._first_parts([tiles[number] for number in readable])
            for number, arrived in zip(readable, read.arrived.tolist(), strict=True):
                found[number] = 1 + arrived // pixels
        return found

    def refined(self, tiles: Sequence[BoundedTile]) -> list[bool]:
        """Return whether the rest of each tile arrived whole; all are of one shape."""
        found = [False] * len(tiles)
        for part, (_, refined) in self._batches(dict(enumerate(tiles))):
            for number, whole in zip(part, refined.tolist(), strict=True):
                found[number] = whole
        return found

    def dump(self, grid: TileGrid, tiles: Sequence[BoundedTile]) -> dict[str, NDArray[Any]]:
        """Return what arrived of all tiles of a grid: samples, and which of them arrived."""
        shape = self._bands, grid.height, grid.width
        sample, arrived = np.zeros(shape, np.int32), np.zeros(shape, np.bool_)
        whole, both = np.zeros(grid.count, np.uint8), np.zeros(grid.count, np.bool_)
        for part in _alike(dict(enumerate(tiles))):
            whole[part] = self.complete([tiles[index] for index in part])
        for part, (read, refined) in self._batches(dict(enumerate(tiles))):
            both[part] = refined
            for number, index in enumerate(part):
                row, col, rows, cols = grid.box(index)
                here = slice(None), slice(row, row + rows), slice(col, col + cols)
                sample[here] = read.samples[number].reshape(-1, rows, cols)
                arrived[here] = (
                    _arrived(read, number).reshape(-1, rows, cols) & ~tiles[index].nodata
                )
        return {
            "whole": whole.reshape(grid.rows, grid.columns),
            "refined": both.reshape(grid.rows, grid.columns),
            "sample": np.where(arrived, sample, 0),
            "arrived": arrived,
        }

    def features(self, tiles: Sequence[BoundedTile]) -> Vectors:
        """Return that there are none: symbols are what prediction left, not what is there."""
        found = Vectors.none(len(tiles), wanted=1)
        found.layers[:] = [tile.state is not None for tile in tiles]
        return found

    def overviews(self) -> None:
        """Return None: tiles have no coarse layers."""

    def rebuild(
        self,
        reception: Reception,
        product: Product,
        network: Network,
        report: Callable[[int, int], None],
    ) -> None:
        """Fill a product, as `ground.decode.rebuilder.Rebuilder` promises."""
        grid = product.grid
        for first in range(0, grid.rows, _BAND_ROWS):
            stop = min(first + _BAND_ROWS, grid.rows)
            numbers = range(first * grid.columns, stop * grid.columns)
            tiles = {index: self.tile(reception, grid, index) for index in numbers}
            mended = self.mended(reception, grid, tiles)
            tiles |= {index: found.tile for index, found in mended.items()}
            rows = slice(first * grid.tile, min(stop * grid.tile, grid.height))
            known = self._put(reception, product, tiles)[:, rows]
            self._conceal(product, rows, known)
            for index, found in mended.items():
                product.mask[product.area(index)] = salvaged(product.mask[product.area(index)])
                product.reached.pop(index, None)
                reception.salvage.use(found.salvage)
            for index, tile in tiles.items():
                restore_nodata(tile, product, index)
            report(stop * grid.columns, grid.count)

    def mended(
        self, reception: Reception, grid: TileGrid, tiles: Mapping[int, BoundedTile]
    ) -> dict[int, Mended[BoundedTile]]:
        """Return those of some tiles of which anything is salvaged."""
        return mended_tiles(self._first_parts, reception, grid, tiles)

    def _put(
        self, reception: Reception, product: Product, tiles: Mapping[int, BoundedTile]
    ) -> NDArray[np.bool_]:
        """Put what can be read into a product; return (bands, rows, cols) what that is."""
        known, grid = np.zeros(product.image.shape, np.bool_), product.grid
        low, high = product.header.sample_range
        for part, (read, refined) in self._batches(tiles):
            self._refuse(reception, part, read)
            for number, index in enumerate(part):
                tile, here = tiles[index], product.area(index)
                bands = grid.bands(index, len(product.image))
                own = product.image[bands, *here]
                shape = -1, tile.rows, tile.cols
                own[:] = np.clip(read.samples[number], low, high).reshape(shape)[: len(own)]
                known[bands, *here] = _arrived(read, number).reshape(shape)[: len(own)]
                if tile.in_two_parts:
                    product.reached[index] = bool(refined[number])
        for index, tile in tiles.items():
            known[grid.bands(index, len(product.image)), *product.area(index)] &= ~tile.nodata
        for index, tile in tiles.items():
            if grid.first(index) != index:
                continue
            here = product.area(index)
            whole = known[:, *here].all(axis=0) | tile.nodata
            product.mask[here] = np.where(whole, Mask.COMPLETE, Mask.CONCEALED)
            if tile.state == ALL_NODATA:
                product.mask[here] = Mask.NODATA
        return known

    def _refuse(self, reception: Reception, part: Sequence[int], read: Read) -> None:
        for lane in read.wrong:
            reception.refuse(f"tile {part[lane.tile]}: symbols do not end")

    def exact(self, reception: Reception, tiles: Mapping[int, BoundedTile]) -> dict[int, Exact]:
        """Return what arrived of tiles, for a scene that has others, too."""
        found = {}
        for part, (read, _) in self._batches(tiles):
            self._refuse(reception, part, read)
            for number, index in enumerate(part):
                tile = tiles[index]
                samples = read.samples[number].reshape(-1, tile.rows, tile.cols)
                arrived = _arrived(read, number).all(axis=0).reshape(tile.rows, tile.cols)
                found[index] = Exact(samples, arrived | tile.nodata)
        return found

    def _conceal(self, product: Product, rows: slice, known: NDArray[np.bool_]) -> None:
        """Carry what arrived of each band into what did not."""
        lost = product.mask[rows] == Mask.CONCEALED
        if not lost.any():
            return
        low, high = product.header.sample_range
        for band, arrived in enumerate(known):
            holes = lost & ~arrived
            image = product.image[band, rows].astype(np.float32)[None]
            fill_holes(image, arrived, holes)
            samples = np.clip(np.rint(image[0]), low, high).astype(product.image.dtype)
            samples = keep_off_nodata(samples, product.header)
            product.image[band, rows][holes] = samples[holes]

    def _batches(self, tiles: Mapping[int, BoundedTile]) -> Iterator[tuple[list[int], Found]]:
        """Yield tiles of one shape by their keys, and what was read of them."""
        for part in _alike({key: tile for key, tile in tiles.items() if tile.readable}):
            yield part, self._read([tiles[key] for key in part])

    def _read(self, tiles: Sequence[BoundedTile]) -> Found:
        """Read tiles of one shape: both parts where the rest arrived whole, else the first."""
        found = self._first_parts(tiles)
        refined = np.zeros(len(tiles), np.bool_)
        whole = found.arrived == found.samples[0].size
        some = np.array([bool(tile.in_two_parts and tile.rest) for tile in tiles]) & whole
        if not some.any():
            return Found(found, refined)
        own = [tiles[number] for number in np.flatnonzero(some).tolist()]
        lanes = _lanes([tile.rest for tile in own])
        shape = own[0].rows, own[0].cols
        both = read_rest(self._reader(own), shape, _valid(own), found.take(some), lanes)
        places = np.flatnonzero(some)
        refined[places] = both.whole
        samples = found.samples.copy()
        samples[places[both.whole]] = both.samples[both.whole]
        wrong = [replace(lane, tile=int(places[lane.tile])) for lane in both.wrong]
        return Found(replace(found, samples=samples, wrong=found.wrong + wrong), refined)

    def _first_parts(self, tiles: Sequence[BoundedTile]) -> Read:
        shape = tiles[0].rows, tiles[0].cols
        lanes = _lanes([tile.lanes for tile in tiles])
        return self._reader(tiles).read(shape, _valid(tiles), lanes)

    def _reader(self, tiles: Sequence[BoundedTile]) -> TileReader:
        return TileReader(self._codec.model, self._bands, tiles[0].signed)


def _lanes(of_tiles: Sequence[Mapping[Start, bytes]]) -> list[Lane]:
    """Return the lanes of tiles."""
    return [
        Lane(number, *start, body)
        for number, lanes in enumerate(of_tiles)
        for start, body in sorted(lanes.items())
    ]


def _valid(tiles: Sequence[BoundedTile]) -> NDArray[np.bool_]:
    """Return (tiles, pixels), False where a pixel is nodata."""
    return np.stack([~tile.nodata.reshape(-1) for tile in tiles])


def _arrived(read: Read, tile: int) -> NDArray[np.bool_]:
    """Return (bands, pixels) which samples of a tile arrived."""
    bands, pixels = read.samples.shape[1:]
    found: NDArray[np.bool_] = np.arange(bands * pixels) < read.arrived[tile]
    return found.reshape(bands, pixels)


def _alike(tiles: Mapping[int, BoundedTile]) -> Iterator[list[int]]:
    """Yield the keys of tiles of one shape, so many together at most."""
    groups: dict[tuple[int, int], list[int]] = {}
    for key, tile in tiles.items():
        groups.setdefault((tile.rows, tile.cols), []).append(key)
    for members in groups.values():
        for first in range(0, len(members), _TILES_AT_ONCE):
            yield members[first : first + _TILES_AT_ONCE]
