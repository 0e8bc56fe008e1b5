"""Frequency tables: residuals of each level to rANS symbols and back (SPEC.md, section 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard import rans
from onboard.contexts import LEVELS, Ints
from onboard.errors import BundleError

LARGEST = 31
ESCAPE = 2 * LARGEST + 1
SYMBOLS = ESCAPE + 1
BIT = 256
"""A cost of one bit."""
_RAW_BITS = 16
_ESCAPED = -32_768
_STEPS, _LEAST_STEPS = 64, 4
"""Numbers that lanes read ahead: usually, and where an escape throws much of that away."""


@dataclass(frozen=True)
class Tables:
    """One table per level, for residuals whose low bits were taken off.

    Attributes:
        frequencies: u16 (64, 64), of -31..31 and of the escape, in all 4096; 0: escape instead.
        shifts: u8 (64,), low bits of a residual that are coded as they are.
        costs: u16 (64, 64), bits of each symbol, in 1/256; of the escape where frequency is 0.
    """

    frequencies: NDArray[np.uint16]
    shifts: NDArray[np.uint8]
    costs: NDArray[np.uint16]

    def __post_init__(self) -> None:
        sums = self.frequencies.astype(np.int64).sum(axis=1)
        if (sums != rans.TOTAL).any() or self.frequencies[:, ESCAPE].min() == 0:
            raise BundleError("tables: frequencies must add up to 4096, escapes be possible")
        if self.shifts.max() > rans.PRECISION:
            raise BundleError("tables: at most 12 low bits")

    @cached_property
    def _starts(self) -> NDArray[np.uint16]:
        ends = np.cumsum(self.frequencies, axis=1, dtype=np.int64)
        return (ends - self.frequencies).astype(np.uint16)

    @cached_property
    def _symbol_of(self) -> NDArray[np.uint8]:
        """(64 * 4096,): symbol on each slot."""
        symbols = np.tile(np.arange(SYMBOLS, dtype=np.uint8), LEVELS)
        return np.repeat(symbols, self.frequencies.reshape(-1))

    @cached_property
    def _full_costs(self) -> NDArray[np.int32]:
        """Cost of each symbol with its raw bits."""
        costs = self.costs.astype(np.int32) + self.shifts.astype(np.int32)[:, None] * BIT
        costs[:, ESCAPE] += _RAW_BITS * BIT
        escaped = self.frequencies == 0
        return np.where(escaped, costs[:, ESCAPE:], costs).reshape(-1)

    @cached_property
    def alphabet(self) -> rans.Alphabet:
        """The symbols of all levels, `level * 64 + symbol`, then numbers of 1..12 raw bits."""
        starts: list[NDArray[Any]] = [self._starts.reshape(-1)]
        frequencies: list[NDArray[Any]] = [self.frequencies.reshape(-1)]
        for bits in range(1, rans.PRECISION + 1):
            width = rans.PRECISION - bits
            starts.append(np.arange(1 << bits) << width)
            frequencies.append(np.full(1 << bits, 1 << width))
        return rans.Alphabet.of(np.concatenate(starts), np.concatenate(frequencies))

    @cached_property
    def _of_entry(self) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Row of the alphabet that comes first for each entry, and how many it takes."""
        symbol = np.where(self.frequencies == 0, ESCAPE, np.arange(SYMBOLS))
        sizes = 1 + 2 * (symbol == ESCAPE) + (self.shifts > 0)[:, None]
        rows = np.arange(LEVELS)[:, None] * SYMBOLS + symbol
        return rows.astype(np.uint16).reshape(-1), sizes.astype(np.uint8).reshape(-1)

    def entries(self, level: NDArray[np.intp], residual: Ints) -> NDArray[np.intp]:
        """Return where in the tables residuals stand: level * 64 + symbol."""
        high = residual
        if self.shifts[: level.max(initial=0) + 1].any():
            high = residual >> np.take(self.shifts.astype(np.int32), level)
        # As unsigned numbers those below 0 are large too.
        symbol = np.minimum((high + np.int32(LARGEST)).view(np.uint32), np.uint32(ESCAPE))
        found = level * SYMBOLS
        found += symbol
        return found

    def cost(self, level: NDArray[np.intp], residual: Ints) -> NDArray[np.int32]:
        """Return the bits of residuals, in 1/256."""
        return self.costs_of(self.entries(level, residual))

    def costs_of(self, entries: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the bits of residuals by their entries, in 1/256."""
        return np.take(self._full_costs, entries)

    def symbols(
        self, entries: NDArray[np.uint16], residual: Ints
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Return the rANS symbols of residuals, rows of the alphabet, and how many each takes.

        Args:
            entries: of each residual.
            residual: -32768..32767.
        """
        rows, of_entry = self._of_entry
        first, sizes = np.take(rows, entries), np.take(of_entry, entries)
        more = np.flatnonzero(sizes > 1)
        if not len(more):
            return first, sizes
        found = np.repeat(first, sizes)
        size, residual = sizes[more].astype(np.int64), residual[more]
        place = more + np.cumsum(size - 1) - (size - 1)
        shift = self.shifts[entries[more] // SYMBOLS].astype(np.int32)
        escaped = np.flatnonzero(size > 2)
        value = (residual[escaped] >> shift[escaped]) + (1 << (_RAW_BITS - 1))
        found[place[escaped] + 1] = _raw(value >> 8, 8)
        found[place[escaped] + 2] = _raw(value & 255, 8)
        shifted = np.flatnonzero(shift)
        last = (place + size - 1)[shifted]
        width = shift[shifted]
        found[last] = _raw(residual[shifted] & ((1 << width) - 1), width)
        return found, sizes

    @staticmethod
    def count(rows: NDArray[np.uint16]) -> int:
        """Return of how many residuals these rows of the alphabet are."""
        return int(np.count_nonzero(rows < LEVELS * SYMBOLS))

    def residuals(self, rows: NDArray[np.uint16]) -> Ints:
        """Return the residuals that `symbols` made these rows of the alphabet from."""
        begins = np.flatnonzero(rows < LEVELS * SYMBOLS)
        level, symbol = np.divmod(rows[begins].astype(np.int32), SYMBOLS)
        shift = self.shifts[level].astype(np.int32)
        value: Ints = symbol - LARGEST
        escaped = symbol == ESCAPE
        high, low = (rows[begins[escaped] + place].astype(np.int32) for place in (1, 2))
        value[escaped] = (high << 8) + low - 257 * _raw(0, 8) - (1 << (_RAW_BITS - 1))
        shifted = np.flatnonzero(shift)
        width = shift[shifted]
        last = begins[shifted] + 1 + 2 * escaped[shifted]
        value[shifted] <<= width
        value[shifted] += rows[last].astype(np.int32) - _raw(0, width)
        return value

    @cached_property
    def _plain(self) -> tuple[bytes, list[int], list[int], list[int]]:
        """Symbol on each slot, frequencies, starts and shifts, for reading without numpy."""
        flat = self.frequencies.reshape(-1).tolist(), self._starts.reshape(-1).tolist()
        return self._symbol_of.tobytes(), *flat, self.shifts.tolist()

    def decode_lane(self, reader: rans.Reader, lane: int, levels: Sequence[int]) -> list[int]:
        """Read a residual for each level from one lane, until it ends: `decode` without numpy."""
        symbols, frequencies, starts, shifts = self._plain
        words, last = reader.words, len(reader.words) - 1
        x, following, stop = reader.place(lane)
        values = []
        for level in levels:
            if x == rans.START and following == stop:
                break
            slot = x & (rans.TOTAL - 1)
            symbol = symbols[level * rans.TOTAL + slot]
            place = level * SYMBOLS + symbol
            x = frequencies[place] * (x >> rans.PRECISION) + slot - starts[place]
            if x < rans.START:
                x, following = x << rans.WORD | words[min(following, last)], following + 1
            value = symbol - LARGEST
            uniform = [shifts[level]] if shifts[level] else []
            if symbol == ESCAPE:
                value, uniform = -1, [8, 8, *uniform]  # -1 << 16, and 2^15 more below
            for bits in uniform:
                rest = rans.PRECISION - bits
                slot = x & (rans.TOTAL - 1)
                value = (value << bits) + (slot >> rest)
                x = (x >> rans.PRECISION << rest) + (slot & ((1 << rest) - 1))
                if x < rans.START:
                    x, following = x << rans.WORD | words[min(following, last)], following + 1
            if symbol == ESCAPE:
                value += 1 << (_RAW_BITS - 1 + shifts[level])
            values.append(value)
        reader.move(lane, x, following)
        return values

    @cached_property
    def _slots(self) -> NDArray[np.int64]:
        """((64 + 13) * 4096,), see `rans.Run`: of each level, then of numbers of 0..12 raw bits.

        Reading a number of no bits leaves a lane as it is.
        """
        frequencies = np.repeat(self.frequencies.reshape(-1), self.frequencies.reshape(-1))
        starts = np.repeat(self._starts.reshape(-1), self.frequencies.reshape(-1))
        slots = np.arange(rans.TOTAL)
        found = [(np.tile(slots, LEVELS) - starts) | frequencies.astype(np.int64) << rans.PRECISION]
        for bits in range(rans.PRECISION + 1):
            size = rans.TOTAL >> bits
            found.append(slots % size | size << rans.PRECISION)
        return np.concatenate(found)

    @cached_property
    def _numbers(self) -> NDArray[np.int16]:
        """What each of `_slots` stands for; `_ESCAPED` for what is still to be read."""
        residuals = self._symbol_of.astype(np.int16) - LARGEST
        residuals[self._symbol_of == ESCAPE] = _ESCAPED
        slots = np.arange(rans.TOTAL, dtype=np.int16)
        raw = [slots >> (rans.PRECISION - bits) for bits in range(rans.PRECISION + 1)]
        return np.concatenate([residuals, *raw])

    def decode(
        self,
        reader: rans.Reader,
        lanes: NDArray[np.int64],
        begins: NDArray[np.int64],
        lengths: NDArray[np.int64],
        levels: Ints,
    ) -> tuple[Ints, NDArray[np.int64]]:
        """Read residuals from lanes side by side, from each until it ends.

        Args:
            reader: of the lanes.
            lanes: which.
            begins: where in `levels` each begins.
            lengths: residuals of each, at most.
            levels: of all residuals.

        Returns:
            The residuals, 0 for those not read, and how many were read from each lane.
        """
        shifts = self.shifts.take(levels)
        wide = np.flatnonzero(shifts)
        shifts = shifts[wide]
        rows = np.append(levels.astype(np.int64), LEVELS) << rans.PRECISION
        rows = np.insert(rows, wide + 1, (LEVELS + shifts.astype(np.int64)) << rans.PRECISION)
        ends = begins + lengths
        stops = ends + np.searchsorted(wide, ends)
        numbers, reached = self._numbers_of(
            reader, lanes, begins + np.searchsorted(wide, begins), stops, rows
        )
        after = wide + np.arange(1, len(wide) + 1)  # place of the low bits
        for lane in np.flatnonzero(reached < stops):
            numbers[reached[lane] : stops[lane]] = 0
        unread = stops - reached - (np.searchsorted(after, stops) - np.searchsorted(after, reached))
        residuals = np.delete(numbers[:-1], after).astype(np.int32)
        residuals[wide] = (residuals[wide] << shifts) + numbers[after]
        return residuals, lengths - unread

    def _numbers_of(
        self,
        reader: rans.Reader,
        lanes: NDArray[np.int64],
        places: NDArray[np.int64],
        stops: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Read numbers, each from its own table.

        Lanes go some steps ahead side by side; those that have ended on the way or have to resolve
        an escape go back to there.

        Args:
            reader: of the lanes.
            lanes: which.
            places: first number of each.
            stops: the one after its last.
            rows: of `_slots`, first of the table of each number; the last one stands for none.

        Returns:
            The numbers, and the place that each lane reached.
        """
        numbers = np.zeros(len(rows), np.int16)
        places, stops, ahead = places.copy(), stops.copy(), _STEPS
        while len(which := np.flatnonzero(places < stops)):
            left = np.minimum((stops - places)[which], ahead)
            step = np.arange(left.max())[:, None]
            at = places[which] + step
            if left.min() < len(step):
                at[step >= left] = len(rows) - 1
            slots = rows.take(at)
            run = rans.Run(reader, lanes[which], self._slots, slots)
            numbers[at] = found = self._numbers.take(slots)
            ends = escapes = left
            if (ended := run.ended()) is not None:
                ends = _first(ended & (rows.take(at) < LEVELS << rans.PRECISION), left)
            if found.min() == _ESCAPED:
                escapes = _first(found == _ESCAPED, left)
            run.leave(np.minimum(ends, escapes + 1))
            places[which] += np.minimum(ends, escapes + 1)
            over, escaped = which[(ends < left) & (ends <= escapes)], which[escapes < ends]
            stops[over] = places[over]
            if len(escaped):
                numbers[places[escaped] - 1] = _escaped(reader, lanes[escaped])
            many = 4 * len(escaped) > len(which)
            ahead = max(ahead // 2, _LEAST_STEPS) if many else min(2 * ahead, _STEPS)
        return numbers, places


def _first(found: NDArray[np.bool_], otherwise: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return in which row of each column the first is that is found."""
    return np.where(found.any(axis=0), found.argmax(axis=0), otherwise)


def _escaped(reader: rans.Reader, lanes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Read the number of 16 raw bits that follows an escape."""
    half = _RAW_BITS // 2
    high, low = (reader.raw(lanes, half) for _ in range(2))
    return np.asarray((high << half) + low - (1 << (_RAW_BITS - 1)), np.int64)


def _raw(value: Ints | int, bits: Ints | int) -> Ints:
    """Return the rows of the alphabet of numbers of so many raw bits."""
    rows: Ints = np.asarray(LEVELS * SYMBOLS + (np.int32(1) << bits) - 2 + value)
    return rows
