"""Rebuilding scenes of the lapped codec: linear synthesis per tile, refinement across tiles."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.bounded.exact import Exact, put_exact
from ground.decode.bounded.rebuild import BoundedRebuilder
from ground.decode.bounded.tile import BoundedTile
from ground.decode.graphs.compiled import CompiledGraph
from ground.decode.lapped.canvas import Canvas, Patch
from ground.decode.lapped.compiled import CompiledReader
from ground.decode.lapped.dump import dump_symbols
from ground.decode.lapped.errorguess import ErrorGuess
from ground.decode.lapped.features import FeatureReader
from ground.decode.lapped.lanes import LaneTile, alike, complete_layers, read_lanes
from ground.decode.lapped.overview import Overviews
from ground.decode.lapped.refinement import refine
from ground.decode.lapped.salvage import LaneSalvage, refused
from ground.decode.lapped.samples import putting
from ground.decode.lapped.standins import StandInsOf
from ground.decode.lapped.tiles import linear_tiles
from ground.decode.mask import Mask, of_tile, open_below, salvaged, with_halo
from ground.decode.nodata import restore_nodata
from ground.decode.rebuilder import Network, Product
from ground.decode.reception import Reception
from ground.decode.vectors import Vectors
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.context import LATTICES
from onboard.codec.lapped.frontends.frontend import LappedSide
from onboard.codec.lapped.quantizers.points import points_of
from onboard.codec.lapped.read.layers import LayerReader
from onboard.codec.tile import EMPTY
from onboard.errors import UsageError
from onboard.image.tiles import TileGrid

_BAND_ROWS = 16
_FINEST = 0.5
"""DN; the finest step."""
_TILES_AT_ONCE = 256


class LappedRebuilder:
    """Works on bands of tile rows, so that memory beyond the image depends on its width."""

    def __init__(self, bundle: Bundle, exact: bool = False) -> None:
        """Take the codec of a bundle; `exact`: reckon as for the exact image (SPEC.md, 12)."""
        self._exact = exact
        codec = LappedCodec.of(bundle.codec)
        self._coder, self._profile = codec.model, codec.profile
        if exact and codec.profile:
            raise UsageError("exact image: expected no spectral profile, which is turned back")
        self._reader = LayerReader(self._coder)
        self._salvage = LaneSalvage(self._reader)
        self._compiled = CompiledReader.of(codec)
        self._guess = ErrorGuess.of(self._coder)
        self._bounded = BoundedRebuilder(bundle) if bundle.bounded else None

    @cached_property
    def _features(self) -> FeatureReader:
        return FeatureReader(self._reader)

    def for_mosaic(self) -> "LappedRebuilder":
        """Return what rebuilds the planes of a Bayer mosaic.

        Raises:
            UsageError: the exact image is asked for.
        """
        if self._exact:
            raise UsageError("exact image: expected no Bayer mosaic, whose planes are moved back")
        found = copy(self)
        front_end = self._coder.front_end.for_mosaic()
        found._coder = replace(self._coder, front_end=front_end)
        found._compiled = None
        return found

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 included."""
        return 1 + self._coder.contexts.layers

    @property
    def in_order(self) -> bool:
        """Whether rows of tiles are final once reported: they are."""
        return True

    @property
    def refines(self) -> bool:
        """Whether the network only refines an image: it does."""
        return True

    def graph(self, model: bytes) -> CompiledGraph | None:
        """Return what runs the decoder graph in compiled code; None where onnxruntime has to."""
        return CompiledGraph.of(model, self._compiled.library) if self._compiled else None

    def overviews(self) -> Overviews | None:
        """Return what makes overviews from coarse layers: not of mosaics."""
        if self._coder.front_end.aligned:
            return None
        return Overviews(self._reader, self._profile)

    def tile(self, reception: Reception, grid: TileGrid, index: int) -> LaneTile | BoundedTile:
        """Return what arrived of a tile of the grid, as far as it makes sense."""
        if self._bounded and reception.says_bounded(index):
            return self._bounded.tile(reception, grid, index)
        _, _, rows, cols = grid.box(index)
        tile = LaneTile(rows, cols, self._coder.front_end, reception.signed)
        return reception.fill(tile, grid, index)

    def complete(self, tiles: Sequence[LaneTile | BoundedTile]) -> list[int]:
        """Return how many layers of each tile are whole, from layer 0 on; all are of one shape."""
        lossy, exact = _apart(dict(enumerate(tiles)))
        found = dict(zip(lossy, complete_layers(self._reader, [*lossy.values()]), strict=True))
        if self._bounded and exact:
            whole = self._bounded.complete([*exact.values()])
            every = self._bounded.layers
            found |= {
                place: self.layers if layers == every else min(layers, self.layers - 1)
                for place, layers in zip(exact, whole, strict=True)
            }
        return [found[place] for place in range(len(tiles))]

    def refined(self, tiles: Sequence[LaneTile | BoundedTile]) -> list[bool]:
        """Return that none is in two parts: then all tiles of a scene are."""
        return [False] * len(tiles)

    def dump(
        self, grid: TileGrid, tiles: Sequence[LaneTile | BoundedTile]
    ) -> dict[str, NDArray[Any]]:
        """Return what arrived of all tiles of a grid, before it becomes an image."""
        lossy, exact = _apart(dict(enumerate(tiles)))
        empty = {
            index: LaneTile(tile.rows, tile.cols, self._coder.front_end, tile.signed)
            for index, tile in exact.items()
        }
        found = dump_symbols(self._reader, grid, [(lossy | empty)[n] for n in range(len(tiles))])
        for index in exact:
            found["whole"].reshape(-1)[index] = self.complete([exact[index]])[0]
        return found

    def features(self, tiles: Sequence[LaneTile | BoundedTile]) -> Vectors:
        """Return a vector for each tile; tiles within a bound have none."""
        lossy, _ = _apart(dict(enumerate(tiles)))
        return self._features.vectors(lossy, len(tiles))

    def rebuild(
        self,
        reception: Reception,
        product: Product,
        network: Network,
        report: Callable[[int, int], None],
    ) -> None:
        """Fill a product, as `ground.decode.rebuilder.Rebuilder` promises."""
        grid = product.grid
        halo = -(-network.halo // grid.tile)
        stand_ins = StandInsOf(reception, grid, self._coder.front_end, halo)
        scale = 2.0**-self._coder.front_end.fraction
        with ThreadPoolExecutor(network.threads) as pool:
            for first in range(0, grid.rows, _BAND_ROWS):
                stop = min(first + _BAND_ROWS, grid.rows)
                wide = range(max(first - halo, 0), min(stop + halo, grid.rows))
                canvas, tiles, exact = self._canvas(reception, product, wide, stand_ins)
                inner = range(first * grid.tile, min(stop * grid.tile, grid.height))
                here = slice(inner.start, inner.stop)
                put = putting(product, here, canvas.first, self._profile, scale)
                refine(canvas, inner, pool, network, put)
                mask = with_halo(canvas.mask, network.halo)
                if stop == grid.rows and not reception.height_known:
                    open_below(mask, network.halo)
                product.mask[here] = mask[here.start - canvas.first : here.stop - canvas.first]
                for index in range(first * grid.columns, stop * grid.columns):
                    if index in exact:
                        put_exact(product, index, exact)
                    if index in canvas.salvaged:
                        own = product.area(index)
                        product.mask[own] = salvaged(product.mask[own])
                    restore_nodata(tiles[index], product, index)
                report(stop * grid.columns, grid.count)

    def _canvas(
        self, reception: Reception, product: Product, rows: range, stand_ins: StandInsOf
    ) -> tuple[Canvas, dict[int, LaneTile | BoundedTile], dict[int, Exact]]:
        """Return some rows of tiles, each tile rebuilt alone, and what arrived of them.

        Of those within a bound also what that says. Errors to expect go to the product.
        """
        grid = product.grid
        numbers = range(rows.start * grid.columns, rows.stop * grid.columns)
        tiles = {index: self.tile(reception, grid, index) for index in numbers}
        canvas = Canvas.blank(grid, rows, self._coder.front_end.bands)
        lossy, bounded = _apart(tiles)
        mended = self._salvage.mended(reception, grid, lossy)
        shown = lossy | {index: found.tile for index, found in mended.items()}
        self._put_lossy(canvas, shown, reception, product.errors)
        for index in refused(canvas, mended, shown):
            del mended[index]
            shown[index] = lossy[index]
            self._put_lossy(canvas, {index: lossy[index]}, reception, product.errors)
        final = self._bounded.mended(reception, grid, bounded) if self._bounded else {}
        bounded |= {index: found.tile for index, found in final.items()}
        exact = self._bounded.exact(reception, bounded) if self._bounded and bounded else {}
        tiles |= {**shown, **bounded}
        for index, tile in tiles.items():
            if index in exact:
                canvas.put(index, self._patch(exact[index]))
            elif tile.side is None:
                canvas.put(index, stand_ins.chosen.of(index, tile))
        canvas.salvage([*mended, *final])
        reception.salvage.use(one for found in mended.values() for one in found.salvage)
        reception.salvage.use(one for found in final.values() for one in found.salvage)
        for index in mended:
            product.errors.pop(index, None)
        canvas.conceal(tiles, {index: found.known for index, found in exact.items()})
        canvas.fill_up()
        return canvas, tiles, exact

    def _put_lossy(
        self,
        canvas: Canvas,
        tiles: Mapping[int, LaneTile],
        reception: Reception,
        errors: dict[int, float],
    ) -> None:
        """Put tiles of any shapes and codings on a canvas, unless lost; note their errors."""
        for members in alike(tiles, _TILES_AT_ONCE):
            self._put_tiles(canvas, {n: tiles[n] for n in members}, reception, errors)

    def _put_whole(
        self,
        compiled: CompiledReader,
        canvas: Canvas,
        tiles: Mapping[int, LaneTile],
        sides: dict[int, LappedSide],
        errors: dict[int, float],
    ) -> None:
        """Put those tiles on a canvas that arrived whole; take them out of those that are left."""
        if not sides:
            return
        given = [tiles[index] for index in sides], list(sides.values())
        pixels = [canvas.pixels(index) for index in sides]
        whole, expected = compiled.rebuild(*given, pixels, self._exact)
        share = points_of(given[0][0].coding).plain_share
        for number, (index, side) in enumerate(list(sides.items())):
            if whole[number]:
                patch = Patch(pixels[number], side.step * share, 1.0, Mask.COMPLETE)
                canvas.note(index, patch)
                errors[index] = float(expected[number])
                del sides[index]

    def _patch(self, exact: Exact) -> Patch:
        """Return what the network sees of a tile within a bound: the finest step."""
        scale = np.float32(2.0**self._coder.front_end.fraction)
        value = Mask.COMPLETE if exact.known.all() else Mask.CONCEALED
        return Patch(exact.samples.astype(np.float32) * scale, _FINEST, 1.0, value)

    def _put_tiles(
        self,
        canvas: Canvas,
        tiles: Mapping[int, LaneTile],
        reception: Reception,
        errors: dict[int, float],
    ) -> None:
        """Put tiles of one shape, coded alike, on a canvas, unless lost; note their errors."""
        sides = {index: tile.side for index, tile in tiles.items() if tile.side is not None}
        for index in [index for index in sides if tiles[index].coding & EMPTY]:
            nothing = np.zeros((self._coder.bands, 1, 1), np.float32)
            canvas.put(index, Patch(nothing, _FINEST, 1.0, Mask.COMPLETE))
            del sides[index]
        if self._compiled is not None:
            self._put_whole(self._compiled, canvas, tiles, sides, errors)
        if not sides:
            return
        found = read_lanes(self._reader, [tiles[index] for index in sides])
        for lane in found.wrong:
            reception.refuse(f"tile {list(sides)[lane.tile]}: symbols do not end")
        layers = self._coder.contexts.layers
        steps = np.array([side.step for side in sides.values()])
        guessed = self._guess.errors(found, steps).tolist()
        whole = found.complete == layers
        errors |= {index: guessed[number] for number, index in enumerate(sides) if whole[number]}
        rebuilt = linear_tiles(self._coder, found, list(sides.values()), self._exact)
        for index, pixels, whole in zip(sides, rebuilt, found.complete.tolist(), strict=True):
            inside = pixels[:, : tiles[index].rows, : tiles[index].cols]
            step = tiles[index].steps * found.points.plain_share
            canvas.put(index, Patch(inside, step, whole / layers, of_tile(whole, layers, LATTICES)))


def _apart(
    tiles: Mapping[int, LaneTile | BoundedTile],
) -> tuple[dict[int, LaneTile], dict[int, BoundedTile]]:
    """Return the tiles of a rate, and those within a bound."""
    bounded = {index: tile for index, tile in tiles.items() if isinstance(tile, BoundedTile)}
    return {n: tile for n, tile in tiles.items() if isinstance(tile, LaneTile)}, bounded
