"""Entropy coder: range asymmetric numeral systems (rANS) over many lanes at once (SPEC.md, 11).

A lane is the symbol sequence of one segment. State x of a lane: 2^16 <= x < 2^32 between symbols.
Coding a symbol of frequency f and start c (of 4096) makes x = (x // f) * 4096 + x % f + c, after
moving 16 bits out of x if it would pass 2^32; reading undoes it. A lane is written from its last
symbol to its first, so it is read forward, and a reader that ends at x = 2^16 with no word left has
read what was written. Numbers are integers throughout.

Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISION = 12
TOTAL = 1 << PRECISION
STATE_BYTES = 4
START = 1 << 16
WORD = 16
_LOW, _FREQUENCY = np.uint32(TOTAL - 1), np.uint32(2 * TOTAL - 1)
_SHIFT, _WORD = np.uint32(PRECISION), np.uint32(WORD)
_STEPS = 256
"""Symbols that all lanes take at a time."""
_LANES = 1024
"""Lanes side by side; with that, bounds the memory."""


@dataclass(frozen=True)
class Alphabet:
    """All symbols that lanes may hold, whatever table they are of.

    Attributes:
        rows: u32, for each symbol its start among 4096 in the low 12 bits and its frequency,
            1..4096, above; the last one leaves a state as it is.
    """

    rows: NDArray[np.uint32]

    @classmethod
    def of(cls, starts: NDArray[Any], frequencies: NDArray[Any]) -> "Alphabet":
        """Return these symbols, and the one that leaves a state as it is."""
        starts = np.append(starts, 0).astype(np.uint32)
        return cls(np.append(frequencies, TOTAL).astype(np.uint32) << _SHIFT | starts)


def encode(lanes: Sequence[NDArray[np.uint16]], alphabet: Alphabet) -> list[bytes]:
    """Code lanes.

    Args:
        lanes: rows of the alphabet, in reading order.
        alphabet: of all lanes, at most 65,536 rows.

    Returns:
        The bytes of each lane: the state, u32, then 16-bit words in reading order.
    """
    order = sorted(range(len(lanes)), key=lambda lane: -len(lanes[lane]))
    coded = [b""] * len(lanes)
    for first in range(0, len(order), _LANES):
        group = order[first : first + _LANES]
        for lane, found in zip(group, _encode([lanes[n] for n in group], alphabet), strict=True):
            coded[lane] = found
    return coded


def _encode(lanes: Sequence[NDArray[np.uint16]], alphabet: Alphabet) -> list[bytes]:
    """Code lanes side by side, the longest first."""
    longest = len(lanes[0])
    symbols = np.full((len(lanes), longest), len(alphabet.rows) - 1, np.uint16)
    for row, lane in zip(symbols, lanes, strict=True):
        row[longest - len(lane) :] = lane
    moved, words = np.empty(symbols.shape, np.bool_), np.empty(symbols.shape, ">u2")
    lengths = np.array([len(lane) for lane in lanes])
    state = np.full(len(lanes), START, np.uint32)
    for stop in range(longest, 0, -_STEPS):
        steps = slice(max(stop - _STEPS, 0), stop)
        active = int(np.count_nonzero(lengths > longest - stop))
        taken = np.take(alphabet.rows, symbols[:active, steps].T[::-1])
        left, before = _code(state[:active], taken)
        moved[:active, steps], words[:active, steps] = left[::-1].T, before[::-1].T
        moved[active:, steps] = False
    stops = np.cumsum(np.count_nonzero(moved, axis=1)).tolist()
    packed, states = words[moved].tobytes(), state.astype(">u4").tobytes()
    firsts = [0, *stops[:-1]]
    return [
        states[STATE_BYTES * lane : STATE_BYTES * (lane + 1)] + packed[2 * first : 2 * stop]
        for lane, (first, stop) in enumerate(zip(firsts, stops, strict=True))
    ]


def _code(
    x: NDArray[np.uint32], symbols: NDArray[np.uint32]
) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
    """Code symbols (steps, lanes); return whether a word leaves a state at each, and which."""
    moved, words = np.empty(symbols.shape, np.bool_), np.empty(symbols.shape, np.uint16)
    frequencies, starts = symbols >> _SHIFT, symbols & _LOW
    rests = np.uint32(TOTAL) - frequencies
    # Largest states that take the symbol with no word moved out; f << 20 is 0 for f = 4096.
    limits = (frequencies << np.uint32(32 - PRECISION)) - np.uint32(1)
    shift, quotient = np.empty_like(x), np.empty_like(x)
    for frequency, start, limit, rest, word, full in zip(
        frequencies, starts, limits, rests, words, moved, strict=True
    ):
        np.greater(x, limit, out=full)
        word[:] = x
        np.multiply(full, np.uint32(WORD), out=shift)
        np.right_shift(x, shift, out=x)
        np.floor_divide(x, frequency, out=quotient)
        np.multiply(quotient, rest, out=quotient)
        np.add(x, quotient, out=x)
        np.add(x, start, out=x)
    return moved, words


class Reader:
    """Lanes being read, all together."""

    def __init__(self, lanes: Sequence[bytes]) -> None:
        """Open lanes; one that is too short for its state counts as damaged."""
        whole = [lane if len(lane) >= STATE_BYTES else bytes(STATE_BYTES) for lane in lanes]
        self._state = np.array([int.from_bytes(lane[:STATE_BYTES], "big") for lane in whole])
        self._state = self._state.astype(np.uint32)
        counts = np.array([(len(lane) - STATE_BYTES) // 2 for lane in whole], np.int64)
        self._stop = np.cumsum(counts)
        self._next = self._stop - counts
        body = b"".join(lane[STATE_BYTES : len(lane) - len(lane) % 2] for lane in whole)
        # A lane that reads on beyond its end gets the words of the next one, or zeros.
        self._words = np.frombuffer(body + bytes(2), ">u2").astype(np.uint32)
        short = [len(lane) % 2 > 0 or len(lane) < STATE_BYTES for lane in lanes]
        self._odd = np.array(short, np.bool_)

    @cached_property
    def words(self) -> list[int]:
        """The words of all lanes, as plain numbers."""
        found: list[int] = self._words.tolist()
        return found

    def place(self, lane: int) -> tuple[int, int, int]:
        """Return the state of a lane, the number of its next word and of the one after its last.

        The latter is -1 for a lane that can have no proper end.
        """
        stop = -1 if self._odd[lane] else int(self._stop[lane])
        return int(self._state[lane]), int(self._next[lane]), stop

    def move(self, lane: int, state: int, following: int) -> None:
        """Put a lane to another place."""
        self._state[lane], self._next[lane] = state, following

    def ended(self, lanes: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Say of each lane whether it stands where its writer began, all words read.

        A writer's state grows with every symbol, so no lane stands there before its last one.
        """
        which: NDArray[np.int64] | slice = slice(None) if lanes is None else lanes
        found = (self._state[which] == START) & (self._next[which] == self._stop[which])
        return np.asarray(found & ~self._odd[which], np.bool_)


class Run:
    """Some lanes of a reader being read side by side, one symbol each at a time."""

    def __init__(self, reader: Reader, lanes: NDArray[np.int64]) -> None:
        self._reader, self._lanes = reader, lanes
        self._words = reader._words
        self._state, self._next = reader._state[lanes], reader._next[lanes]
        self._stop = np.where(reader._odd[lanes], -1, reader._stop[lanes])
        self._none = np.zeros(len(lanes), np.bool_)

    def leave(self) -> None:
        """Put the lanes of the reader where the run has come to."""
        self._reader._state[self._lanes], self._reader._next[self._lanes] = self._state, self._next

    def ended(self) -> NDArray[np.bool_]:
        """See `Reader.ended`."""
        if self._state.min() > START:
            return self._none
        return np.asarray((self._state == START) & (self._next == self._stop), np.bool_)

    def advance(self, slots: NDArray[np.uint32], rows: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Take one symbol from each lane.

        Args:
            slots: of the 4096 slots of each table, the distance from the start of their symbol
                in the low 12 bits, its frequency in the next 13.
            rows: first slot of the table of each lane.

        Returns:
            The slots that the lanes stood on.
        """
        state = self._state
        rows += state & _LOW
        found: NDArray[np.uint32] = slots.take(rows)
        state >>= _SHIFT
        state *= (found >> _SHIFT) & _FREQUENCY
        state += found & _LOW
        low = state < START
        refilled = state << _WORD
        refilled |= self._words.take(self._next, mode="clip")
        np.copyto(state, refilled, where=low)
        self._next += low
        return found

    def raw(self, which: NDArray[np.int64], bits: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Take a number of 0..12 equally likely bits from some of the lanes."""
        state = self._state[which]
        rest = PRECISION - bits
        slots = state & _LOW
        state = (state >> _SHIFT << rest) + (slots & ((np.uint32(1) << rest) - 1))
        low = state < START
        following = self._next[which]
        words = self._words.take(following, mode="clip")
        self._state[which] = np.where(low, state << _WORD | words, state)
        self._next[which] = following + low
        return (slots >> rest).astype(np.int64)
