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
_SYMBOL_AT, _MORE_AT = 25, 31


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
    def _slots(self) -> NDArray[np.uint32]:
        """(64 * 4096,): on each slot of each level, the distance from the start of its symbol,
        12 bits, the frequency, 13 bits, the symbol, 6 bits, and whether raw bits follow."""
        frequencies = np.repeat(self.frequencies.reshape(-1), self.frequencies.reshape(-1))
        starts = np.repeat(self._starts.reshape(-1), self.frequencies.reshape(-1))
        symbols = self._symbol_of.astype(np.uint32)
        away = np.tile(np.arange(rans.TOTAL, dtype=np.uint32), LEVELS) - starts
        more = (symbols == ESCAPE) | np.repeat(self.shifts > 0, rans.TOTAL)
        packed: NDArray[np.uint32] = (
            away
            | frequencies.astype(np.uint32) << rans.PRECISION
            | symbols << _SYMBOL_AT
            | more.astype(np.uint32) << _MORE_AT
        )
        return packed

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
            lanes: which, those of most residuals first.
            begins: where in `levels` each begins.
            lengths: residuals of each, at most; more than 0.
            levels: of all residuals.

        Returns:
            The residuals, 0 for those not read, and how many were read from each lane.
        """
        taken = np.full(len(levels), LARGEST << _SYMBOL_AT, np.uint32)
        raw = np.zeros(len(levels), np.int32)
        rows = levels.astype(np.int64) << rans.PRECISION
        counts = lengths.copy()
        which = np.arange(len(lanes))
        step = 0
        while len(which):
            run = rans.Run(reader, lanes[which])
            at = begins[which] + step
            until = int(lengths[which[-1]])
            while step < until and not (ended := run.ended()).any():
                found = run.advance(self._slots, rows.take(at))
                taken[at] = found
                if found.max() >> _MORE_AT:
                    which_more = np.flatnonzero(found >> _MORE_AT)
                    place = at[which_more]
                    symbols = (found[which_more] >> _SYMBOL_AT & ESCAPE).astype(np.int64)
                    raw[place] = self._decode_raw(run, which_more, symbols, levels[place])
                at += 1
                step += 1
            run.leave()
            if step < until:
                counts[which[ended]] = step
                which = which[~ended]
            else:
                which = which[: np.count_nonzero(lengths[which] > step)]
        symbols = ((taken >> _SYMBOL_AT) & ESCAPE).astype(np.int32)
        return np.where(taken >> _MORE_AT, raw, symbols - LARGEST), counts

    def _decode_raw(
        self, run: rans.Run, which: NDArray[np.int64], symbols: NDArray[np.int64], levels: Ints
    ) -> NDArray[np.int64]:
        """Return the residuals of some lanes that have raw bits after their symbols."""
        value = symbols - LARGEST
        escaped = np.flatnonzero(value == LARGEST + 1)
        if len(escaped):
            high = run.raw(which[escaped], np.full(len(escaped), 8, np.uint32)) << 8
            low = run.raw(which[escaped], np.full(len(escaped), 8, np.uint32))
            value[escaped] = high + low - (1 << (_RAW_BITS - 1))
        widths = self.shifts[levels].astype(np.uint32)
        wide = np.flatnonzero(widths)
        if len(wide):
            value[wide] = (value[wide] << widths[wide]) + run.raw(which[wide], widths[wide])
        return value


def _raw(value: Ints, bits: Ints | int) -> Ints:
    """Return the rows of the alphabet of numbers of so many raw bits."""
    return LEVELS * SYMBOLS + (np.int32(1) << bits) - 2 + value
