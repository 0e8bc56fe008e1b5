"""Window of tiles over which the rate is controlled: analysed once, coded at any step."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from onboard.tilecoder import Body, TileCoder
from onboard.tiling import TileGrid

TILES_AT_ONCE = 24
_TRIES = 8
_NEAR = 0.985


@dataclass(frozen=True)
class Batch:
    """Tiles of one shape, analysed.

    Attributes:
        indices: their numbers in the scene.
        edge: valid rows and columns, of border tiles.
        nodata: (tiles, rows, cols), of the valid rows and columns.
        prepared: what the tile coder made of them.
    """

    indices: list[int]
    edge: Edge
    nodata: NDArray[np.bool_]
    prepared: Any

    @property
    def states(self) -> list[int]:
        """Tile state of each."""
        return [
            SOME_NODATA if some else ALL_VALID for some in np.any(self.nodata, axis=(1, 2)).tolist()
        ]


@dataclass(frozen=True)
class Window:
    """Some rows of tiles.

    Attributes:
        coder: codes them.
        framing: what their segments have in common.
        columns: tiles in a row.
        tile: rows of a tile.
        batches: tiles that have data.
        empty: tiles that are all nodata.
    """

    coder: TileCoder
    framing: Framing
    columns: int
    tile: int
    batches: list[Batch]
    empty: list[tuple[int, Edge]]

    @classmethod
    def analyse(
        cls,
        coder: TileCoder,
        framing: Framing,
        lines: NDArray[Any],
        header: SceneHeader,
        grid: TileGrid,
        first_row: int,
    ) -> "Window":
        """Analyse all tiles of some lines, those of one shape together.

        Args:
            coder: the tile coder.
            framing: of the scene.
            lines: (bands, rows, cols).
            header: of the scene.
            grid: of the lines.
            first_row: rows of tiles before these.

        Raises:
            InputError: samples beyond the significant bits.
        """
        window = cls(coder, framing, grid.columns, grid.tile, [], [])
        shapes: dict[tuple[int, int], list[int]] = {}
        for index in range(grid.count):
            shapes.setdefault(grid.box(index)[2:], []).append(index)
        for shape, members in shapes.items():
            for first in range(0, len(members), TILES_AT_ONCE):
                part = members[first : first + TILES_AT_ONCE]
                tiles = np.stack([grid.cut(lines, index) for index in part])
                indices = [first_row * grid.columns + index for index in part]
                window._add(tiles, indices, shape, header)
        return window

    def _add(
        self, tiles: NDArray[Any], indices: list[int], shape: tuple[int, int], header: SceneHeader
    ) -> None:
        """Analyse tiles of one shape."""
        rows, cols = shape
        edge = None if rows == cols == self.tile else shape
        present = np.ones((len(indices), *tiles.shape[2:]), np.bool_)
        if header.nodata is not None:
            present = (tiles != header.nodata).any(axis=1)
        filled = np.asarray(np.any(present[:, :rows, :cols], axis=(1, 2)))
        self.empty.extend(
            (index, edge) for index, any_ in zip(indices, filled, strict=True) if not any_
        )
        if not filled.any():
            return
        tiles, present = tiles[filled], present[filled]
        _check_range(tiles, present, header)
        kept = [index for index, any_ in zip(indices, filled, strict=True) if any_]
        prepared = self.coder.prepare(tiles, present, shape)
        self.batches.append(Batch(kept, edge, ~present[:, :rows, :cols], prepared))

    @property
    def count(self) -> int:
        """Tiles that have data."""
        return sum(len(batch.indices) for batch in self.batches)

    def at_fixed_rate(self, written: int) -> list[Strip]:
        """Return the segments where nothing can be chosen.

        Args:
            written: segments of the scene before these.
        """
        return self._strips(np.zeros(self.count, np.int64), written)

    def for_error(self, rmse: float, written: int) -> list[Strip]:
        """Return the segments at the coarsest step whose modelled error is `rmse` DN."""
        bands = self.coder.bands
        values = bands * sum(int((~batch.nodata).sum()) for batch in self.batches)

        def errors(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            return self._over(tiles, codes, self.coder.error)

        return self._strips(code_for_error(self.count, rmse * rmse * values, errors), written)

    def within(self, budget: int, written: int) -> list[Strip]:
        """Return the segments at the finest steps that fit a budget of bytes.

        Raises:
            LimitError: the coarsest encoding takes more.
        """
        sizes = self._sizes()
        aim = budget - self._fixed_bytes()
        best: list[Strip] = []
        for _ in range(_TRIES):
            try:
                codes = codes_for_budget(self.count, max(aim, 0), sizes)
            except LimitError:
                break
            strips = self._strips(codes, written)
            total = self.framing.cost(strips)
            if total <= budget:
                best = max(best, strips, key=self.framing.cost)
                if total >= _NEAR * budget or not codes.any():
                    return best
            # What the sizes are off by, and half a per mille so that it ends below.
            aim += budget - total - budget // 2000
        if best:
            return best
        strips = self._strips(np.full(self.count, CODES - 1), written)
        total = self.framing.cost(strips)
        if total > budget:
            raise LimitError(
                f"budget: {budget} bytes for {self.count + len(self.empty)} tiles, but the "
                f"coarsest step takes {total}"
            )
        return strips

    def _sizes(self) -> Measure:
        """Return a measure of tiles in bytes, segments and their share of headers included."""
        room = self.framing.segment_bytes - self.framing.overhead - 10
        each = self.framing.overhead + 4 + len(self.framing.head) // HEADER_EVERY
        known: dict[int, NDArray[np.int64]] = {}

        def sizes(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            if len(tiles) < self.count:
                return fresh(tiles, codes)
            if int(codes[0]) not in known:
                known[int(codes[0])] = fresh(tiles, codes)
            return known[int(codes[0])]

        def fresh(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            symbols = self._over(tiles, codes, self.coder.measure)
            return symbols + -(-symbols // room) * each + 1

        return sizes

    def _fixed_bytes(self) -> int:
        """Return the bytes that no step changes: a header, masks, edges, nodata."""
        room = self.framing.room((self.tile, self.tile))
        overhead = self.framing.overhead
        spent = len(self.framing.head) + (overhead + EDGE_BYTES + 1) * len(self.empty)
        for batch in self.batches:
            edge = EDGE_BYTES if batch.edge else 0
            spent += edge * len(batch.indices)
            for nodata in batch.nodata:
                masks = pack_mask(nodata, room) if nodata.any() else []
                spent += sum(overhead + edge + len(body) for _, body in masks)
        return spent

    def _over(self, tiles: NDArray[np.int64], codes: Codes, measure: Any) -> NDArray[np.int64]:
        """Measure tiles, numbered through the batches."""
        found, first = [], 0
        for batch in self.batches:
            stop = first + len(batch.indices)
            here = (tiles >= first) & (tiles < stop)
            if here.any():
                prepared = self.coder.take(batch.prepared, tiles[here] - first)
                finest = self.coder.finest(prepared)
                found.append(measure(prepared, np.maximum(codes[here], finest)))
            first = stop
        return np.concatenate(found)

    def _strips(self, codes: Codes, written: int) -> list[Strip]:
        """Return the segments at these steps, in the order of tiles, scene headers between."""
        by_tile = {
            index: [self.framing.tile(index, edge, 0, 0, bytes([ALL_NODATA]))]
            for index, edge in self.empty
        }
        chosen, first = [], 0
        for batch in self.batches:
            stop = first + len(batch.indices)
            room = self.framing.room(batch.edge)
            within = np.maximum(codes[first:stop], self.coder.finest(batch.prepared))
            chosen.append(Chosen(batch.prepared, within, batch.states, room))
            first = stop
        coded = self.coder.code(chosen, self.framing.one_layer) if chosen else []
        for batch, choice, tiles in zip(self.batches, chosen, coded, strict=True):
            by_tile |= self._segments(batch, choice, tiles)
        return self._rows(by_tile, written)

    def _rows(self, by_tile: dict[int, list[bytes]], written: int) -> list[Strip]:
        """Sort segments to rows of tiles."""
        strips: list[Strip] = []
        for index in sorted(by_tile):
            line = index // self.columns * self.tile
            if not strips or strips[-1].line != line:
                strips.append(Strip(line, []))
            for segment in by_tile[index]:
                if written % HEADER_EVERY == 0:
                    strips[-1].segments.append(self.framing.head)
                    written += 1
                strips[-1].segments.append(segment)
                written += 1
        return strips

    def _segments(
        self, batch: Batch, chosen: Chosen, tiles: Sequence[Sequence[Body]]
    ) -> dict[int, list[bytes]]:
        """Return the segments of each tile of a batch."""
        found = {}
        for index, nodata, bodies in zip(batch.indices, batch.nodata, tiles, strict=True):
            segments = [self.framing.tile(index, batch.edge, *body) for body in bodies]
            for first, body in pack_mask(nodata, chosen.room) if nodata.any() else ():
                segments.append(self.framing.mask(index, batch.edge, first, body))
            found[index] = segments
        return found


def _check_range(tiles: NDArray[Any], present: NDArray[np.bool_], header: SceneHeader) -> None:
    """Refuse samples that the significant bits of the header cannot hold."""
    low, high = header.sample_range
    samples = tiles if present.all() else tiles.transpose(0, 2, 3, 1)[present]
    if int(samples.min()) < low or int(samples.max()) > high:
        raise InputError(
            f"samples: expected {low}..{high} ({header.significant_bits} significant bits), "
            f"found {samples.min()}..{samples.max()}"
        )
