"""Tables: residuals to rANS symbols (SPEC.md, section 20)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.errors import BundleError

LEVELS = 64
DIRECT = 16
"""Magnitudes from 1 on that have a symbol of their own."""
OCTAVES = 11
"""Octaves of larger magnitudes, of four symbols each."""
MAGNITUDES = DIRECT + 4 * OCTAVES
ESCAPE = 2 * MAGNITUDES + 1
"""Symbol of values that a table has no symbol for; 16 raw bits follow."""
SYMBOLS = ESCAPE + 1
LEAST, MOST = -(1 << 15), (1 << 15) - 1
"""Residuals."""
RAW_BITS = 8
"""Most raw bits that are written together, but for the rest of a residual."""
WEIGHT_BITS = 7
"""Bits that the weight of a residual has beyond its frequency."""
BIT = 256
"""A cost of one bit."""


def _magnitudes() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]]:
    """Return of each magnitude 0..32768 its number, its raw bits and where its number begins."""
    numbers = np.zeros((1 << 15) + 1, np.uint8)
    bits = np.zeros(MAGNITUDES + 1, np.uint8)
    begins = np.zeros(MAGNITUDES + 1, np.int32)
    for number in range(1, MAGNITUDES + 1):
        octave, part = divmod(number - 1 - DIRECT, 4)
        rest = octave + 2 if octave >= 0 else 0
        first = 1 + (number - 1 if octave < 0 else (4 + part) << rest)
        numbers[first : first + (1 << rest)] = number
        bits[number], begins[number] = rest, first
    return numbers, bits, begins


NUMBER_OF, REST_BITS, BEGINS = _magnitudes()
"""Of a magnitude: its number, that number's raw bits, and the least magnitude of that number."""


@dataclass(frozen=True)
class Tables:
    """A table a level.

    Attributes:
        frequencies: u16 (64, 122): of 0, of magnitude numbers 1..60 with sign + and - in turn, and
            of the escape; in all 4096. 0: escape instead.
    """

    frequencies: NDArray[np.uint16]

    def __post_init__(self) -> None:
        if self.frequencies.shape != (LEVELS, SYMBOLS):
            raise BundleError(f"bounded: expected {LEVELS} tables of {SYMBOLS} frequencies")
        sums = self.frequencies.astype(np.int64).sum(axis=1)
        if (sums != rans.TOTAL).any() or self.frequencies[:, ESCAPE].min() == 0:
            raise BundleError("bounded: frequencies must add up to 4096, escapes be possible")

    @cached_property
    def starts(self) -> NDArray[np.uint16]:
        """Where the slots of each symbol begin, (64, 122)."""
        ends = np.cumsum(self.frequencies, axis=1, dtype=np.int64)
        return (ends - self.frequencies).astype(np.uint16)

    @cached_property
    def alphabet(self) -> rans.Alphabet:
        """The symbols of all tables, `level * 122 + symbol`, then numbers of 1..12 raw bits."""
        starts: list[NDArray[Any]] = [self.starts.reshape(-1)]
        frequencies: list[NDArray[Any]] = [self.frequencies.reshape(-1)]
        for bits in range(1, rans.PRECISION + 1):
            width = rans.PRECISION - bits
            starts.append(np.arange(1 << bits) << width)
            frequencies.append(np.full(1 << bits, 1 << width))
        return rans.Alphabet.of(np.concatenate(starts), np.concatenate(frequencies))

    @cached_property
    def _weights(self) -> NDArray[np.int32]:
        """Weight of all residuals below each, of each level, for the rest of tiles; 17 MB."""
        residuals = np.arange(LEAST, MOST + 1, dtype=np.int32)
        symbols = self.symbol_of(residuals)
        rests = REST_BITS[(symbols + 1) >> 1]
        found = np.zeros((LEVELS, len(residuals) + 1), np.int32)
        for below, frequencies in zip(found, self.frequencies.astype(np.int32), strict=True):
            np.cumsum((frequencies[symbols] << WEIGHT_BITS >> rests) + 1, out=below[1:])
        return found.reshape(-1)

    def below(self, levels: NDArray[np.int64], residuals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what all residuals below some weigh together, each at its level."""
        places = np.clip(residuals, LEAST, MOST + 1)
        places += levels * (MOST + 2 - LEAST) - LEAST
        return self._weights.take(places).astype(np.int64)

    @cached_property
    def _entries(self) -> NDArray[np.uint32]:
        """Of each level and symbol: symbol sent, raw symbols after it, cost: 8, 2 and 22 bits."""
        symbols = np.arange(SYMBOLS)
        sent = np.where(self.frequencies == 0, ESCAPE, symbols[None])
        rest = REST_BITS[np.minimum((symbols + 1) // 2, MAGNITUDES)].astype(np.int64)
        frequency = np.maximum(np.take_along_axis(self.frequencies, sent, 1), 1)
        escaped = sent == ESCAPE
        cost = np.rint((rans.PRECISION - np.log2(frequency)) * BIT).astype(np.int64)
        cost += BIT * np.where(escaped, 16, rest)
        more = np.where(escaped, 2, rest > 0)
        entries: NDArray[np.uint32] = (sent | more << 8 | cost << 10).astype(np.uint32)
        return entries.reshape(-1)

    @property
    def symbol_costs(self) -> NDArray[np.int64]:
        """Return (64, 122) what a residual costs, in 1/256 bit, by its symbol."""
        costs = (self._entries >> np.uint32(10)).astype(np.int64)
        return costs.reshape(LEVELS, SYMBOLS)

    @staticmethod
    def symbol_of(residuals: NDArray[Any]) -> NDArray[np.int32]:
        """Return the symbol of each residual, if its table has it."""
        found: NDArray[np.int32] = NUMBER_OF.take(np.abs(residuals)).astype(np.int32)
        found *= 2
        found -= residuals > 0
        return found

    def costs(self, levels: NDArray[Any], residuals: NDArray[Any]) -> NDArray[np.int64]:
        """Return what residuals cost, in 1/256 bit; levels and residuals are broadcast."""
        places = levels * SYMBOLS + self.symbol_of(residuals)
        return np.asarray(self._entries.take(places) >> np.uint32(10), np.int64)

    def symbols(
        self, levels: NDArray[np.integer[Any]], residuals: NDArray[np.int32]
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint32]]:
        """Return the rANS symbols of residuals, how many each takes, and what each costs.

        Args:
            levels: level of each residual.
            residuals: -32768..32767.
        """
        magnitude = np.abs(residuals)
        symbol = self.symbol_of(residuals)
        first = levels.astype(np.int32) * SYMBOLS
        entry = self._entries.take(first + symbol)
        cost = entry >> np.uint32(10)
        more = (entry >> np.uint32(8) & np.uint32(3)).astype(np.uint8)
        rows = (first + (entry & np.uint32(255)).astype(np.int32)).astype(np.uint16)
        sizes = more + np.uint8(1)
        long = np.flatnonzero(more)
        if not len(long):
            return rows, sizes, cost
        found = np.empty(int(sizes.sum(dtype=np.int64)), np.uint16)
        places = np.cumsum(sizes, dtype=np.int64) - sizes
        found[places] = rows
        simple = long[more[long] == 1]
        number = (symbol[simple] + 1) >> 1
        bits = REST_BITS.take(number).astype(np.int32)
        rest = magnitude[simple] - BEGINS.take(number)
        found[places[simple] + 1] = self.raw(rest, bits)
        escaped = long[more[long] == 2]
        value = residuals[escaped] + (1 << 15)
        found[places[escaped] + 1] = self.raw(value >> 8, 8)
        found[places[escaped] + 2] = self.raw(value & 255, 8)
        return found, sizes, cost

    def raw(self, value: NDArray[Any] | int, bits: NDArray[Any] | int) -> NDArray[np.int32]:
        """Return the rows of the alphabet of numbers of 1..12 raw bits."""
        rows: NDArray[np.int32] = np.asarray(
            LEVELS * SYMBOLS + (np.int32(1) << bits) - 2 + value, np.int32
        )
        return rows

    def raw_numbers(self, numbers: NDArray[Any], bits: int) -> NDArray[np.uint16]:
        """Return the rows of numbers of 0..16 raw bits: what is beyond 8 of them comes first."""
        if not bits:
            return np.zeros(0, np.uint16)
        if bits <= RAW_BITS:
            return self.raw(numbers, bits).astype(np.uint16)
        low = (1 << RAW_BITS) - 1
        parts = [self.raw(numbers >> RAW_BITS, bits - RAW_BITS), self.raw(numbers & low, RAW_BITS)]
        return np.stack(parts, axis=1).reshape(-1).astype(np.uint16)
