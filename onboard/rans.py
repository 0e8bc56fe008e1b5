"""Entropy coder: range asymmetric numeral systems (rANS) over many lanes at once (SPEC.md, 11).

A lane is the symbol sequence of one segment. State x of a lane: 2^16 <= x < 2^32 between symbols.
Coding a symbol of frequency f and start c (of 4096) makes x = (x // f) * 4096 + x % f + c, after
moving 16 bits out of x if it would pass 2^32; reading undoes it. A lane is written from its last
symbol to its first, so it is read forward, and a reader that ends at x = 2^16 with no word left has
read what was written. Numbers are integers throughout.

Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

PRECISION = 12
TOTAL = 1 << PRECISION
STATE_BYTES = 4
START = 1 << 16
WORD = 16
_STEPS = 256
"""Symbols that all lanes take at a time; bounds the memory."""


def encode(
    starts: NDArray[np.uint16], frequencies: NDArray[np.uint16], lengths: NDArray[np.int64]
) -> list[bytes]:
    """Code lanes.

    Args:
        starts: start of each symbol among 4096, lane after lane, in reading order.
        frequencies: its frequency, 1..4096.
        lengths: symbols of each lane.

    Returns:
        The bytes of each lane: the state, u32, then 16-bit words in reading order.
    """
    order = np.argsort(-lengths, kind="stable")
    longest = int(lengths.max(initial=0))
    last = (np.cumsum(lengths) - 1)[order]
    counts = lengths[order]
    state = np.full(len(lengths), START, np.uint32)
    words = np.zeros((longest, len(lengths)), np.uint16)
    moved = np.zeros(words.shape, np.bool_)
    for first in range(0, longest, _STEPS):
        steps = np.arange(first, min(first + _STEPS, longest))[:, None]
        lanes = int(np.count_nonzero(counts > first))
        at = last[:lanes] - steps
        # A lane that has ended gets symbols of frequency 4096, which leave it as it is.
        ended = steps >= counts[:lanes]
        at[ended] = 0
        frequency = np.where(ended, TOTAL, frequencies[at]).astype(np.uint32)
        start = np.where(ended, 0, starts[at]).astype(np.uint32)
        place = np.s_[first : first + len(steps), :lanes]
        _code(state[:lanes], frequency, start, words[place], moved[place])
    return _collect(order, state, words, moved)


def _code(
    x: NDArray[np.uint32],
    frequencies: NDArray[np.uint32],
    starts: NDArray[np.uint32],
    words: NDArray[np.uint16],
    moved: NDArray[np.bool_],
) -> None:
    """Code symbols (steps, lanes); note the words that leave a state, and whether they do."""
    # x >= f << 20, written so that it does not overflow at f = 4096.
    limits = ((frequencies.astype(np.uint64) << (32 - PRECISION)) - 1).astype(np.uint32)
    rest = TOTAL - frequencies
    shift, quotient = np.empty_like(x), np.empty_like(x)
    for frequency, start, limit, other, word, full in zip(
        frequencies, starts, limits, rest, words, moved, strict=True
    ):
        np.greater(x, limit, out=full)
        word[:] = x
        np.multiply(full, np.uint32(WORD), out=shift)
        np.right_shift(x, shift, out=x)
        np.floor_divide(x, frequency, out=quotient)
        np.multiply(quotient, other, out=quotient)
        np.add(x, quotient, out=x)
        np.add(x, start, out=x)


def _collect(
    order: NDArray[np.int64],
    state: NDArray[np.uint32],
    words: NDArray[np.uint16],
    moved: NDArray[np.bool_],
) -> list[bytes]:
    """Return the bytes of each lane from what left its state, step by step."""
    packed = words.T[moved.T].astype(">u2")
    stops = np.cumsum(moved.sum(axis=0))
    lanes = [b""] * len(order)
    for place, lane in enumerate(order):
        first = stops[place - 1] if place else 0
        written = packed[first : stops[place]][::-1].tobytes()
        lanes[lane] = int(state[place]).to_bytes(STATE_BYTES, "big") + written
    return lanes


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

    def slots(self, lanes: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return which of the 4096 slots each lane stands on."""
        found: NDArray[np.uint32] = self._state[lanes] & np.uint32(TOTAL - 1)
        return found

    def advance(
        self,
        lanes: NDArray[np.int64],
        slots: NDArray[np.uint32],
        starts: NDArray[np.uint32],
        frequencies: NDArray[np.uint32],
    ) -> None:
        """Take one symbol from each lane, given its start and frequency."""
        x = frequencies * (self._state[lanes] >> PRECISION) + slots - starts
        low = x < START
        place = self._next[lanes]
        word = self._words[np.minimum(place, len(self._words) - 1)]
        self._state[lanes] = np.where(low, (x << WORD) | word, x)
        self._next[lanes] = place + low

    def read_uniform(self, lanes: NDArray[np.int64], bits: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Read a number of 0..12 equally likely bits from each lane."""
        slots = self.slots(lanes)
        shift = PRECISION - bits
        values = slots >> shift
        self.advance(lanes, slots, values << shift, np.uint32(1) << shift)
        return values.astype(np.int64)

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
