"""Plans: the symbols of tiles, cut to segments and not coded yet (SPEC.md, sections 11 and 13)."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.rans import STATE_BYTES
from onboard.codec.lapped.tables import BIT
from onboard.codec.lapped.trellis import STATES
from onboard.codec.tile import Body, Piece


@dataclass(frozen=True)
class Symbols:
    """rANS symbols of a batch, tile after tile in reading order.

    Attributes:
        rows: of the alphabet, of each symbol.
        before: int32 (tiles, units + 1), symbols of the batch before each (layer, position).
        bits: int64 (tiles, units + 1), 1/256 bits of the tile before each (layer, position).
        firsts: unit that each layer begins with, and the number of units.
        states: u8 (tiles, units), of the trellis at each; None for plain tiles.
    """

    rows: NDArray[np.uint16]
    before: NDArray[np.int32]
    bits: NDArray[np.int64]
    firsts: list[int]
    states: NDArray[np.uint8] | None = None

    def start(self, tile: int, unit: int) -> tuple[int, int]:
        """Return layer and `first` of a segment that begins with a unit, not its tile's first."""
        layer = bisect_right(self.firsts, unit)
        position = unit - self.firsts[layer - 1]
        if self.states is None:
            return layer, position
        return layer, STATES * position + int(self.states[tile, unit])

    def layer_end(self, unit: int) -> int:
        """Return the unit after the last one of a unit's layer."""
        return self.firsts[bisect_right(self.firsts, unit)]

    def of_units(self, tile: int, first: int, stop: int) -> NDArray[np.uint16]:
        """Return the symbols of some units of a tile."""
        before = self.before[tile]
        return self.rows[int(before[first]) : int(before[stop])]

    def lane_bytes(self, tile: int, first: int, stop: int) -> int:
        """Return the most bytes, as a rule, of the lane of some units, from its cost."""
        bits = int(self.bits[tile, stop] - self.bits[tile, first])
        return STATE_BYTES + bits // (16 * BIT) * 2


@dataclass(frozen=True)
class Plan:
    """A tile quantised at its step and cut to segments.

    Attributes:
        symbols: of its batch.
        number: of the tile in the batch.
        side: tile state and side information.
        room: most bytes of a body.
        one_layer: begin a new body at every layer.
        margin: what the cuts keep free, see SPEC.md, section 13.
        cuts: first and stop of the units of each segment.
        raw: raw lane of each segment that is shorter so; None for the others.
    """

    symbols: Symbols
    number: int
    side: bytes
    room: int
    one_layer: bool
    margin: int
    cuts: list[tuple[int, int]]
    raw: list[bytes | None]

    @cached_property
    def pieces(self) -> list[Piece]:
        """Where each segment starts, and its body's length from the cost of its symbols."""
        found = []
        for number, ((first, stop), raw) in enumerate(zip(self.cuts, self.raw, strict=True)):
            length = 0 if number else len(self.side)
            if stop > first:
                length += (
                    self.symbols.lane_bytes(self.number, first, stop) if raw is None else len(raw)
                )
            found.append((*self._start(number), length))
        return found

    def lanes(self) -> Iterator[NDArray[np.uint16]]:
        """Yield the symbols of each segment that is to be entropy coded."""
        for (first, stop), raw in zip(self.cuts, self.raw, strict=True):
            if stop > first and raw is None:
                yield self.symbols.of_units(self.number, first, stop)

    def bodies(self, lanes: Iterator[bytes]) -> list[Body]:
        """Put tile state and side information before the first of the lanes."""
        found = []
        for number, ((first, stop), raw) in enumerate(zip(self.cuts, self.raw, strict=True)):
            lane = raw or (next(lanes) if stop > first else b"")
            found.append((*self._start(number), lane if number else self.side + lane))
        return found

    def _start(self, cut: int) -> tuple[int, int]:
        """Return layer and `first` of a cut; the first begins with layer 0."""
        return self.symbols.start(self.number, self.cuts[cut][0]) if cut else (0, 0)
