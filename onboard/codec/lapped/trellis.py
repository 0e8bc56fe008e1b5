"""Dependent quantisation: indices chosen along a trellis (SPEC.md, section 10).

The parities of the indices of a layer drive a machine of 32 states; each state quantises with
even multiples of half a step, or with odd ones and zero. So the points of a sequence are packed
more densely in space than those of a grid, at the same rate.

Source: H. Schwarz et al., "Quantization and entropy coding in the Versatile Video Coding (VVC)
standard", IEEE Trans. CSVT 31 (2021). The machine is the code of 32 states for one dimension
(parity checks 45 and 10, octal) of G. Ungerboeck, "Channel coding with multilevel/phase signals",
IEEE Trans. IT 28 (1982).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints

STATES = 32
FOLLOWING = tuple(
    tuple((state >> 1) ^ (18 * (state & 1)) ^ (4 * parity) for parity in range(2))
    for state in range(STATES)
)
"""State after an even and after an odd index. Odd states have the odd points."""
SETS = 2
_FEW_LANES = 24
"""Lanes up to which paths are traced back faster one by one than all together."""
FAR = 1 << 29
"""Cost of the states in which no path begins."""
_AT_ONCE = 1024
"""Steps times lanes whose branches are priced at once, so that they stay in a cache."""


def _register() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the machine as a shift register: its state, and what is fed back, by what it holds.

    A bit comes in below and all move up: the parity of the index, and what is fed back. So the two
    places from which the register comes to another are half of all apart, and no sums need moving.
    """
    for taps in range(STATES):
        fed = [(taps & held).bit_count() & 1 for held in range(STATES)]
        states = {0: 0}
        for held in range(STATES):  # what goes before a number is below it
            for bit in range(2):
                after = FOLLOWING[states[held]][bit ^ fed[held]] if held in states else None
                if after is None or states.setdefault(2 * held % STATES + bit, after) != after:
                    break
        if sorted(states.values()) == list(range(STATES)) and all(
            states[2 * held % STATES + bit] == FOLLOWING[states[held]][bit ^ fed[held]]
            for held in range(STATES)
            for bit in range(2)
        ):
            return np.array([states[held] for held in range(STATES)]), np.array(fed)
    raise AssertionError("no shift register is this machine")


_STATE, _FED = _register()
_HELD = np.argsort(_STATE)
"""What the register holds in each state."""
_BRANCH = (2 * (_STATE & 1) + _FED)[:, None] ^ np.arange(2)
"""2 set + parity of the branch by what the register held, and by the bit that came in."""
_TIE = np.where(_FED[: STATES // 2, None] ^ np.arange(2), -1, 0).reshape(1, STATES, 1)
"""What the branch from the lower half must cost more than the other, less 1, to be left: of two
that cost the same the one of the even index is taken."""
_PREVIOUS = np.arange(STATES)[:, None] // 2 + STATES // 2 * np.arange(2)
"""What the register held before, by what it holds and whether that was in the upper half."""


def points(indices: Ints, odd: NDArray[Any]) -> Ints:
    """Return what indices stand for, in half steps.

    Args:
        indices: signed.
        odd: 1 where the state was odd, else 0.
    """
    found: Ints = 2 * indices - np.sign(indices) * odd
    return found


def odd_before(state: int, indices: Sequence[int]) -> list[int]:
    """Return whether the state before each index is odd, from a state on."""
    found = []
    for index in indices:
        found.append(state & 1)
        state = FOLLOWING[state][index & 1]
    return found


def best_path(
    costs: Ints, lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return states and parities (steps, lanes) of the paths that cost least.

    Args:
        costs: (steps, sets, parities, lanes).
        lengths: lengths of the lanes, longest first.

    Source: G. D. Forney, "The Viterbi algorithm", Proceedings of the IEEE 61 (1973).
    """
    steps, *_, count = costs.shape
    upper = np.zeros((steps, STATES, count), np.bool_)
    active = np.searchsorted(-lengths, -np.arange(steps + 1), side="left").tolist()
    sums = np.full((STATES, count), FAR, np.int32)
    sums[0] = 0
    ended = sums.copy()
    stop = 0
    while stop < steps:
        first = stop
        many = going = active[first]
        stop = min(first + _AT_ONCE // many + 1, steps)
        sums = np.ascontiguousarray(sums[:, :many])
        flat = costs[first:stop, :, :, :many].reshape(stop - first, -1, many)
        branches = flat.take(_BRANCH, axis=1).reshape(-1, 2, STATES // 2, 2, many)
        apart = np.empty((stop - first, STATES // 2, 2, many), np.int32)
        before, after = sums.reshape(2, -1, 1, many), sums.reshape(-1, 2, many)
        for step, (branch, difference) in enumerate(zip(branches, apart, strict=True), first + 1):
            np.add(branch, before, out=branch)
            low, high = branch
            np.subtract(low, high, out=difference)
            np.minimum(low, high, out=after)
            if active[step] < going:
                ended[:, active[step] : going] = sums[:, active[step] : going]
                going = active[step]
        np.greater(apart.reshape(-1, STATES, many), _TIE, out=upper[first:stop, :, :many])
    return _traced(upper, _HELD[ended[_HELD].argmin(axis=0)], lengths, active)


def _traced(
    upper: NDArray[np.bool_],
    last: NDArray[np.int64],
    lengths: NDArray[np.int64],
    active: list[int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return states and parities of paths, from what the register holds at their ends.

    Args:
        upper: (steps, states, lanes), whether it came from the upper half, by what it holds.
        last: what it holds at the end of each lane.
        lengths: steps of each lane, longest first.
        active: lanes that have not ended before each step.
    """
    steps, _, count = upper.shape
    held = np.zeros((steps + 1, count), np.int64)
    held[lengths, np.arange(count)] = last
    if count <= _FEW_LANES:
        for lane, length in enumerate(lengths.tolist()):
            held[: length + 1, lane] = _traced_singly(upper[:length, :, lane], int(last[lane]))
    else:
        _trace_all(upper.reshape(steps, -1), held, active)
    states, parities = _STATE[held[:-1]], (held[1:] & 1) ^ _FED[held[:-1]]
    short = np.flatnonzero(lengths < steps)
    states[lengths[short], short] = parities[lengths[short], short] = 0
    return states, parities


def _trace_all(upper: NDArray[np.bool_], held: NDArray[np.int64], active: list[int]) -> None:
    """Find what the register holds before each step, of all lanes at once.

    That is worked with as its place among what all lanes may hold.

    Args:
        upper: (steps, states * lanes), whether it came from the upper half, by what it holds.
        held: (steps + 1, lanes), that at the end of each lane, 0 elsewhere; completed.
        active: lanes that have not ended before each step.
    """
    count = held.shape[1]
    places = np.arange(count)
    half = STATES // 2 * count
    lower = (np.arange(STATES)[:, None] // 2 * count + places).reshape(-1)
    held *= count
    held += places
    for step in range(len(upper) - 1, -1, -1):
        here = held[step + 1, : active[step]]
        there = held[step, : active[step]]
        np.add(lower.take(here), half * upper[step].take(here), out=there)
    held //= count


def _traced_singly(upper: NDArray[np.bool_], last: int) -> list[int]:
    """Return what the register holds before each step and at the end, of one lane."""
    chosen, previous = upper.tobytes(), _PREVIOUS.tolist()
    held = [last] * (len(upper) + 1)
    for step in range(len(upper) - 1, -1, -1):
        last = previous[last][chosen[STATES * step + last]]
        held[step] = last
    return held
