"""Rate windows: tiles over which the rate is controlled, analysed once, coded at any step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import (
    ALL_NODATA,
    ALL_VALID,
    SOME_NODATA,
    STEPS,
    Chosen,
    Steps,
    TileCoder,
)
from onboard.encoder.batches import Batches, Share
from onboard.encoder.outcome import Outcome
from onboard.encoder.planned import HELD, Planned, bodies_of, code
from onboard.link.framing import HEADER_EVERY, Framing, Strip, heads_among
from onboard.link.mask import pack_mask

T = TypeVar("T")

Segments = dict[int, list[tuple[int, int, bytes]]]
"""Starting layer, starting place and packed bytes of the segments of tiles, by number of the tile
in the scene."""
Lengths = dict[int, list[tuple[int, int, int]]]
"""The same with their lengths instead."""
_LENGTH = itemgetter(2)


@dataclass(frozen=True)
class RateWindows:
    """Windows of tiles, each with its own rate, coded together.

    Attributes:
        coder: codes tiles.
        framing: what all segments have in common.
        analysed: the tiles.
        others: tiles of the same windows that are coded otherwise, at no rate.
        fields: by how many codes the positions of tiles are coarser than their tile, where any is.
        least: finest step code of each tile that is asked for; None leaves it to the codec.
    """

    coder: TileCoder[Any, Any]
    framing: Framing
    analysed: Batches
    others: Sequence["RateWindows"] = ()
    fields: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    least: Steps | None = None

    def at_fixed_rate(self, written: int) -> list[Strip]:
        """Return the segments where nothing can be chosen.

        Args:
            written: segments of the scene before these.
        """
        return self.at(np.zeros(self.analysed.count, np.int64), written)

    def _coded_at(self, steps: Steps) -> Segments:
        """Return the segments of all tiles at these steps."""
        every = np.arange(self.analysed.count)
        return self.write(self.plan(every, steps, np.zeros_like(every)))

    def at(self, steps: Steps, written: int) -> list[Strip]:
        """Return the segments at these steps."""
        coded = self._coded_at(steps)
        ranges = self.analysed.ranges
        return self.strips(range(ranges[0].start, ranges[-1].stop), coded, written)

    def outcome(self, window: range, tiles: NDArray[np.int64], steps: Steps) -> Outcome:
        """Return steps and expected error of a window, its tiles that have data at these steps."""
        if not len(tiles):
            return Outcome()
        error, coarsest = 0, 0
        for batch, places, own in self.analysed.shares(tiles):
            codes = self.codes(tiles[places], steps[places])
            found = self.coder.guess_error(batch.prepared.take(own), codes)
            error, coarsest = error + int(found.sum()), max(coarsest, int(codes.max()))
        used = int(steps.min()), coarsest
        return Outcome(used, error, self.samples(window), 1, fraction=self.coder.fraction)

    def samples(self, window: range) -> int:
        """Return the samples of a window that have data."""
        return self.coder.bands * self.analysed.pixels(window)

    def codes(self, tiles: NDArray[np.int64], steps: Steps) -> Steps:
        """Return step codes of tiles, or of their positions if any of these tiles has a field."""
        fields = {n: self.fields[t] for n, t in enumerate(tiles.tolist()) if t in self.fields}
        if not fields:
            return steps
        some = next(iter(fields.values()))
        found = np.repeat(steps, some.size).reshape(len(steps), *some.shape)
        for number, coarser in fields.items():
            found[number] += coarser
        return np.minimum(found, STEPS - 1)

    def guess(self, tiles: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile at each step code."""
        return self._of_each(tiles, self.coder.guess, (len(tiles), 256))

    def finest(self, tiles: NDArray[np.int64]) -> Steps:
        """Return the finest step code that each tile allows, or is asked for."""
        own = self._of_each(tiles, self.coder.finest, (len(tiles),))
        return own if self.least is None else np.maximum(own, self.least[tiles])

    def _of_each(
        self,
        tiles: NDArray[np.int64],
        what: Callable[[Any], NDArray[np.int64]],
        shape: tuple[int, ...],
    ) -> NDArray[np.int64]:
        found = np.zeros(shape, np.int64)
        for batch, places, own in self.analysed.shares(tiles):
            found[places] = what(batch.prepared.take(own))
        return found

    def plan(
        self, tiles: NDArray[np.int64], steps: Steps, thrift: NDArray[np.int64]
    ) -> list[Planned]:
        """Quantise tiles at these steps, those of one shape together, and cut them to segments.

        Of many tiles all are coded, too, so that their symbols need not be kept.
        """
        planned: list[Planned | None] = [None] * len(tiles)
        held: list[int] = []
        for shares in self.analysed.alike(tiles, self.coder.tiles_at_once):
            places = np.concatenate([share.places for share in shares])
            prepared = _joined(shares)
            members = [(share.batch, number) for share in shares for number in share.own]
            like = shares[0].batch
            chosen = Chosen(
                prepared,
                self.codes(tiles[places], np.maximum(steps[places], self.coder.finest(prepared))),
                [SOME_NODATA if b.gaps[number] else ALL_VALID for b, number in members],
                self.framing.room(like.edge, like.wide),
                thrift[places] if thrift[places].any() else None,
            )
            begins, goes_on = self.framing.around(like.edge, like.wide)
            plans = self.coder.plan(chosen, self.framing.one_layer)
            for place, (batch, number), plan in zip(places, members, plans, strict=True):
                index = int(batch.indices[number])
                lengths = [
                    (layer, first, body + (goes_on if first else begins))
                    for layer, first, body in plan.pieces
                ]
                planned[place] = Planned(index, like.edge, plan, lengths)
            held += places.tolist()
            if len(tiles) > HELD and len(held) >= HELD:
                code(self.coder, planned, held)
        if len(tiles) > HELD:
            code(self.coder, planned, held)
        return [tile for tile in planned if tile is not None]

    def write(self, planned: Sequence[Planned]) -> Segments:
        """Return the packed segments of tiles."""
        pairs = zip(planned, bodies_of(self.coder, planned), strict=True)
        packed = self.framing.pack([(tile.index, tile.edge, bodies) for tile, bodies in pairs])
        return {tile.index: segments for tile, segments in zip(planned, packed, strict=True)}

    @cached_property
    def _fixed(self) -> Segments:
        """Segments that no step changes: tiles that are all nodata, masks, tiles of no rate."""
        tile = self.framing.tile
        found = {
            index: [(0, 0, tile(index, edge, 0, 0, bytes([ALL_NODATA])).pack())]
            for index, edge in self.analysed.empty.items()
        }
        for batch in self.analysed.batches:
            room = self.framing.room(batch.edge, batch.wide)
            for number in np.flatnonzero(batch.gaps).tolist():
                index = int(batch.indices[number])
                if self.analysed.is_first(index):
                    found[index] = [
                        (0, first, self.framing.mask(index, batch.edge, first, body))
                        for first, body in pack_mask(batch.nodata[number], room)
                    ]
        for other in self.others:
            coded = other._coded_at(np.zeros(other.analysed.count, np.int64))
            for index in coded.keys() | other._fixed.keys():
                found[index] = coded.get(index, []) + other._fixed.get(index, [])
        return found

    def strips(self, window: range, coded: Segments, written: int) -> list[Strip]:
        """Sort the segments of a window to rows of tiles, scene headers between.

        Args:
            window: numbers in the scene of its tiles.
            coded: segments of its tiles that have data.
            written: segments of the scene before these.
        """
        rest = self.framing.rest_layer
        if rest is None:
            rows = self._rows(window, coded, self._fixed, self.framing.head, written)
            return [Strip(line, segments) for line, segments in rows.items()]
        found = []
        every = {index: coded.get(index, []) + self._fixed.get(index, []) for index in window}
        columns = self.analysed.columns
        for first in range(window.start, window.stop, columns):
            row = range(first, first + columns)
            strip = Strip(first // columns * self.analysed.tile, [], 0)
            for after in (False, True):
                part = {n: [s for s in every[n] if (s[0] >= rest) == after] for n in row}
                for segments in self._rows(row, part, {}, self.framing.head, written).values():
                    strip.segments.extend(segments)
                    written += len(segments)
                if not after:
                    strip = replace(strip, first=len(strip.segments))
            found.append(strip)
        return found

    def cost(self, window: range, lengths: Lengths, written: int) -> tuple[int, int]:
        """Return the bytes that a window takes, packets included, and its segments, headers too."""
        fixed = {
            index: [(layer, first, len(packed)) for layer, first, packed in self._fixed[index]]
            for index in self._fixed.keys() & window
        }
        if self.framing.packets is None:
            tiles = [*lengths.values(), *fixed.values()]
            count = sum(map(len, tiles))
            heads = heads_among(count, written)
            total = sum(map(_LENGTH, chain.from_iterable(tiles)))
            return total + heads * len(self.framing.head), count + heads
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
        columns, tile = self.analysed.columns, self.analysed.tile
        for first in range(window.start, window.stop, columns):
            row = rows[first // columns * tile] = []
            for index in range(first, min(first + columns, window.stop)):
                row += coded.get(index, ())
                row += fixed.get(index, ())
        found: dict[int, list[T]] = {}
        for line, pieces in rows.items():
            ordered = sorted(pieces, key=_place) if self.framing.one_layer else pieces
            segments = [segment for _, _, segment in ordered]
            found[line] = sent = []
            while segments:
                some = -written % HEADER_EVERY
                if some == 0:
                    sent.append(head)
                    written, some = written + 1, HEADER_EVERY - 1
                sent += segments[:some]
                written += len(segments[:some])
                segments = segments[some:]
        return found


def _joined(shares: Sequence[Share]) -> Any:
    """Return tiles of batches as one batch; what was taken of each is not held any longer."""
    first, *others = (share.batch.prepared.take(share.own) for share in shares)
    return first.join(others)


def _place(piece: tuple[int, int, Any]) -> tuple[int, int]:
    return piece[:2]
