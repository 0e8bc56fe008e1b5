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
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISION = 12
TOTAL = 1 << PRECISION
STATE_BYTES = 4
START = 1 << 16
WORD = 16
_IDLE = TOTAL << PRECISION
_LOW = np.uint32(TOTAL - 1)
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


def encode(lanes: Sequence[NDArray[Any]], alphabet: Alphabet | None) -> list[bytes]:
    """Code lanes.

    Args:
        lanes: u16 rows of the alphabet, in reading order; without one u32 symbols as its rows are.
        alphabet: symbols of all lanes, at most 65,536 rows.

    Returns:
        The bytes of each lane: the state, u32, then 16-bit words in reading order.
    """
    order = sorted(range(len(lanes)), key=lambda lane: -len(lanes[lane]))
    coded = [b""] * len(lanes)
    for group in np.array_split(order, -(-len(order) // _LANES)) if lanes else ():
        for lane, found in zip(group, _encode([lanes[n] for n in group], alphabet), strict=True):
            coded[lane] = found
    return coded


def _encode(lanes: Sequence[NDArray[Any]], alphabet: Alphabet | None) -> list[bytes]:
    """Code lanes side by side, the longest first; words take the places of the symbols."""
    longest = len(lanes[0])
    kind, idle = (np.uint16, len(alphabet.rows) - 1) if alphabet else (np.uint32, _IDLE)
    symbols: NDArray[Any] = np.full((len(lanes), longest), idle, kind)
    for row, lane in zip(symbols, lanes, strict=True):
        row[longest - len(lane) :] = lane
    moved = np.zeros(symbols.shape, np.bool_)
    lengths = np.array([len(lane) for lane in lanes])
    state = np.full(len(lanes), START, np.uint32)
    for stop in range(longest, 0, -_STEPS):
        steps = slice(max(stop - _STEPS, 0), stop)
        active = int(np.count_nonzero(lengths > longest - stop))
        taken = symbols[:active, steps].T[::-1]
        if alphabet:
            taken = np.take(alphabet.rows, taken)
        left, words = _code(state[:active], taken)
        moved[:active, steps], symbols[:active, steps] = left[::-1].T, words[::-1].T
    stops = np.cumsum(np.count_nonzero(moved, axis=1)).tolist()
    packed, states = symbols[moved].astype(">u2").tobytes(), state.astype(">u4").tobytes()
    firsts = [0, *stops[:-1]]
    return [
        states[STATE_BYTES * lane : STATE_BYTES * (lane + 1)] + packed[2 * first : 2 * stop]
        for lane, (first, stop) in enumerate(zip(firsts, stops, strict=True))
    ]


def _code(
    x: NDArray[np.uint32], symbols: NDArray[np.uint32]
) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
    """Code symbols (steps, lanes), from states on that are left as they become.

    Returns:
        Whether a word leaves a state at each symbol, and which it is.
    """
    frequencies, starts = symbols >> _SHIFT, symbols & _LOW
    rests = np.uint32(TOTAL) - frequencies
    # Largest states that take the symbol with no word moved out; f << 20 is 0 for f = 4096.
    limits = (frequencies << np.uint32(32 - PRECISION)) - np.uint32(1)
    states = np.empty((len(symbols) + 1, len(x)), np.uint32)
    states[0] = x
    full, more = np.empty(x.shape, np.bool_), np.empty_like(x)
    for before, after, frequency, start, limit, rest in zip(
        states[:-1], states[1:], frequencies, starts, limits, rests, strict=True
    ):
        np.greater(before, limit, out=full)
        np.multiply(full, _WORD, out=more)
        np.right_shift(before, more, out=after)
        np.floor_divide(after, frequency, out=more)
        np.multiply(more, rest, out=more)
        np.add(more, start, out=more)
        np.add(after, more, out=after)
    x[:] = states[-1]
    return states[:-1] > limits, states[:-1].astype(np.uint16)
