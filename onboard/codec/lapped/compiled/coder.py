"""Compiled tile coder: the same as `coder`, in the C encoder of the bundle (engine `c`).

A batch is analysed to a record for each tile, which stays as the library made it. What the library
does not take goes to numpy, which gives the same bytes.
"""

import zlib
from collections.abc import Sequence
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.agreement import Agreement
from onboard.codec.blocks import Blocks
from onboard.codec.cuts import Cuts
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.compiled.tiles import CompiledTiles
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.part import agreement
from onboard.codec.lapped.plan import Plan
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.points import PLAIN, Points
from onboard.codec.lapped.transform import Latents
from onboard.codec.tile import Body, Chosen, Steps
from onboard.engine.library import Coded, Library, Tiles, in_threads
from onboard.errors import BundleError, LimitError, UsageError
from onboard.link.crc import use_compiled

_EDGE_BYTES = 4
_MOST_BITS = 16
_BYTES = 2
"""Of a sample."""
_AT_ONCE = 64


class CompiledTileCoder:
    """Any rate from one bundle, in compiled code that holds no lock of the interpreter."""

    engine = "c"
    tiles_at_once = _AT_ONCE

    def __init__(self, reference: LappedTileCoder, library: Library, threads: int = 1) -> None:
        """Open a coder.

        Args:
            reference: the same in numpy.
            library: of its bundle.
            threads: that code tiles at once.
        """
        self.reference = reference
        self.bands, self.fraction = reference.bands, reference.fraction
        self.least_body = reference.least_body
        self._library = library
        self._threads = threads
        use_compiled(library)

    def _with(self, reference: LappedTileCoder) -> "CompiledTileCoder":
        found = copy(self)
        found.reference = reference
        found.bands, found.fraction = reference.bands, reference.fraction
        found.least_body = reference.least_body
        return found

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes, the library's left aside: see `probe`."""
        return self.reference.memory

    def using(self, quantizer: str) -> "CompiledTileCoder":
        """Return the coder that chooses indices by another kind of quantizer."""
        return self._with(self.reference.using(quantizer))

    def for_mosaic(self) -> "CompiledTileCoder":
        """Return the coder for the planes of a Bayer mosaic."""
        return self._with(self.reference.for_mosaic())

    def of_group(self, _group: int) -> "CompiledTileCoder":
        """Return the same: there is one group."""
        return self

    def components(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return the samples: there is no profile."""
        return tiles

    @property
    def form(self) -> tuple[int, int, int]:
        """Bands, rows and fraction bits of its tiles."""
        return self.reference.form

    def of_form(self, form: tuple[int, int, int]) -> "CompiledTileCoder":
        """Return the coder of scenes of another form."""
        return self._with(self.reference.of_form(form))

    def choosing(self, points: Points) -> "CompiledTileCoder":
        """Return the coder with the first quantizer that chooses among these points."""
        return self._with(self.reference.choosing(points))

    @property
    def _points(self) -> Points:
        return self.reference.scanner.quantizer.points

    def prepare(
        self, tiles: NDArray[Any] | Cuts, present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> CompiledTiles:
        """Analyse tiles: front end, then transform."""
        like = self._like(tiles, present[:, : inside[0], : inside[1]], inside)
        count, size = len(tiles), self._library.record_bytes(self.bands, tiles.shape[2])
        records = np.empty((count, size), np.uint8)
        bits, finest = np.empty((count, 256), np.uint32), np.empty(count, np.uint8)
        held, begins, *apart = _whereabouts(tiles)

        def analyse(part: slice) -> None:
            some = part.stop - part.start, records[part], bits[part], finest[part]
            self._library.call("analyse", like, begins[part], *map(np.uint64, apart), *some)

        in_threads(analyse, count, self._threads)
        del held  # whose memory that was
        addresses = np.uint64(records.ctypes.data) + np.arange(count, dtype=np.uint64) * size
        return CompiledTiles(like, (records,), addresses, bits, finest.astype(np.int64))

    def _like(
        self, tiles: NDArray[Any] | Cuts, present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> Tiles:
        """Return what tiles have in common; of pixels that are not present all bands are nodata."""
        rows, cols = inside
        front_end = self.reference.model.front_end
        depth = _MOST_BITS - self.fraction
        like = Tiles(self.bands, tiles.shape[2], depth, tiles.dtype.kind == "i")
        like.trellis = self._points.steered
        like.is_mosaic = bool(getattr(front_end, "aligned", False))
        like.rows, like.cols = rows, cols
        like.edge = 0 if (rows, cols) == tiles.shape[2:] else _EDGE_BYTES
        if not present.all():
            tile, row, col = np.argwhere(~present)[0]
            like.has_nodata, like.nodata = 1, int(np.asarray(tiles)[tile, 0, row, col]) & 0xFFFF
        return like

    def finest(self, prepared: CompiledTiles) -> Steps:
        """Return the finest step code whose symbols stay within their limit."""
        return prepared.finest

    def guess(self, prepared: CompiledTiles) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile, from how large its latents are."""
        return prepared.bits.astype(np.int64)

    def blocks(self, prepared: CompiledTiles, side: int) -> Blocks:
        """Return the blocks of tiles."""
        return self.reference.blocks(self._in_numpy(prepared), side)

    def error(self, prepared: CompiledTiles, steps: Steps, side: int) -> NDArray[np.int64]:
        """Return what the ground's squared errors of blocks will be, from their symbols."""
        return self.reference.error(self._in_numpy(prepared), steps, side)

    def guess_error(self, prepared: CompiledTiles, steps: Steps) -> NDArray[np.int64]:
        """Return roughly the squared error of each tile, from how large its latents are."""
        if steps.ndim > 1:
            return self.reference.guess_error(self._in_numpy(prepared), steps)
        codes, errors = steps.astype(np.uint8), np.empty(len(steps), np.uint64)

        def look(part: slice) -> None:
            some = prepared.records[part], codes[part], part.stop - part.start, errors[part]
            self._library.call("error", prepared.like, *some)

        in_threads(look, len(steps), self._threads)
        return errors.astype(np.int64)

    def plan(self, batch: Chosen[CompiledTiles], one_layer: bool = False) -> list[Any]:
        """Quantise tiles, cut their symbols to segments and code them."""
        count = len(batch.steps)
        if batch.steps.ndim > 1 or self._points == PLAIN:  # steps within tiles, or all signs
            return self._planned_in_numpy(batch, one_layer)
        like = Tiles.from_buffer_copy(batch.prepared.like)
        like.one_layer, like.body = one_layer, batch.room
        try:
            parts = in_threads(lambda part: self._coded(batch, like, part), count, self._threads)
        except (LimitError, UsageError):  # numpy says what is wrong, or takes it
            return self._planned_in_numpy(batch, one_layer)
        return [plan for part in parts for plan in part]

    def _planned_in_numpy(self, batch: Chosen[CompiledTiles], one_layer: bool) -> list[Any]:
        prepared = self._in_numpy(batch.prepared)
        numpy = Chosen(prepared, batch.steps, batch.states, batch.room, batch.thrift)
        return list(self.reference.plan(numpy, one_layer))

    def _coded(self, batch: Chosen[CompiledTiles], like: Tiles, part: slice) -> list[Coded]:
        """Return what becomes of a part of some tiles."""
        records, steps = batch.prepared.records[part], batch.steps[part].astype(np.uint8)
        thrift = np.zeros(len(steps), np.uint16)
        if batch.thrift is not None:
            thrift[:] = batch.thrift[part]
        return list(self._library.code("code", like, len(steps), records, steps, thrift))

    def write(self, plans: Sequence[Any]) -> list[list[Body]]:
        """Return the bodies of tiles; those of numpy are coded."""
        in_numpy = [plan for plan in plans if isinstance(plan, Plan)]
        coded = iter(self.reference.write(in_numpy) if in_numpy else ())
        return [next(coded) if isinstance(plan, Plan) else plan.bodies for plan in plans]

    def _in_numpy(self, prepared: CompiledTiles) -> PreparedTiles:
        """Return tiles as numpy has them."""
        count, bands, like = len(prepared.records), self.bands, prepared.like
        rows, cols = -(-like.rows // BLOCK), -(-like.cols // BLOCK)
        means = np.empty((count, bands), np.int32)
        angles = np.empty((count, bands * (bands - 1) // 2), np.uint8)
        shifts = np.empty(count, np.uint8)
        latents = np.empty((count, bands * BLOCK * BLOCK, rows, cols), np.int32)
        arrays = means, angles, shifts, latents
        self._library.call("latents", like, prepared.records, count, *arrays)
        largest = np.maximum(latents.max(axis=(1, 2, 3)), -latents.min(axis=(1, 2, 3)))
        cuts = pairwise((0, *self.reference.model.contexts.cuts))
        parts = tuple(latents[:, slice(*cut)].transpose(0, 2, 3, 1) for cut in cuts)
        found = Latents(parts, largest.astype(np.int64), shifts.astype(np.int64))
        return PreparedTiles(means.astype(np.int64), angles, found)

    def golden(self) -> Agreement:
        """Code the golden tiles of scenes like this, or all where there are none."""
        return agreement(self, self.reference.golden_tiles)

    def probe(self) -> int:
        """Return a checksum of the first golden tile coded.

        Raises:
            BundleError: the library's tables changed in memory.
        """
        if not self._library.is_whole():
            raise BundleError("engine c: the model's tables changed in memory")
        tile = self.reference.golden_tiles[0]
        coder = self.of_form(tile.form)
        here = np.ones((1, *tile.samples.shape[1:]), np.bool_)
        prepared = coder.prepare(tile.samples[None], here, tile.samples.shape[1:])
        return zlib.crc32(np.ascontiguousarray(coder._in_numpy(prepared).latents.parts[-1]).data)


def _whereabouts(tiles: NDArray[Any] | Cuts) -> tuple[Any, NDArray[np.uint64], int, int]:
    """Return tiles of 16 bits, where each begins, and samples from a band and a row to the next."""
    found = (
        tiles.addresses() if isinstance(tiles, Cuts) and tiles.dtype.itemsize == _BYTES else None
    )
    if found:
        begins, band, row = found
        return tiles, begins, band // _BYTES, row // _BYTES
    samples = np.ascontiguousarray(tiles).astype(np.uint16, copy=False)
    count, side = len(samples), samples.shape[2]
    begins = np.arange(count, dtype=np.uint64) * np.uint64(samples[0].nbytes)
    return samples, begins + np.uint64(samples.ctypes.data), side * side, side
