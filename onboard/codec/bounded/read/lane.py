"""Lanes being read: one by one for side information, many side by side for samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.tables import BEGINS, ESCAPE, MAGNITUDES, REST_BITS, SYMBOLS, Tables
from onboard.codec.rans import PRECISION, START, STATE_BYTES, TOTAL, WORD

Ints = NDArray[np.int64]
_FREQUENCY, _SYMBOL = 12, 25
"""Bits at which parts of a slot begin: distance from the symbol's start, frequency, symbol."""


@dataclass(frozen=True)
class SlotTable:
    """What each slot of each table means, and what each symbol stands for.

    Attributes:
        slots: int64 (64 * 4096,).
        begins: (122,) least magnitude of each symbol.
        rests: (122,) raw bits that follow; 0 for the escape.
        signs: (122,) 1 or -1.
    """

    slots: Ints
    begins: Ints
    rests: Ints
    signs: Ints

    @classmethod
    def of(cls, tables: Tables) -> "SlotTable":
        """Return the slots of tables."""
        frequencies = tables.frequencies.astype(np.int64)
        symbols = np.tile(np.arange(SYMBOLS), len(frequencies))
        each = np.repeat(symbols, frequencies.reshape(-1))
        start = np.repeat(tables.starts.astype(np.int64).reshape(-1), frequencies.reshape(-1))
        frequency = np.repeat(frequencies.reshape(-1), frequencies.reshape(-1))
        slot = np.tile(np.arange(TOTAL), len(frequencies))
        number = np.minimum((np.arange(SYMBOLS) + 1) // 2, MAGNITUDES)
        rests = REST_BITS[number].astype(np.int64)
        rests[ESCAPE] = 0
        return cls(
            slot - start | frequency << _FREQUENCY | each << _SYMBOL,
            BEGINS[number].astype(np.int64),
            rests,
            np.where(np.arange(SYMBOLS) % 2, 1, -1),
        )


class Words:
    """The words of all lanes, one lane after the other."""

    def __init__(self, lanes: Sequence[bytes]) -> None:
        """Take lanes; one that is no state and whole words can have no proper end."""
        whole = [lane if len(lane) >= STATE_BYTES else bytes(STATE_BYTES) for lane in lanes]
        counts = np.array([(len(lane) - STATE_BYTES) // 2 for lane in whole], np.int64)
        ends = np.cumsum(counts)
        self.states = np.array([int.from_bytes(lane[:STATE_BYTES], "big") for lane in whole])
        self.begins = ends - counts
        odd = [len(lane) % 2 > 0 or len(lane) < STATE_BYTES for lane in lanes]
        self.ends = np.where(np.array(odd, np.bool_), -1, ends)
        body = b"".join(lane[STATE_BYTES : len(lane) - len(lane) % 2] for lane in whole)
        # What reads on beyond its end gets the words of the next lane, or zeros.
        self.words = np.frombuffer(body + bytes(2), ">u2").astype(np.int64)


class Cursor:
    """A place in one lane, for reading symbol by symbol."""

    def __init__(self, words: Words, table: SlotTable, state: int, following: int) -> None:
        self._words = words.words
        self._table = table
        self.state = state
        self.following = following

    def bits(self, count: int) -> int:
        """Read a number of so many raw bits: what is beyond 8 of them comes first."""
        if count > 8:
            return self._raw(count - 8) << 8 | self._raw(8)
        return self._raw(count)

    def number(self) -> int:
        """Read a number that tells how many bits it has, at most 16."""
        return self.bits(min(self.bits(5), 16))

    def residual(self, level: int) -> int:
        """Read a residual."""
        slot = int(self._table.slots[level * TOTAL + (self.state & (TOTAL - 1))])
        frequency = slot >> _FREQUENCY & 2 * TOTAL - 1
        self._go_on(frequency * (self.state >> PRECISION) + (slot & TOTAL - 1))
        symbol = slot >> _SYMBOL
        if symbol == ESCAPE:
            return self.bits(16) - (1 << 15)
        magnitude = int(self._table.begins[symbol]) + self._raw(int(self._table.rests[symbol]))
        return magnitude * int(self._table.signs[symbol])

    def _raw(self, bits: int) -> int:
        rest = PRECISION - bits
        slot = self.state & (TOTAL - 1)
        self._go_on((self.state >> PRECISION << rest) + (slot & ((1 << rest) - 1)))
        return slot >> rest

    def _go_on(self, state: int) -> None:
        if state < START:
            word = int(self._words[min(self.following, len(self._words) - 1)])
            state, self.following = state << WORD | word, self.following + 1
        self.state = state


class Beside:
    """Places in many lanes, for reading a symbol of each at a time."""

    def __init__(self, words: Words, table: SlotTable, states: Ints, following: Ints) -> None:
        self._words = words.words
        self._table = table
        self.states = states
        self.following = following

    def residuals(self, levels: NDArray[np.int32]) -> tuple[Ints, Ints]:
        """Read a residual from each lane; return their magnitudes and signs (-1, 1)."""
        places = levels.astype(np.int64)
        places <<= PRECISION
        places |= self.states & (TOTAL - 1)
        slots = self._table.slots.take(places)
        higher = self.states >> PRECISION
        higher *= slots >> _FREQUENCY & 2 * TOTAL - 1
        higher += slots & TOTAL - 1
        self._go_on(higher)
        symbols = slots >> _SYMBOL
        magnitudes = self._table.begins.take(symbols)
        rests = self._table.rests.take(symbols)
        signs = self._table.signs.take(symbols)
        if rests.any():
            magnitudes += self.raw(rests)
        escaped = np.flatnonzero(symbols == ESCAPE)
        if len(escaped):
            values = self._escaped(escaped)
            magnitudes[escaped], signs[escaped] = np.abs(values), np.where(values < 0, -1, 1)
        return magnitudes, signs

    @property
    def slots(self) -> Ints:
        """Slot, of 4096, that the next symbol of each lane is found by."""
        return self.states & (TOTAL - 1)

    def take(self, starts: Ints, frequencies: Ints) -> None:
        """Go past the symbol of each lane that begins with these slots and has so many."""
        self._go_on(frequencies * (self.states >> PRECISION) + self.slots - starts)

    def raw(self, bits: Ints | int) -> Ints:
        """Read a number of 0..12 raw bits from each lane."""
        rests = PRECISION - bits
        slots = self.states & (TOTAL - 1)
        found: Ints = slots >> rests
        slots &= (np.int64(1) << rests) - 1
        slots += self.states >> PRECISION << rests
        self._go_on(slots)
        return found

    def _escaped(self, lanes: Ints) -> Ints:
        """Read numbers of 16 raw bits from some lanes."""
        part = Beside.__new__(Beside)
        part._words, part._table = self._words, self._table
        part.states, part.following = self.states[lanes], self.following[lanes]
        high = part.raw(8)
        found: Ints = (high << 8) + part.raw(8) - (1 << 15)
        self.states[lanes], self.following[lanes] = part.states, part.following
        return found

    def _go_on(self, states: Ints) -> None:
        low = states < START
        words = self._words.take(self.following, mode="clip")
        words |= states << WORD
        np.putmask(states, low, words)
        self.states = states
        self.following = self.following + low
