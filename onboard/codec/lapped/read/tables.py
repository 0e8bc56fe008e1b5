"""Reading residuals from lanes: the frequency tables the other way round (SPEC.md, section 11)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.lapped.context import LEVELS, Ints
from onboard.codec.lapped.quantizers.signs import HIDES, INSIDE, OwnSigns
from onboard.codec.lapped.read.run import HOLD, SEEKING, STEERING, Reader, Seeking
from onboard.codec.lapped.read.slots import Slots, Steered
from onboard.codec.lapped.tables import ESCAPE, LARGEST, RAW_BITS, SYMBOLS, Tables
from onboard.codec.lapped.trellis import FOLLOWING, SETS


class Decoded(NamedTuple):
    """What was read from some lanes.

    Attributes:
        residuals: 0 for those not read.
        counts: how many were read from each lane.
        odd: whether the state of the trellis before each was odd; None in plain tiles.
    """

    residuals: Ints
    counts: NDArray[np.int64]
    odd: NDArray[np.uint8] | None


@dataclass(frozen=True)
class TableReader:
    """Reads residuals.

    Attributes:
        tables: frequencies of symbols.
    """

    tables: Tables
    _slots: dict[tuple[int, int, bool], "Slots"] = field(default_factory=dict, repr=False)

    @cached_property
    def _plain(self) -> tuple[bytes, list[int], list[int], list[int]]:
        """Symbol on each slot, frequencies, starts and shifts, for reading without numpy."""
        tables = self.tables
        flat = tables.frequencies.reshape(-1).tolist(), tables.starts.reshape(-1).tolist()
        return tables.symbol_of.tobytes(), *flat, tables.shift_of.tolist()

    def decode_lane(
        self,
        reader: Reader,
        lane: int,
        rows: Sequence[int],
        state: int | None = None,
        marks: Sequence[int] | None = None,
    ) -> tuple[list[int], list[int]]:
        """Read a residual for each row from one lane, until it ends: `decode` without numpy.

        Args:
            reader: reader of the lane.
            lane: number of the lane.
            rows: row of the table of each residual: plain, or of even states.
            state: state of the trellis, if the tile is dependent.
            marks: of each residual, see `signs.Runs`, if the tile hides signs.

        Returns:
            The residuals, without signs that are hidden, and, of dependent tiles, whether the state
            before each was odd.
        """
        symbols, frequencies, starts, shifts = self._plain
        words = reader.words
        x, following, stop, endless = reader.place(lane)
        values, odd = [], []
        seeks = False
        for even_row, mark in zip(rows, marks or repeat(INSIDE), strict=False):
            if x == rans.START and following == stop and not endless:
                break
            row = even_row
            seeks = mark == HIDES or (seeks and mark == INSIDE)
            if state is not None:
                odd.append(state & 1)
                row += LEVELS * (state & 1)
            slot = x & (rans.TOTAL - 1)
            if seeks and self._even[row] and slot < starts[row * SYMBOLS + ESCAPE]:
                symbol, frequency, start = self._derived(row, slot)
                seeks = symbol == LARGEST
            else:
                symbol = symbols[row * rans.TOTAL + slot]
                place = row * SYMBOLS + symbol
                frequency, start = frequencies[place], starts[place]
            x = frequency * (x >> rans.PRECISION) + slot - start
            if x < rans.START:
                x, following = x << rans.WORD | words[min(following, stop)], following + 1
            value = symbol - LARGEST
            uniform = [shifts[row]] if shifts[row] else []
            if symbol == ESCAPE:
                value, uniform = -1, [8, 8, *uniform]  # -1 << 16, and 2^15 more below
            for bits in uniform:
                rest = rans.PRECISION - bits
                slot = x & (rans.TOTAL - 1)
                value = (value << bits) + (slot >> rest)
                x = (x >> rans.PRECISION << rest) + (slot & ((1 << rest) - 1))
                if x < rans.START:
                    x, following = x << rans.WORD | words[min(following, stop)], following + 1
            if symbol == ESCAPE:
                value += 1 << (RAW_BITS - 1 + shifts[row])
            values.append(value)
            if state is not None:
                state = FOLLOWING[state][value & 1]
        reader.move(lane, x, following)
        return values, odd

    @cached_property
    def signs(self) -> OwnSigns:
        """Which residuals of plain tiles have a sign of their own."""
        return OwnSigns.of(self.tables)

    @cached_property
    def _even(self) -> list[bool]:
        """Whether a plain row has a table for before a residual whose sign is hidden."""
        return [bool(row.any()) for row in self.signs.single]

    def _derived(self, row: int, slot: int) -> tuple[int, int, int]:
        """Return the symbol on a slot of a derived table, its frequency and start.

        The slot is not that of the escape.
        """
        symbols, frequencies, starts, _ = self._plain
        zero = row * SYMBOLS + LARGEST
        if slot >= 2 * starts[zero]:
            return LARGEST, frequencies[zero], 2 * starts[zero]
        below = symbols[row * rans.TOTAL + slot // 2]
        place = row * SYMBOLS + below
        return 2 * LARGEST - below, 2 * frequencies[place], 2 * starts[place]

    def decode(
        self,
        reader: Reader,
        spans: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
        levels: NDArray[np.int64],
        first_row: int,
        states: NDArray[np.int64] | None = None,
        marks: NDArray[np.uint8] | None = None,
    ) -> Decoded:
        """Read residuals from lanes side by side, from each until it ends.

        Args:
            reader: reader of the lanes.
            spans: lanes; where in `levels` each begins; residuals of each, at most.
            levels: level of each residual.
            first_row: see `Tables.first_row`.
            states: state of the trellis where each begins, if the tiles are dependent.
            marks: of each residual, if the tiles hide signs: those are left out.
        """
        lanes, begins, lengths = spans
        shifts = self.tables.shifts.take(levels)
        wide = np.flatnonzero(shifts)
        shifts = shifts[wide]
        rows = np.append(levels, LEVELS)
        rows = np.insert(rows, wide + 1, LEVELS + shifts.astype(np.int64))
        ends = begins + lengths
        stops = ends + np.searchsorted(wide, ends)
        after = wide + np.arange(1, len(wide) + 1)  # place of the low bits
        steered = None
        if states is not None:
            steered = Steered(STEERING, states, len(rows))
            steered.holds[after - 1] = HOLD
        elif marks is not None:
            steered = Steered(SEEKING, (marks[begins] == HIDES).astype(np.int64), len(rows))
            following = np.arange(1, len(marks)) + np.searchsorted(wide, np.arange(1, len(marks)))
            steered.holds[following - 1] = Seeking.HOLDS[marks[1:]]
        places = begins + np.searchsorted(wide, begins)
        slots = self._slots_of(first_row, SETS if states is not None else 1, marks is not None)
        numbers, reached = slots.read(reader, lanes, places, stops, rows, steered)
        for lane in np.flatnonzero(reached < stops):
            numbers[reached[lane] : stops[lane]] = 0
        unread = stops - reached - (np.searchsorted(after, stops) - np.searchsorted(after, reached))
        residuals = np.delete(numbers[:-1], after).astype(np.int32)
        residuals[wide] = (residuals[wide] << shifts) + numbers[after]
        odd = None
        if steered is not None and states is not None:
            odd = np.delete(steered.odd[:-1], after)
        return Decoded(residuals, lengths - unread, odd)

    def _slots_of(self, first_row: int, sets: int, hides: bool) -> "Slots":
        """Return what reading a group's residuals needs, made once."""
        key = first_row, sets, hides
        if key not in self._slots:
            single = self.signs.single if hides else None
            self._slots[key] = Slots.of(self.tables, first_row, sets, single)
        return self._slots[key]
