"""Windows of tiles over which the rate is controlled: analysed once, coded at any step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError, LimitError
from onboard.framing import EDGE_BYTES, HEADER_EVERY, Edge, Framing, Strip
from onboard.lappedcoder import Chosen
from onboard.layers import ALL_NODATA, ALL_VALID, SOME_NODATA
from onboard.nodatamask import pack_mask
from onboard.ratecontrol import CODES, Codes, Measure, code_for_error, codes_for_budget
from onboard.sceneheader import SceneHeader
from onboard.segment import SEGMENT_OVERHEAD, place
from onboard.tilecoder import TileCoder
from onboard.tiling import TileGrid

TILES_AT_ONCE = 24
_TRIES = 8
_GUESSED = 12
"""Tiles of a window whose sizes are guessed for all."""
_NEAR = 0.985

Segments = dict[int, list[bytes]]
"""Packed segments of tiles, by number of the tile in the scene."""


@dataclass(frozen=True)
class Batch:
    """Tiles of one shape, analysed.

    Attributes:
        indices: their numbers in the scene.
        edge: valid rows and columns, of border tiles.
        nodata: (tiles, rows, cols), of the valid rows and columns.
        prepared: what the tile coder made of them.
    """

    indices: NDArray[np.int64]
    edge: Edge
    nodata: NDArray[np.bool_]
    prepared: Any


@dataclass(frozen=True)
class Windows:
    """Windows of tiles, each with its own rate, analysed and coded together.

    Tiles that have data are numbered through the batches.

    Attributes:
        coder: codes them.
        framing: what their segments have in common.
        columns: tiles in a row.
        tile: rows of a tile.
        ranges: numbers in the scene of each window's tiles.
        batches: tiles that have data.
        empty: edges of tiles that are all nodata, by number in the scene.
    """

    coder: TileCoder
    framing: Framing
    columns: int
    tile: int
    ranges: list[range]
    batches: list[Batch]
    empty: dict[int, Edge]

    @classmethod
    def analyse(
        cls,
        coder: TileCoder,
        framing: Framing,
        windows: Sequence[NDArray[Any]],
        header: SceneHeader,
        tile: int,
        first_row: int,
    ) -> "Windows":
        """Analyse all tiles of some windows, those of one shape together.

        Args:
            coder: the tile coder.
            framing: of the scene.
            windows: (bands, rows, cols) each; all but the last of whole tiles.
            header: of the scene.
            tile: rows and columns of a tile.
            first_row: rows of tiles before these.

        Raises:
            InputError: samples beyond the significant bits.
        """
        grids = [TileGrid(lines.shape[2], lines.shape[1], tile) for lines in windows]
        columns = grids[0].columns
        firsts = np.cumsum([first_row * columns, *(grid.count for grid in grids)]).tolist()
        ranges = [range(*pair) for pair in pairwise(firsts)]
        found = cls(coder, framing, columns, tile, ranges, [], {})
        shapes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for number, grid in enumerate(grids):
            for index in range(grid.count):
                shapes.setdefault(grid.box(index)[2:], []).append((number, index))
        for shape, members in shapes.items():
            for first in range(0, len(members), TILES_AT_ONCE):
                part = members[first : first + TILES_AT_ONCE]
                tiles = np.stack([grids[n].cut(windows[n], index) for n, index in part])
                indices = np.array([firsts[n] + index for n, index in part])
                found._add(tiles, indices, shape, header)
        return found

    def _add(
        self,
        tiles: NDArray[Any],
        indices: NDArray[np.int64],
        shape: tuple[int, int],
        header: SceneHeader,
    ) -> None:
        """Analyse tiles of one shape."""
        rows, cols = shape
        edge = None if rows == cols == self.tile else shape
        present = np.ones((len(indices), *tiles.shape[2:]), np.bool_)
        if header.nodata is not None:
            present = (tiles != header.nodata).any(axis=1)
        filled = np.asarray(np.any(present[:, :rows, :cols], axis=(1, 2)))
        self.empty.update(dict.fromkeys(indices[~filled].tolist(), edge))
        if not filled.any():
            return
        tiles, present = tiles[filled], present[filled]
        _check_range(tiles, present, header)
        prepared = self.coder.prepare(tiles, present, shape)
        self.batches.append(Batch(indices[filled], edge, ~present[:, :rows, :cols], prepared))

    def at_fixed_rate(self, written: int) -> list[Strip]:
        """Return the segments where nothing can be chosen.

        Args:
            written: segments of the scene before these.
        """
        return self._strips(self._coded(self._no_codes()), written)

    def for_error(self, rmse: float, written: int) -> list[Strip]:
        """Return the segments at the coarsest steps whose modelled error is `rmse` DN."""
        codes = self._no_codes()
        for window in self.ranges:
            tiles = self._tiles(window)
            if len(tiles):
                samples = sum(
                    int((~batch.nodata[_within(batch.indices, window)]).sum())
                    for batch in self.batches
                )
                most = rmse * rmse * self.coder.bands * samples
                codes[tiles] = code_for_error(len(tiles), most, self._errors(tiles))
        return self._strips(self._coded(codes), written)

    def within(
        self, budgets: Sequence[int], spare: int, written: int, exact_to: int
    ) -> list[Strip]:
        """Return the segments at the finest steps that fit the windows' budgets.

        Args:
            budgets: bytes of each window.
            spare: what earlier windows left over, for a window whose coarsest encoding takes more
                than its budget.
            written: segments of the scene before these.
            exact_to: tiles of a window up to which the step is searched to the byte.

        Raises:
            LimitError: the coarsest encoding takes more.
        """
        searches = [
            _Search(
                window,
                budget,
                budget - self._fixed_bytes(window),
                self._sizes(window),
                self._guess(window),
                exact_to,
            )
            for window, budget in zip(self.ranges, budgets, strict=True)
        ]
        codes = self._no_codes()
        for search in searches:
            tiles = self._tiles(search.window)
            codes[tiles] = search.codes(len(tiles))
        coded = self._coded(codes)
        strips: list[Strip] = []
        for search in searches:
            settled = self._settle(search, codes, coded, spare, written)
            written += sum(len(strip.segments) for strip in settled)
            spare += search.budget - self.framing.cost(settled)
            strips += settled
        return strips

    def _settle(
        self, search: "_Search", codes: Codes, coded: Segments, spare: int, written: int
    ) -> list[Strip]:
        """Return the segments of a window, coded anew until they fit and nearly fill its budget."""
        tiles = self._tiles(search.window)
        codes = codes[tiles]
        coded = {index: coded[index] for index in search.window}
        best: list[Strip] = []
        for tries in range(_TRIES):
            strips = self._strips(coded, written)
            total = self.framing.cost(strips)
            if total <= search.budget:
                best = max(best, strips, key=self.framing.cost)
                if total >= _NEAR * search.budget or not codes.any():
                    return best
            elif codes.min(initial=CODES - 1) == CODES - 1:
                break
            # What the sizes are off by, and half a per mille so that it ends below; twice as much
            # each time it does not: sizes go by whole steps of a tile, and may ignore a little.
            over = tries if total > search.budget else 0
            search.aim += search.budget - total - (search.budget // 2000 << over)
            codes = search.codes(len(tiles))
            coded |= self._coded(codes, tiles)
        if best:
            return best
        coded |= self._coded(np.full(len(tiles), CODES - 1), tiles)
        strips = self._strips(coded, written)
        total = self.framing.cost(strips)
        if total > search.budget + spare:
            raise LimitError(
                f"budget: {search.budget} bytes for {len(search.window)} tiles, but the coarsest "
                f"step takes {total}"
            )
        return strips

    def _no_codes(self) -> Codes:
        return np.zeros(sum(len(batch.indices) for batch in self.batches), np.int64)

    def _tiles(self, window: range) -> NDArray[np.int64]:
        """Return the tiles of a window that have data."""
        indices = [batch.indices for batch in self.batches]
        return np.flatnonzero(_within(np.concatenate([*indices, np.zeros(0, int)]), window))

    def _sizes(self, window: range) -> Measure:
        """Return a measure of a window's tiles in bytes, segments and shared headers included."""
        every = self._tiles(window)
        room = self.framing.segment_bytes - SEGMENT_OVERHEAD - 10
        each = self.framing.overhead + 4 + len(self.framing.head) // HEADER_EVERY
        known: dict[tuple[bytes, int], NDArray[np.int64]] = {}

        def sizes(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            key = tiles.tobytes(), int(codes[0])
            if key not in known:
                symbols = self._over(every[tiles], self.coder.measure, codes)
                known[key] = symbols + -(-symbols // room) * each + 1
            return known[key]

        return sizes

    def _guess(self, window: range) -> NDArray[np.float64]:
        """Return roughly what the tiles of a window take at each step code, from some of them."""
        tiles = self._tiles(window)
        some = tiles[:: max(1, len(tiles) // _GUESSED)]
        bytes_ = sum(
            (self.coder.guess(prepared) for _, prepared in self._parts(some)), np.zeros(CODES)
        )
        return bytes_ * (len(tiles) / max(len(some), 1))

    def _errors(self, every: NDArray[np.int64]) -> Measure:
        """Return a measure of the squared error of some tiles."""
        return lambda tiles, codes: self._over(every[tiles], self.coder.error, codes)

    def _fixed_bytes(self, window: range) -> int:
        """Return the bytes of a window that no step changes: a header, masks, edges, nodata."""
        room = self.framing.room((self.tile, self.tile))
        overhead = self.framing.overhead
        empty = sum(index in window for index in self.empty)
        spent = len(self.framing.head) + (overhead + EDGE_BYTES + 1) * empty
        for batch in self.batches:
            edge = EDGE_BYTES if batch.edge else 0
            for nodata in batch.nodata[_within(batch.indices, window)]:
                masks = pack_mask(nodata, room) if nodata.any() else []
                spent += edge + sum(overhead + edge + len(body) for _, body in masks)
        return spent

    def _over(self, tiles: NDArray[np.int64], measure: Any, codes: Codes) -> NDArray[np.int64]:
        """Measure some tiles at their codes."""
        found = np.zeros(len(tiles), np.int64)
        for places, prepared in self._parts(tiles):
            finest = self.coder.finest(prepared)
            found[places] = measure(prepared, np.maximum(codes[places], finest))
        return found

    def _parts(self, tiles: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield places in `tiles` and those tiles; a few from many batches come as one."""
        few: dict[Edge, list[tuple[NDArray[np.int64], Any]]] = {}
        for batch, places, own in self._split(tiles):
            part = places, self.coder.take(batch.prepared, own)
            if len(tiles) > TILES_AT_ONCE:
                yield part
            else:
                few.setdefault(batch.edge, []).append(part)
        for parts in few.values():
            yield (
                np.concatenate([places for places, _ in parts]),
                self.coder.join([prepared for _, prepared in parts]),
            )

    def _split(
        self, tiles: NDArray[np.int64]
    ) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield batches, where in `tiles` theirs are, and their numbers in the batch."""
        first = 0
        for batch in self.batches:
            stop = first + len(batch.indices)
            places = np.flatnonzero((tiles >= first) & (tiles < stop))
            if len(places):
                yield batch, places, tiles[places] - first
            first = stop

    def _coded(self, codes: Codes, tiles: NDArray[np.int64] | None = None) -> Segments:
        """Return the segments of tiles at these steps; of all tiles, those all nodata included."""
        chosen, picked = [], []
        for batch, places, own in self._split(np.arange(len(codes)) if tiles is None else tiles):
            prepared = self.coder.take(batch.prepared, own)
            within = np.maximum(codes[places], self.coder.finest(prepared))
            nodata = batch.nodata[own]
            states = [SOME_NODATA if gaps.any() else ALL_VALID for gaps in nodata]
            chosen.append(Chosen(prepared, within, states, self.framing.room(batch.edge)))
            picked.append((batch.indices[own].tolist(), batch.edge, nodata))
        coded = self.coder.code(chosen, self.framing.one_layer) if chosen else []
        empty = self.empty.items() if tiles is None else ()
        found = {
            index: [self.framing.tile(index, edge, 0, 0, bytes([ALL_NODATA]))]
            for index, edge in empty
        }
        for (indices, edge, nodata), choice, bodies in zip(picked, chosen, coded, strict=True):
            for index, gaps, pieces in zip(indices, nodata, bodies, strict=True):
                found[index] = [self.framing.tile(index, edge, *piece) for piece in pieces]
                for first, body in pack_mask(gaps, choice.room) if gaps.any() else ():
                    found[index].append(self.framing.mask(index, edge, first, body))
        return found

    def _strips(self, coded: Segments, written: int) -> list[Strip]:
        """Sort segments to rows of tiles, scene headers between.

        Where each segment holds one layer, a row goes layer by layer: so a packet holds the same
        layer of several tiles, and packets can be scheduled apart.
        """
        rows: dict[int, list[bytes]] = {}
        for index in sorted(coded):
            rows.setdefault(index // self.columns * self.tile, []).extend(coded[index])
        strips = []
        for line, segments in rows.items():
            strip = Strip(line, [])
            for segment in sorted(segments, key=place) if self.framing.one_layer else segments:
                if written % HEADER_EVERY == 0:
                    strip.segments.append(self.framing.head)
                    written += 1
                strip.segments.append(segment)
                written += 1
            strips.append(strip)
        return strips


@dataclass
class _Search:
    """The search for the codes of a window: its budget, and the bytes of symbols aimed at."""

    window: range
    budget: int
    aim: int
    sizes: Measure
    guess: NDArray[np.float64]
    exact_to: int

    def codes(self, count: int) -> Codes:
        """Return codes for the aim, the coarsest if none is coarse enough."""
        if not count:
            return np.zeros(0, np.int64)
        try:
            return codes_for_budget(count, max(self.aim, 0), self.sizes, self.guess, self.exact_to)
        except LimitError:
            return np.full(count, CODES - 1)


def _within(indices: NDArray[np.int64], window: range) -> NDArray[np.bool_]:
    return (indices >= window.start) & (indices < window.stop)


def _check_range(tiles: NDArray[Any], present: NDArray[np.bool_], header: SceneHeader) -> None:
    """Refuse samples that the significant bits of the header cannot hold."""
    low, high = header.sample_range
    samples = tiles if present.all() else tiles.transpose(0, 2, 3, 1)[present]
    if int(samples.min()) < low or int(samples.max()) > high:
        raise InputError(
            f"samples: expected {low}..{high} ({header.significant_bits} significant bits), "
            f"found {samples.min()}..{samples.max()}"
        )
