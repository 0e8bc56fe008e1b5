"""Reading residuals from lanes: the frequency tables the other way round (SPEC.md, section 11)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.lapped.context import LEVELS, Ints
from onboard.codec.lapped.read.run import HOLD, STEERING, Reader, Run, pack_slots
from onboard.codec.lapped.tables import ESCAPE, LARGEST, RAW_BITS, SYMBOLS, Tables
from onboard.codec.lapped.trellis import FOLLOWING, SETS

_ESCAPED = -32_768
_STEPS, _LEAST_STEPS = 64, 4
"""Numbers that lanes read ahead: usually, and where an escape throws much of that away."""


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
    _slots: dict[tuple[int, int], "_Slots"] = field(default_factory=dict, repr=False)

    @cached_property
    def _plain(self) -> tuple[bytes, list[int], list[int], list[int]]:
        """Symbol on each slot, frequencies, starts and shifts, for reading without numpy."""
        tables = self.tables
        flat = tables.frequencies.reshape(-1).tolist(), tables.starts.reshape(-1).tolist()
        return tables.symbol_of.tobytes(), *flat, tables.shift_of.tolist()

    def decode_lane(
        self, reader: Reader, lane: int, rows: Sequence[int], state: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Read a residual for each row from one lane, until it ends: `decode` without numpy.

        Args:
            reader: reader of the lane.
            lane: number of the lane.
            rows: row of the table of each residual: plain, or of even states.
            state: state of the trellis, if the tile is dependent.

        Returns:
            The residuals and, of dependent tiles, whether the state before each was odd.
        """
        symbols, frequencies, starts, shifts = self._plain
        words = reader.words
        x, following, stop, endless = reader.place(lane)
        values, odd = [], []
        for even_row in rows:
            if x == rans.START and following == stop and not endless:
                break
            row = even_row
            if state is not None:
                odd.append(state & 1)
                row += LEVELS * (state & 1)
            slot = x & (rans.TOTAL - 1)
            symbol = symbols[row * rans.TOTAL + slot]
            place = row * SYMBOLS + symbol
            x = frequencies[place] * (x >> rans.PRECISION) + slot - starts[place]
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

    def decode(
        self,
        reader: Reader,
        spans: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
        levels: Ints,
        first_row: int,
        states: NDArray[np.int64] | None = None,
    ) -> Decoded:
        """Read residuals from lanes side by side, from each until it ends.

        Args:
            reader: reader of the lanes.
            spans: lanes; where in `levels` each begins; residuals of each, at most.
            levels: level of each residual.
            first_row: see `Tables.first_row`.
            states: state of the trellis where each begins, if the tiles are dependent.
        """
        lanes, begins, lengths = spans
        shifts = self.tables.shifts.take(levels)
        wide = np.flatnonzero(shifts)
        shifts = shifts[wide]
        rows = np.append(levels.astype(np.int64), LEVELS)
        rows = np.insert(rows, wide + 1, LEVELS + shifts.astype(np.int64))
        ends = begins + lengths
        stops = ends + np.searchsorted(wide, ends)
        after = wide + np.arange(1, len(wide) + 1)  # place of the low bits
        steered = None
        if states is not None:
            steered = _Steered(states, len(rows))
            steered.holds[after - 1] = HOLD
        places = begins + np.searchsorted(wide, begins)
        slots = self._slots_of(first_row, 1 if states is None else SETS)
        numbers, reached = slots.read(reader, lanes, places, stops, rows, steered)
        for lane in np.flatnonzero(reached < stops):
            numbers[reached[lane] : stops[lane]] = 0
        unread = stops - reached - (np.searchsorted(after, stops) - np.searchsorted(after, reached))
        residuals = np.delete(numbers[:-1], after).astype(np.int32)
        residuals[wide] = (residuals[wide] << shifts) + numbers[after]
        odd = None if steered is None else np.delete(steered.odd[:-1], after)
        return Decoded(residuals, lengths - unread, odd)

    def _slots_of(self, first_row: int, sets: int) -> "_Slots":
        """Return what reading a group's residuals needs, made once."""
        key = first_row, sets
        if key not in self._slots:
            self._slots[key] = _Slots.of(self.tables, first_row, sets)
        return self._slots[key]


class _Steered:
    """The trellis of lanes side by side.

    Attributes:
        states: state of each lane now, see `Steering`.
        holds: `HOLD` for each number whose low bits, which follow, move the state; else 0.
        odd: whether the state before each number was odd.
    """

    def __init__(self, states: NDArray[np.int64], numbers: int) -> None:
        self.states = STEERING.start(states)
        self.holds = np.zeros(numbers, np.int64)
        self.odd = np.zeros(numbers, np.uint8)


@dataclass(frozen=True)
class _Slots:
    """What the 4096 slots of some tables stand for: of each level, then numbers of 0..12 raw bits.

    Reading a number of no bits leaves a lane as it is. Of each table there are those of all sets
    of the group.

    Attributes:
        sets: 1, or 2 of dependent tiles.
        slots: int64 ((64 + 13) * sets * 4096,), see `Run`.
        numbers: int16, the same; `_ESCAPED` for what is still to be read.
    """

    sets: int
    slots: NDArray[np.int64]
    numbers: NDArray[np.int16]

    @classmethod
    def of(cls, tables: Tables, first_row: int, sets: int) -> "_Slots":
        """Return those of a group."""
        rows = slice(first_row, first_row + sets * LEVELS)
        counts = tables.frequencies[rows].reshape(-1)
        starts = np.repeat(tables.starts[rows].reshape(-1), counts)
        symbols = tables.symbol_of.reshape(-1, rans.TOTAL)[rows].reshape(-1)
        numbers = symbols.astype(np.int16) - LARGEST
        numbers[symbols == ESCAPE] = _ESCAPED
        slots = np.arange(rans.TOTAL)
        distances = np.tile(slots, sets * LEVELS) - starts
        by_set = (sets, LEVELS, rans.TOTAL)
        parts = [
            part.reshape(by_set).swapaxes(0, 1).reshape(-1)
            for part in (distances, np.repeat(counts, counts), numbers)
        ]
        found = [[part] for part in parts]
        for bits in range(rans.PRECISION + 1):
            size = rans.TOTAL >> bits
            raw = slots % size, np.full(rans.TOTAL, size), slots >> (rans.PRECISION - bits)
            for arrays, values in zip(found, raw, strict=True):
                arrays.extend([values] * sets)
        distance, frequency, number = (np.concatenate(part) for part in found)
        packed = pack_slots(distance, frequency, number & 1 if sets > 1 else None)
        return cls(sets, packed, number.astype(np.int16))

    def read(
        self,
        reader: Reader,
        lanes: NDArray[np.int64],
        places: NDArray[np.int64],
        stops: NDArray[np.int64],
        tables: NDArray[np.int64],
        steered: _Steered | None,
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Read numbers, each from its own table.

        Lanes go some steps ahead side by side; those that have ended on the way or have to resolve
        an escape go back to there.

        Args:
            reader: reader of the lanes.
            lanes: numbers of the lanes.
            places: first number of each.
            stops: the one after its last.
            tables: level of each number, or 64 and its raw bits; the last one stands for none.
            steered: the trellis, of dependent tiles.

        Returns:
            The numbers, and the place that each lane reached.
        """
        rows = tables * (self.sets << rans.PRECISION)
        numbers = np.zeros(len(rows), np.int16)
        places, stops, ahead = places.copy(), stops.copy(), _STEPS
        while len(which := np.flatnonzero(places < stops)):
            left = np.minimum((stops - places)[which], ahead)
            step = np.arange(left.max())[:, None]
            at = places[which] + step
            if left.min() < len(step):
                at[step >= left] = len(rows) - 1
            slots = rows.take(at)
            steering = None
            if steered is not None:
                steering = steered.states[which], steered.holds.take(at)
            run = Run(reader, lanes[which], self.slots, slots, steering)
            numbers[at] = found = self.numbers.take(slots)
            ends = escapes = left
            if (ended := run.ended()) is not None:
                ends = _first(ended & (tables.take(at) < LEVELS), left)
            if found.min() == _ESCAPED:
                escapes = _first(found == _ESCAPED, left)
            steps = np.minimum(ends, escapes + 1)
            run.leave(steps)
            if steered is not None:
                steered.odd[at] = run.odd
                steered.states[which] = run.steered(steps)
            places[which] += steps
            over, escaped = which[(ends < left) & (ends <= escapes)], which[escapes < ends]
            stops[over] = places[over]
            if len(escaped):
                numbers[places[escaped] - 1] = value = _escaped(reader, lanes[escaped])
                if steered is not None:
                    before = run.steered(escapes)[escapes < ends]
                    holds = steered.holds[places[escaped] - 1]
                    steered.states[escaped] = STEERING.after(before, holds, value)
            many = 4 * len(escaped) > len(which)
            ahead = max(ahead // 2, _LEAST_STEPS) if many else min(2 * ahead, _STEPS)
        return numbers, places


def _first(found: NDArray[np.bool_], otherwise: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return in which row of each column the first is that is found."""
    return np.where(found.any(axis=0), found.argmax(axis=0), otherwise)


def _escaped(reader: Reader, lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read the number of 16 raw bits that follows an escape."""
    half = RAW_BITS // 2
    high, low = (reader.raw(lanes, half) for _ in range(2))
    return np.asarray((high << half) + low - (1 << (RAW_BITS - 1)), np.int64)
