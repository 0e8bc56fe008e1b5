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
from itertools import pairwise
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
_SHIFT = np.uint32(PRECISION)
_STEPS = 256
"""Symbols that all lanes take at a time."""
_LANES = 1024
"""Lanes side by side; with that, bounds the memory."""
_FEW = 16
"""Lanes that are coded faster one after the other."""


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
    """Code lanes side by side, the longest first, `_STEPS` symbols of each at a time.

    What is left of the last few is coded lane by lane.
    """
    lengths = np.array([len(lane) for lane in lanes])
    state = np.full(len(lanes), START, np.uint32)
    pieces: list[tuple[NDArray[np.uint16], NDArray[np.int64]]] = []
    for coded in range(0, len(lanes[0]), _STEPS):
        active = int(np.count_nonzero(lengths > coded))
        if active <= _FEW:
            pieces.append(_finish(state[:active], lanes[:active], coded, alphabet))
            break
        left, words = _code(state[:active], _next(lanes[:active], coded, alphabet))
        left = left[::-1].T
        pieces.append((words[::-1].T[left], np.count_nonzero(left, axis=1)))
    packed, stops = _joined(pieces, len(lanes))
    states = state.astype(">u4").tobytes()
    return [
        states[STATE_BYTES * lane : STATE_BYTES * (lane + 1)] + packed[2 * first : 2 * stop]
        for lane, (first, stop) in enumerate(pairwise([0, *stops]))
    ]


def _next(
    lanes: Sequence[NDArray[Any]], coded: int, alphabet: Alphabet | None
) -> NDArray[np.uint32]:
    """Return symbols of lanes (steps, lanes) as coded next, after the last `coded` of each."""
    steps = min(_STEPS, len(lanes[0]) - coded)
    idle = np.full(steps, len(alphabet.rows) - 1 if alphabet else _IDLE, lanes[0].dtype)
    parts: list[NDArray[Any]] = []
    for lane in lanes:
        stop = len(lane) - coded
        if stop < steps:
            parts += idle[stop:], lane[:stop]
        else:
            parts.append(lane[stop - steps : stop])
    taken: NDArray[np.uint32] = np.concatenate(parts).reshape(-1, steps).T[::-1]
    return np.take(alphabet.rows, taken) if alphabet else taken


def _finish(
    x: NDArray[np.uint32], lanes: Sequence[NDArray[Any]], coded: int, alphabet: Alphabet | None
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Code what lanes have before the last `coded` symbols, from states on, that become the last.

    Returns:
        Words of the lanes, one after the other, and how many each has.
    """
    words: list[list[int]] = []
    for number, lane in enumerate(lanes):
        rest = lane[: len(lane) - coded][::-1]
        symbols = np.take(alphabet.rows, rest) if alphabet else rest
        state, left = _code_alone(int(x[number]), symbols)
        x[number] = state
        words.append(left[::-1])
    counts = np.array([len(some) for some in words])
    return np.array([word for some in words for word in some], np.uint16), counts


def _code_alone(x: int, symbols: NDArray[np.uint32]) -> tuple[int, list[int]]:
    """Code the symbols of one lane from a state on; return the state, and the words that left."""
    frequencies, starts = symbols >> _SHIFT, symbols & _LOW
    limits = (frequencies << np.uint32(32 - PRECISION)) - np.uint32(1)
    words = []
    each = (frequencies.tolist(), limits.tolist(), starts.tolist())
    for frequency, limit, start in zip(*each, strict=True):
        if x > limit:
            words.append(x & 0xFFFF)
            x >>= WORD
        x += x // frequency * (TOTAL - frequency) + start
    return x, words


def _joined(
    pieces: Sequence[tuple[NDArray[np.uint16], NDArray[np.int64]]], lanes: int
) -> tuple[bytes, list[int]]:
    """Return the words of lanes one after the other, and where those of each end.

    Args:
        pieces: words of the first lanes, one after the other, and how many each has; what a lane
            has in a piece comes after what it has in later ones.
        lanes: number of lanes.
    """
    counts = np.zeros(lanes, np.int64)
    for _, some in pieces:
        counts[: len(some)] += some
    stops = np.cumsum(counts)
    packed, places = np.empty(int(counts.sum()), ">u2"), stops - counts
    for words, some in reversed(pieces):
        before = places[: len(some)] - (np.cumsum(some) - some)
        packed[np.repeat(before, some) + np.arange(len(words))] = words
        places[: len(some)] += some
    return packed.tobytes(), stops.tolist()


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
    fits, more, word = np.empty(x.shape, np.bool_), np.empty_like(x), np.full_like(x, WORD)
    is_within, shift, keep, divide = np.less_equal, np.right_shift, np.putmask, np.floor_divide
    multiply, add = np.multiply, np.add  # else looked up at each step, for a sixth of the time
    for before, after, frequency, start, limit, rest in zip(
        states[:-1], states[1:], frequencies, starts, limits, rests, strict=True
    ):
        is_within(before, limit, fits)
        shift(before, word, after)
        keep(after, fits, before)
        divide(after, frequency, more)
        multiply(more, rest, more)
        add(more, start, more)
        add(after, more, after)
    x[:] = states[-1]
    return states[:-1] > limits, states[:-1].astype(np.uint16)
