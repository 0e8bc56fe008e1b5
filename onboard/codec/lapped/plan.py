"""Plans: the symbols of tiles, cut to segments and not coded yet (SPEC.md, sections 11 and 13)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.blocks import FIELD
from onboard.codec.lapped import floors, rawlane
from onboard.codec.lapped.blocks.field import Field
from onboard.codec.lapped.symbols import Symbols
from onboard.codec.lapped.tables import BIT, Tables
from onboard.codec.lapped.transform import in_squared_dn
from onboard.codec.rans import STATE_BYTES
from onboard.codec.tile import FULL, Body, Piece
from onboard.errors import UsageError

_UNITS_OF_STEP = 1 << 12
"""Squares of 1/64 step in that of a step: a byte is worth so much squared error."""


@dataclass(frozen=True)
class Plan:
    """A tile quantised at its step and cut to segments.

    Attributes:
        tables: frequencies of symbols.
        symbols: symbols of the tile's batch.
        number: number of the tile in the batch.
        side: tile state and side information.
        room: most bytes of a body.
        one_layer: begin a new body at every layer.
        margin: what the cuts keep free, see SPEC.md, section 13.
        cuts: first and stop of the units of each segment.
        raw: raw lane of each segment that is shorter so; None for the others.
    """

    tables: Tables
    symbols: Symbols
    number: int
    side: bytes
    room: int
    one_layer: bool
    margin: int
    cuts: list[tuple[int, int]]
    raw: list[bytes | None]

    @classmethod
    def cut(
        cls,
        tables: Tables,
        symbols: Symbols,
        number: int,
        side: bytes,
        room: int,
        one_layer: bool,
        margin: int = 1,
    ) -> "Plan":
        """Cut a tile to segments and find those that are shorter raw; arguments as attributes.

        Raises:
            UsageError: one position of a layer takes more than the room.
        """
        cuts = _cuts(tables, symbols, number, len(side), room, one_layer, margin)
        raw = [_raw(tables, symbols, number, *cut) for cut in cuts]
        return cls(tables, symbols, number, side, room, one_layer, margin, cuts, raw)

    def with_margin(self) -> "Plan":
        """Return the tile cut anew, with more kept free."""
        return Plan.cut(
            self.tables,
            self.symbols,
            self.number,
            self.side,
            self.room,
            self.one_layer,
            self.margin + 1,
        )

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

    def is_worth_nothing(self, energy: int, step: int) -> bool:
        """Return whether a tile, all of whose residuals are 0, is not worth its bytes.

        Args:
            energy: squared error that it has without its means, DN^2.
            step: its step code.
        """
        taken = np.array([sum(length for *_, length in self.pieces) * _UNITS_OF_STEP])
        if energy > int(in_squared_dn(taken, np.array([step]))[0]):
            return False
        rows = self.symbols.of_units(self.number, 0, self.symbols.firsts[-1])
        return not self.tables.residuals(rows).any()

    def emptied(self, body: bytes) -> "Plan":
        """Return a plan of a tile that is one body, without any symbol."""
        return replace(self, side=body, cuts=[(0, 0)], raw=[None])

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


def layer_0(
    state: int, side: bytes, field: Field | None, symbols: Symbols, number: int, least: int
) -> bytes:
    """Return layer 0 of a tile.

    Args:
        state: whether there are pixels without data.
        side: side information of the front end.
        field: steps of its blocks; None if they are all that of the tile.
        symbols: symbols of the tile's batch.
        number: number of the tile in the batch.
        least: least level of a full tile.
    """
    full = symbols.floors is not None
    coding = symbols.flag if field is None else symbols.flag & ~FULL | FIELD
    found = bytes([state | coding]) + side
    found += b"" if field is None else replace(field, full=full).pack()
    return found if symbols.floors is None else found + floors.pack(symbols.floors[number], least)


def _cuts(
    tables: Tables,
    symbols: Symbols,
    tile: int,
    side_bytes: int,
    room: int,
    one_layer: bool,
    margin: int,
) -> list[tuple[int, int]]:
    """Return ranges of a tile's units that fit segments."""
    before, bits_before = symbols.before[tile], symbols.bits[tile]
    cuts: list[tuple[int, int]] = []
    first, last = 0, len(bits_before) - 1
    while first < last:
        free = (room if cuts else room - side_bytes) - STATE_BYTES
        bits = 8 * BIT * free * (1000 - 2 * margin) // 1000 - 8 * BIT * margin
        within = int(bits_before[first]) + max(bits, 0)
        stop = int(np.searchsorted(bits_before, within, side="right")) - 1
        if one_layer:
            stop = min(stop, symbols.layer_end(first)) if cuts else 0
        if stop == first and cuts:
            stop = first + 1
            raw = _raw(tables, symbols, tile, first, stop)
            if raw is None or len(raw) > room:
                raise UsageError(f"segments: one position takes more than {room} bytes")
        if not one_layer or not cuts or before[first] < before[stop]:
            cuts.append((first, stop))
        first = stop
    return cuts


def _raw(tables: Tables, symbols: Symbols, tile: int, first: int, stop: int) -> bytes | None:
    """Return the raw lane of some units, if it is shorter."""
    rows, coded = symbols.of_units(tile, first, stop), symbols.lane_bytes(tile, first, stop)
    # Raw residuals have at least 8 bits.
    if stop == first or rawlane.HEAD_BYTES + tables.count(rows) >= coded:
        return None
    raw = rawlane.pack(tables.residuals(rows))
    return raw if raw is not None and len(raw) < coded else None
