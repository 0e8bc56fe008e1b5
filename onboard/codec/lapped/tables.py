"""Frequency tables: residuals to rANS symbols and back (SPEC.md, section 11).

Layers are grouped. Each group has three sets of tables: for plain tiles, and for even and for odd
states of dependent ones. A set has a table a level; `row` is 64 times the set, plus the level.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.lapped.context import LEVELS, Ints
from onboard.errors import BundleError

LARGEST = 31
ESCAPE = 2 * LARGEST + 1
SYMBOLS = ESCAPE + 1
MAX_GROUPS = 4
BIT = 256
"""A cost of one bit."""
RAW_BITS = 16
"""Of a residual that follows an escape."""
ESCAPE_BITS = rans.PRECISION + RAW_BITS
"""Most bits of an escape, low bits left out."""
_SIZES = LARGEST + 1
"""Magnitudes of a residual that is a symbol."""
_MORE, _COST = 16, 18
"""Bits at which parts of an entry begin, see `Tables.entries`."""


def rows_of(groups: int) -> int:
    """Return how many tables so many groups of layers have."""
    return 3 * groups * LEVELS


@dataclass(frozen=True)
class Tables:
    """A table a row, for residuals whose low bits were taken off.

    Attributes:
        frequencies: u16 (rows, 64), of -31..31 and of the escape, in all 4096; 0: escape instead.
            Sets: plain ones of all groups, then even and odd of the first, of the second, ...
        shifts: u8 (64,), low bits of a residual that are coded as they are, by level.
        groups: first layer of each group, 1 first.
    """

    frequencies: NDArray[np.uint16]
    shifts: NDArray[np.uint8]
    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in pairwise(self.groups))
        if not 0 < len(self.groups) <= MAX_GROUPS or self.groups[0] != 1 or not rising:
            raise BundleError(
                f"tables: expected 1..{MAX_GROUPS} groups of layers, from 1 on, rising, found "
                f"{self.groups}"
            )
        if len(self.frequencies) != rows_of(len(self.groups)):
            raise BundleError(
                f"tables: expected {rows_of(len(self.groups))}, found {len(self.frequencies)}"
            )
        sums = self.frequencies.astype(np.int64).sum(axis=1)
        if (sums != rans.TOTAL).any() or self.frequencies[:, ESCAPE].min() == 0:
            raise BundleError("tables: frequencies must add up to 4096, escapes be possible")
        if self.shifts.max() > rans.PRECISION:
            raise BundleError("tables: at most 12 low bits")

    def first_row(self, layer: int, sets: int) -> int:
        """Return the first row of a layer.

        Args:
            layer: number of the layer, from 1.
            sets: 1 for the set of plain tiles; 2 for those of dependent ones, even states first.
        """
        group = bisect_right(self.groups, layer) - 1
        return LEVELS * (group if sets == 1 else len(self.groups) + sets * group)

    @cached_property
    def costs(self) -> NDArray[np.int32]:
        """Bits of each symbol (rows, 64), in 1/256; 0 where the frequency is 0."""
        exact = (rans.PRECISION - np.log2(np.maximum(self.frequencies, 1))) * BIT
        found: NDArray[np.int32] = np.rint(exact).astype(np.int32)
        found[self.frequencies == 0] = 0
        return found

    @cached_property
    def shift_of(self) -> Ints:
        """Low bits that are coded as they are, of each row."""
        return np.tile(self.shifts.astype(np.int32), len(self.frequencies) // LEVELS)

    @cached_property
    def _raw_rows(self) -> int:
        """First row of the alphabet of numbers of raw bits."""
        return len(self.frequencies) * SYMBOLS

    @cached_property
    def _derived_rows(self) -> int:
        """First row of the alphabet of derived tables: where a sign is hidden, see `signs`."""
        return self._raw_rows + (1 << (rans.PRECISION + 1)) - 2

    @cached_property
    def starts(self) -> NDArray[np.uint16]:
        """Where the slots of each symbol begin, (rows, 64)."""
        ends = np.cumsum(self.frequencies, axis=1, dtype=np.int64)
        return (ends - self.frequencies).astype(np.uint16)

    @cached_property
    def symbol_of(self) -> NDArray[np.uint8]:
        """(rows * 4096,): symbol on each slot."""
        symbols = np.tile(np.arange(SYMBOLS, dtype=np.uint8), len(self.frequencies))
        return np.repeat(symbols, self.frequencies.reshape(-1))

    @cached_property
    def _full_costs(self) -> NDArray[np.int32]:
        """Cost of each symbol with its raw bits."""
        costs = self.costs + self.shift_of[:, None] * BIT
        costs[:, ESCAPE] += RAW_BITS * BIT
        escaped = self.frequencies == 0
        return np.where(escaped, costs[:, ESCAPE:], costs).reshape(-1)

    @cached_property
    def alphabet(self) -> rans.Alphabet:
        """The symbols of all tables, `row * 64 + symbol`, numbers of 1..12 raw bits, derived ones.

        The last are `row * 32 + magnitude`, of plain rows.
        """
        starts: list[NDArray[Any]] = [self.starts.reshape(-1)]
        frequencies: list[NDArray[Any]] = [self.frequencies.reshape(-1)]
        for bits in range(1, rans.PRECISION + 1):
            width = rans.PRECISION - bits
            starts.append(np.arange(1 << bits) << width)
            frequencies.append(np.full(1 << bits, 1 << width))
        plain = slice(LEVELS * len(self.groups)), slice(LARGEST, None, -1)
        twice = np.where(np.arange(_SIZES) > 0, 2, 1)
        starts.append((2 * self.starts[plain].astype(np.int64)).reshape(-1) % rans.TOTAL)
        frequencies.append((twice * self.frequencies[plain].astype(np.int64)).reshape(-1))
        return rans.Alphabet.of(np.concatenate(starts), np.concatenate(frequencies))

    @cached_property
    def _entries(self) -> NDArray[np.uint32]:
        """Of each place its first row of the alphabet, how many more follow, and its cost."""
        symbol = np.where(self.frequencies == 0, ESCAPE, np.arange(SYMBOLS))
        more = 2 * (symbol == ESCAPE) + (self.shift_of > 0)[:, None]
        rows = np.arange(len(symbol))[:, None] * SYMBOLS + symbol
        places = (rows + (more << _MORE)).reshape(-1).astype(np.uint32)
        found: NDArray[np.uint32] = places | self._full_costs.astype(np.uint32) << np.uint32(_COST)
        return found

    def places(self, row: NDArray[np.intp], residual: Ints) -> NDArray[np.intp]:
        """Return where in the tables residuals stand: row * 64 + symbol."""
        shifts = np.take(self.shift_of, row)
        symbol = residual >> shifts
        symbol += np.int32(LARGEST)
        # As unsigned numbers those below 0 are large too.
        unsigned = symbol.view(np.uint32)
        np.minimum(unsigned, np.uint32(ESCAPE), out=unsigned)
        found = row * SYMBOLS
        found += symbol
        return found

    def cost(self, row: NDArray[np.intp], residual: Ints) -> NDArray[np.int32]:
        """Return the bits of residuals, in 1/256."""
        return self.costs_of(self.entries(row, residual)).view(np.int32)

    def costs_of(self, entries: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the bits of residuals by their entries, in 1/256."""
        return entries >> np.uint32(_COST)

    def entries(self, row: NDArray[np.intp], residual: Ints) -> NDArray[np.uint32]:
        """Return the entries of residuals, which `symbols` and `costs_of` take."""
        return np.take(self._entries, self.places(row, residual))

    def symbols(
        self,
        entries: NDArray[np.uint32],
        residual: Ints,
        derived: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """Return the rANS symbols of residuals, rows of the alphabet, and how many each takes.

        Args:
            entries: entry of each residual, see `entries`.
            residual: the residuals, -32768..32767.
            derived: numbers of those, symbols alone, that are of derived tables.
        """
        first, sizes = entries.astype(np.uint16), np.ones(len(entries), np.uint8)
        if derived is not None:
            of = np.abs(residual[derived]) + first[derived] // SYMBOLS * _SIZES
            first[derived] = self._derived_rows + of
        has_more = np.flatnonzero((entries & np.uint32(3 << _MORE)) != 0)
        if not len(has_more):
            return first, sizes
        more = (entries[has_more] >> np.uint32(_MORE) & np.uint32(3)).astype(np.int64)
        residual, shift = residual[has_more], self.shift_of[first[has_more] // SYMBOLS]
        sizes[has_more] += more.astype(np.uint8)
        ends = np.cumsum(more)
        raw = np.empty(ends[-1], np.uint16)
        escaped = np.flatnonzero(more > 1)
        value = (residual[escaped] >> shift[escaped]) + (1 << (RAW_BITS - 1))
        begins = (ends - more)[escaped]
        raw[begins], raw[begins + 1] = self._raw(value >> 8, 8), self._raw(value & 255, 8)
        shifted = np.flatnonzero(shift)
        width = shift[shifted]
        raw[ends[shifted] - 1] = self._raw(residual[shifted] & ((1 << width) - 1), width)
        return np.insert(first, np.repeat(has_more + 1, more), raw), sizes

    def count(self, rows: NDArray[np.uint16]) -> int:
        """Return of how many residuals these rows of the alphabet are."""
        return int(np.count_nonzero(self._begin(rows)))

    def _begin(self, rows: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Say which rows of the alphabet residuals begin with."""
        return (rows < self._raw_rows) | (rows >= self._derived_rows)

    def residuals(self, rows: NDArray[np.uint16]) -> Ints:
        """Return the residuals that `symbols` made these rows of the alphabet from.

        Those whose sign is hidden are positive.
        """
        begins = np.flatnonzero(self._begin(rows))
        first = rows[begins].astype(np.int32)
        derived = first >= self._derived_rows
        first[derived] = (first[derived] - self._derived_rows) % _SIZES + LARGEST
        row, symbol = np.divmod(first, SYMBOLS)
        shift = np.where(derived, 0, self.shift_of[row])
        value: Ints = symbol - LARGEST
        escaped = symbol == ESCAPE
        high, low = (rows[begins[escaped] + place].astype(np.int32) for place in (1, 2))
        value[escaped] = (high << 8) + low - 257 * self._raw(0, 8) - (1 << (RAW_BITS - 1))
        shifted = np.flatnonzero(shift)
        width = shift[shifted]
        last = begins[shifted] + 1 + 2 * escaped[shifted]
        value[shifted] <<= width
        value[shifted] += rows[last].astype(np.int32) - self._raw(0, width)
        return value

    def _raw(self, value: Ints | int, bits: Ints | int) -> Ints:
        """Return the rows of the alphabet of numbers of so many raw bits."""
        rows: Ints = np.asarray(self._raw_rows + (np.int32(1) << bits) - 2 + value)
        return rows
