"""Entropy coder: range asymmetric numeral systems (rANS) over many lanes at once (SPEC.md, 11).

A lane is the symbol sequence of one segment. State x of a lane: 2^16 <= x < 2^32 between symbols.
Coding a symbol of frequency f and start c (of 4096) makes x = (x // f) * 4096 + x % f + c, after
moving 16 bits out of x if it would pass 2^32; reading undoes it. A lane is written from its last
symbol to its first, so it is read forward, and a reader that ends at x = 2^16 with no word left has
read what was written. Numbers are integers throughout.

Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PRECISION = 12
TOTAL = 1 << PRECISION
STATE_BYTES = 4
_START = 1 << 16
_WORD = 16


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
    active = np.count_nonzero(lengths[:, None] > _marks(lengths), axis=0)
    ends = np.cumsum(lengths)[order] - 1
    state = np.full(len(lengths), _START, np.uint32)
    words = np.zeros((len(active), len(lengths)), np.uint16)
    moved = np.zeros(words.shape, np.bool_)
    wide = frequencies.astype(np.uint32)
    for step, count in enumerate(active):
        at = ends[:count] - step
        frequency, start = wide[at], starts[at]
        x = state[:count]
        # x >= f << 20 without overflow at f = 4096, for which no state is too large.
        full = (x >> (32 - PRECISION)) >= frequency
        words[step, :count] = x
        moved[step, :count] = full
        x = np.where(full, x >> _WORD, x)
        quotient = x // frequency
        state[:count] = quotient * (TOTAL - frequency) + x + start
    return _collect(order, state, words, moved)


def _marks(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.arange(int(lengths.max(initial=0)))


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
        low = x < _START
        place = self._next[lanes]
        word = self._words[np.minimum(place, len(self._words) - 1)]
        self._state[lanes] = np.where(low, (x << _WORD) | word, x)
        self._next[lanes] = place + low

    def read_uniform(self, lanes: NDArray[np.int64], bits: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Read a number of 0..12 equally likely bits from each lane."""
        slots = self.slots(lanes)
        shift = PRECISION - bits
        values = slots >> shift
        self.advance(lanes, slots, values << shift, np.uint32(1) << shift)
        return values.astype(np.int64)

    def ended(self, lanes: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Say of each lane whether it stands where its writer began, all words read.

        A writer's state grows with every symbol, so no lane stands there before its last one.
        """
        which: NDArray[np.int64] | slice = slice(None) if lanes is None else lanes
        found = (self._state[which] == _START) & (self._next[which] == self._stop[which])
        return np.asarray(found & ~self._odd[which], np.bool_)
