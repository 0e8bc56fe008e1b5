"""Plans: the symbols of tiles, cut to segments and not coded yet (SPEC.md, section 20)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.symbols import Symbols
from onboard.codec.bounded.tables import BIT
from onboard.codec.rans import STATE_BYTES
from onboard.codec.tile import Body, Piece


@dataclass(frozen=True)
class Plan:
    """A tile cut to segments.

    Attributes:
        symbols: its symbols.
        state: tile state, that stands before the first segment; None of a rest, that has none.
        room: most bytes of a body.
        one_layer: begin a new body at every band.
        margin: what the cuts keep free: so many times 1/500 of the room, and so many bytes.
    """

    symbols: Symbols
    state: int | None
    room: int
    one_layer: bool
    margin: int = 1

    def with_margin(self) -> "Plan":
        """Return the tile cut anew, with more kept free."""
        return replace(self, margin=self.margin + 1)

    @cached_property
    def cuts(self) -> list[int]:
        """Unit that each segment begins with, and the number of units."""
        symbols, cuts = self.symbols, [0, 0] if self.one_layer and self._head else [0]
        while cuts[-1] < symbols.units:
            first = cuts[-1]
            within = symbols.bits[first] + self._free_bits(first)
            stop = int(np.searchsorted(symbols.bits, within, side="right")) - 1
            if self.one_layer:
                stop = min(stop, first - first % symbols.pixels + symbols.pixels)
            cuts.append(max(stop, first + 1))
        return cuts

    def _free_bits(self, first: int) -> int:
        """Return the cost that a segment may have, in 1/256 bit."""
        free = self.room - STATE_BYTES - len(self._head) * (first == 0)
        return 8 * BIT * (free * (1000 - 2 * self.margin) // 1000 - self.margin)

    @property
    def largest_unit(self) -> int:
        """Bytes of the largest segment of one unit, as a rule at most."""
        return STATE_BYTES + 2 + int(np.diff(self.symbols.bits).max()) // (8 * BIT)

    @cached_property
    def pieces(self) -> list[Piece]:
        """Where each segment starts, and its body's length from the cost of its symbols."""
        found = []
        for number, (first, stop) in enumerate(pairwise(self.cuts)):
            bits = int(self.symbols.bits[stop] - self.symbols.bits[first])
            length = len(self._head) * (number == 0) + (STATE_BYTES + bits // (16 * BIT) * 2) * (
                stop > first
            )
            found.append((*self._start(number), length))
        return found

    def lanes(self) -> Iterator[NDArray[Any]]:
        """Yield the symbols of each segment."""
        for first, stop in pairwise(self.cuts):
            if stop > first:
                yield self.symbols.of_units(first, stop)

    def bodies(self, lanes: Iterator[bytes]) -> list[Body]:
        """Put the tile state before the first of the lanes."""
        found = []
        for number, (first, stop) in enumerate(pairwise(self.cuts)):
            lane = next(lanes) if stop > first else b""
            found.append((*self._start(number), lane if number else self._head + lane))
        return found

    def _start(self, cut: int) -> tuple[int, int]:
        """Return layer and `first` of a segment; the first begins with layer 0."""
        return self.symbols.start(self.cuts[cut]) if cut or not self._head else (0, 0)

    @property
    def _head(self) -> bytes:
        """What stands before the first lane: layer 0."""
        return b"" if self.state is None else bytes([self.state])
