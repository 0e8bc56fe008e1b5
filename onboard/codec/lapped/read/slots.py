"""Slots of tables, and numbers read from many lanes side by side (SPEC.md, section 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.lapped.context import LEVELS
from onboard.codec.lapped.read.run import STEERING, Machine, Reader, Run, pack_slots
from onboard.codec.lapped.tables import ESCAPE, LARGEST, RAW_BITS, Tables
from onboard.codec.lapped.trellis import SETS

_ESCAPED = -32_768
_STEPS, _LEAST_STEPS = 64, 4
"""Numbers that lanes read ahead: usually, and where an escape throws much of that away."""


class Steered:
    """What says of which tables the numbers of lanes side by side are.

    Attributes:
        machine: the trellis, or what seeks residuals whose sign is hidden.
        states: state of each lane now.
        holds: of each number, `HOLD` if its low bits, which follow, move the state; 0 as a rule.
        odd: whether the state before each number was odd.
    """

    def __init__(self, machine: Machine, states: NDArray[np.int64], numbers: int) -> None:
        self.machine = machine
        self.states = machine.start(states)
        self.holds = np.zeros(numbers, np.int64)
        self.odd = np.zeros(numbers, np.uint8)


@dataclass(frozen=True)
class Slots:
    """What the 4096 slots of some tables stand for: of each level, then numbers of 0..12 raw bits.

    Reading a number of no bits leaves a lane as it is. Of each table there are those of all sets
    of the group; where signs are hidden the second set has the derived tables.

    Attributes:
        sets: 1, or 2 of dependent tiles and of those that hide signs.
        slots: int64 ((64 + 13) * sets * 4096,), see `Run`.
        numbers: int16, the same; `_ESCAPED` for what is still to be read.
    """

    sets: int
    slots: NDArray[np.int64]
    numbers: NDArray[np.int16]

    @classmethod
    def of(
        cls,
        tables: Tables,
        first_row: int,
        sets: int,
        single: NDArray[np.bool_] | None = None,
    ) -> "Slots":
        """Return those of a group.

        Args:
            tables: frequencies of symbols.
            first_row: first row of the group.
            sets: of its tables.
            single: see `OwnSigns`, if signs are hidden.
        """
        rows = slice(first_row, first_row + sets * LEVELS)
        counts = tables.frequencies[rows].reshape(-1)
        starts = np.repeat(tables.starts[rows].reshape(-1), counts)
        symbols = tables.symbol_of.reshape(-1, rans.TOTAL)[rows].reshape(-1)
        numbers = symbols.astype(np.int16) - LARGEST
        numbers[symbols == ESCAPE] = _ESCAPED
        slots = np.arange(rans.TOTAL)
        distances = np.tile(slots, sets * LEVELS) - starts
        kinds: list[NDArray[Any]] = [distances, np.repeat(counts, counts), numbers]
        parity = numbers & 1
        if single is not None:
            of_rows: NDArray[np.bool_] = np.asarray(single[rows].any(axis=1))
            others = _derived(kinds, of_rows)
            even = np.repeat(of_rows, rans.TOTAL)
            parity = np.append(np.zeros_like(numbers), (others[2] > 0) & even)
            kinds = [np.append(*both) for both in zip(kinds, others, strict=True)]
            sets = SETS
        by_set = (sets, LEVELS, rans.TOTAL)
        kinds.append(parity)
        found = [[part.reshape(by_set).swapaxes(0, 1).reshape(-1)] for part in kinds]
        for bits in range(rans.PRECISION + 1):
            size = rans.TOTAL >> bits
            number = slots >> (rans.PRECISION - bits)
            parity = number & 1 if single is None else np.zeros_like(number)
            raw = slots % size, np.full(rans.TOTAL, size), number, parity
            for arrays, values in zip(found, raw, strict=True):
                arrays.extend([values] * sets)
        distance, frequency, number, parity = (np.concatenate(part) for part in found)
        packed = pack_slots(distance, frequency, parity if sets > 1 else None)
        return cls(sets, packed, number.astype(np.int16))

    def read(
        self,
        reader: Reader,
        lanes: NDArray[np.int64],
        places: NDArray[np.int64],
        stops: NDArray[np.int64],
        tables: NDArray[np.int64],
        steered: Steered | None,
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
            steered: says of which set a number is, where there are two.

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
                steering = steered.machine, steered.states[which], steered.holds.take(at)
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
                    parity = value & (steered.machine is STEERING)
                    steered.states[escaped] = steered.machine.after(before, holds, parity)
            many = 4 * len(escaped) > len(which)
            ahead = max(ahead // 2, _LEAST_STEPS) if many else min(2 * ahead, _STEPS)
        return numbers, places


def _derived(kinds: Sequence[NDArray[Any]], even: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Return distances, frequencies and numbers of slots of derived tables, of even rows.

    Those of other rows are as they are.
    """
    found = [part.reshape(LEVELS, rans.TOTAL).copy() for part in kinds]
    distances, frequencies, numbers = (part.reshape(LEVELS, rans.TOTAL) for part in kinds)
    for row in np.flatnonzero(even).tolist():
        below = np.flatnonzero(numbers[row] < 0)
        below = below[numbers[row, below] != _ESCAPED]
        zeros = np.flatnonzero(numbers[row] == 0)
        slots = np.arange(2 * len(below))
        half = below[slots // 2]
        found[0][row, slots] = 2 * distances[row, half] + slots % 2
        found[1][row, slots] = 2 * frequencies[row, half]
        found[2][row, slots] = -numbers[row, half]
        place = np.arange(len(slots), len(slots) + len(zeros))
        for part, values in zip(found, (distances, frequencies, numbers), strict=True):
            part[row, place] = values[row, zeros]
    return [part.reshape(-1) for part in found]


def _first(found: NDArray[np.bool_], otherwise: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return in which row of each column the first is that is found."""
    return np.where(found.any(axis=0), found.argmax(axis=0), otherwise)


def _escaped(reader: Reader, lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read the number of 16 raw bits that follows an escape."""
    half = RAW_BITS // 2
    high, low = (reader.raw(lanes, half) for _ in range(2))
    return np.asarray((high << half) + low - (1 << (RAW_BITS - 1)), np.int64)
