"""Windows of tiles over which the rate is controlled: analysed once, coded at any step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import ALL_NODATA, ALL_VALID, SOME_NODATA, Chosen, TileCoder, TilePlan
from onboard.encoder.search import Codes, code_for_error
from onboard.errors import InputError
from onboard.image.tiles import TileGrid
from onboard.link.framing import HEADER_EVERY, Edge, Framing, Strip
from onboard.link.header import SceneHeader
from onboard.link.mask import pack_mask
from onboard.link.segment import is_wide, pack_segments

TILES_AT_ONCE = 32
T = TypeVar("T")

Segments = dict[int, list[tuple[int, int, bytes]]]
"""Starting layer, starting place and packed bytes of the segments of tiles, by number of the tile
in the scene."""
Lengths = dict[int, list[tuple[int, int, int]]]
"""The same with their lengths instead."""


@dataclass(frozen=True)
class Batch:
    """Tiles of one shape, analysed.

    Attributes:
        indices: their numbers in the scene.
        edge: valid rows and columns, of border tiles.
        wide: whether their indices take four bytes.
        nodata: (tiles, rows, cols), of the valid rows and columns.
        prepared: what the tile coder made of them.
    """

    indices: NDArray[np.int64]
    edge: Edge
    wide: bool
    nodata: NDArray[np.bool_]
    prepared: Any


@dataclass(frozen=True)
class Planned:
    """A tile at the step chosen for it, not coded yet.

    Attributes:
        index: number in the scene.
        edge: valid rows and columns, of a border tile.
        plan: what the tile coder made of it.
    """

    index: int
    edge: Edge
    plan: TilePlan


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
        shapes: dict[tuple[tuple[int, int], bool], list[tuple[int, int]]] = {}
        for number, grid in enumerate(grids):
            for index in range(grid.count):
                like = grid.box(index)[2:], is_wide(firsts[number] + index)
                shapes.setdefault(like, []).append((number, index))
        for (shape, wide), members in shapes.items():
            for first in range(0, len(members), TILES_AT_ONCE):
                part = members[first : first + TILES_AT_ONCE]
                tiles = np.stack([grids[n].cut(windows[n], index) for n, index in part])
                indices = np.array([firsts[n] + index for n, index in part])
                found._add(tiles, indices, shape, wide, header)
        return found

    def _add(
        self,
        tiles: NDArray[Any],
        indices: NDArray[np.int64],
        shape: tuple[int, int],
        wide: bool,
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
        nodata = ~present[:, :rows, :cols]
        self.batches.append(Batch(indices[filled], edge, wide, nodata, prepared))

    def at_fixed_rate(self, written: int) -> list[Strip]:
        """Return the segments where nothing can be chosen.

        Args:
            written: segments of the scene before these.
        """
        return self._at(np.zeros(self.count, np.int64), written)

    def for_error(self, rmse: float, written: int) -> list[Strip]:
        """Return the segments at the coarsest steps whose modelled error is `rmse` DN."""
        codes = np.zeros(self.count, np.int64)
        for window in self.ranges:
            tiles = self.tiles(window)
            if len(tiles):
                samples = sum(
                    int((~batch.nodata[_within(batch.indices, window)]).sum())
                    for batch in self.batches
                )
                most = rmse * rmse * self.coder.bands * samples
                codes[tiles] = code_for_error(most, partial(self._error, tiles))
        return self._at(codes, written)

    def _at(self, codes: Codes, written: int) -> list[Strip]:
        """Return the segments at these steps."""
        coded = self.write(self.plan(np.arange(self.count), codes))
        return self.strips(range(self.ranges[0].start, self.ranges[-1].stop), coded, written)

    @property
    def count(self) -> int:
        """Tiles that have data."""
        return sum(len(batch.indices) for batch in self.batches)

    def tiles(self, window: range) -> NDArray[np.int64]:
        """Return the tiles of a window that have data, as numbered through the batches."""
        indices = [batch.indices for batch in self.batches]
        return np.flatnonzero(_within(np.concatenate([*indices, np.zeros(0, int)]), window))

    def guess(self, tiles: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile at each step code."""
        return self._of_each(tiles, self.coder.guess, (len(tiles), 256))

    def finest(self, tiles: NDArray[np.int64]) -> Codes:
        """Return the finest step code that each tile allows."""
        return self._of_each(tiles, self.coder.finest, (len(tiles),))

    def _of_each(
        self, tiles: NDArray[np.int64], what: Any, shape: tuple[int, ...]
    ) -> NDArray[np.int64]:
        found = np.zeros(shape, np.int64)
        for batch, places, own in self._split(tiles):
            found[places] = what(self.coder.take(batch.prepared, own))
        return found

    def _error(self, tiles: NDArray[np.int64], code: int) -> int:
        """Return the modelled squared error of some tiles at a code."""
        found = 0
        for batch, _, own in self._split(tiles):
            prepared = self.coder.take(batch.prepared, own)
            codes = np.maximum(code, self.coder.finest(prepared))
            found += int(self.coder.error(prepared, codes).sum())
        return found

    def plan(self, tiles: NDArray[np.int64], codes: Codes) -> list[Planned]:
        """Quantise tiles at these steps, those of one shape together, and cut them to segments."""
        planned: list[Planned | None] = [None] * len(tiles)
        for parts in self._parts(tiles):
            places = np.concatenate([places for places, _, _ in parts])
            prepared = self.coder.join([self.coder.take(b.prepared, own) for _, b, own in parts])
            within = np.maximum(codes[places], self.coder.finest(prepared))
            states = [
                SOME_NODATA if batch.nodata[number].any() else ALL_VALID
                for _, batch, own in parts
                for number in own
            ]
            like = parts[0][1]
            room = self.framing.room(like.edge, like.wide)
            chosen = Chosen(prepared, within, states, room)
            indices = [int(batch.indices[number]) for _, batch, own in parts for number in own]
            plans = self.coder.plan(chosen, self.framing.one_layer)
            for place, index, plan in zip(places, indices, plans, strict=True):
                planned[place] = Planned(index, like.edge, plan)
        return [tile for tile in planned if tile is not None]

    def _parts(
        self, tiles: NDArray[np.int64]
    ) -> Iterator[list[tuple[NDArray[np.int64], Batch, NDArray[np.int64]]]]:
        """Yield tiles of one shape and room, as many together as the coder likes, from `_split`."""
        waiting: dict[
            tuple[Edge, bool], list[tuple[NDArray[np.int64], Batch, NDArray[np.int64]]]
        ] = {}
        for batch, places, own in self._split(tiles):
            like = batch.edge, batch.wide
            parts = waiting.setdefault(like, [])
            if sum(len(have) for have, _, _ in parts) + len(own) > self.coder.tiles_at_once:
                yield waiting.pop(like)
                parts = waiting.setdefault(like, [])
            parts.append((places, batch, own))
        yield from (parts for parts in waiting.values() if parts)

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

    def write(self, planned: Sequence[Planned]) -> Segments:
        """Return the packed segments of tiles."""
        bodies = self.coder.write([tile.plan for tile in planned])
        segments = [
            self.framing.tile(tile.index, tile.edge, *piece)
            for tile, pieces in zip(planned, bodies, strict=True)
            for piece in pieces
        ]
        found: Segments = {tile.index: [] for tile in planned}
        for segment, packed in zip(segments, pack_segments(segments), strict=True):
            found[segment.tile].append((segment.layer, segment.first, packed))
        return found

    def lengths(self, planned: Sequence[Planned]) -> Lengths:
        """Return the lengths that the segments of tiles will have, as a rule at most."""
        return {
            tile.index: [
                (layer, first, self.framing.length(tile.index, tile.edge, first, body))
                for layer, first, body in tile.plan.pieces
            ]
            for tile in planned
        }

    @cached_property
    def _fixed(self) -> Segments:
        """Segments that no step changes: tiles that are all nodata, and masks."""
        tile = self.framing.tile
        found = {
            index: [(0, 0, tile(index, edge, 0, 0, bytes([ALL_NODATA])).pack())]
            for index, edge in self.empty.items()
        }
        for batch in self.batches:
            room = self.framing.room(batch.edge, batch.wide)
            for index, gaps in zip(batch.indices.tolist(), batch.nodata, strict=True):
                if gaps.any():
                    found[index] = [
                        (0, first, self.framing.mask(index, batch.edge, first, body))
                        for first, body in pack_mask(gaps, room)
                    ]
        return found

    def strips(self, window: range, coded: Segments, written: int) -> list[Strip]:
        """Sort the segments of a window to rows of tiles, scene headers between.

        Args:
            window: tiles.
            coded: segments of its tiles that have data.
            written: segments of the scene before these.
        """
        rows = self._rows(window, coded, self._fixed, self.framing.head, written)
        return [Strip(line, segments) for line, segments in rows.items()]

    def cost(self, window: range, lengths: Lengths, written: int) -> tuple[int, int]:
        """Return the bytes that a window takes, packets included, and its segments, headers too."""
        fixed = {
            index: [(layer, first, len(packed)) for layer, first, packed in self._fixed[index]]
            for index in self._fixed.keys() & window
        }
        rows = self._rows(window, lengths, fixed, len(self.framing.head), written)
        return self.framing.bytes_of(rows.values()), sum(map(len, rows.values()))

    def _rows(
        self,
        window: range,
        coded: dict[int, list[tuple[int, int, T]]],
        fixed: dict[int, list[tuple[int, int, T]]],
        head: T,
        written: int,
    ) -> dict[int, list[T]]:
        """Return what stands for the segments of each row of tiles, by its first line.

        Where each segment holds one layer, a row goes layer by layer: so a packet holds the same
        layer of several tiles, and packets can be scheduled apart.
        """
        rows: dict[int, list[tuple[int, int, T]]] = {}
        for index in window:
            row = rows.setdefault(index // self.columns * self.tile, [])
            row += coded.get(index, [])
            row += fixed.get(index, [])
        found: dict[int, list[T]] = {}
        for line, pieces in rows.items():
            found[line] = segments = []
            ordered = sorted(pieces, key=_place) if self.framing.one_layer else pieces
            for _, _, segment in ordered:
                if written % HEADER_EVERY == 0:
                    segments.append(head)
                    written += 1
                segments.append(segment)
                written += 1
        return found


def _place(piece: tuple[int, int, Any]) -> tuple[int, int]:
    return piece[:2]


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
