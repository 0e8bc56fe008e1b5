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
_EVEN, _ODD = (
    np.array([before for before, after in _pairs])
    for _pairs in (
        sorted(((s, FOLLOWING[s][parity]) for s in range(STATES)), key=lambda pair: pair[1])
        for parity in range(2)
    )
)
"""State before each state, if the index was even, and if it was odd."""
_BEFORE = np.concatenate([_EVEN, _ODD])


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
    sums = np.full((STATES, count), FAR, np.int32)
    sums[0] = 0
    second = np.zeros((steps, STATES, count), np.bool_)
    active = np.searchsorted(-lengths, -np.arange(steps), side="left").tolist()
    by_parity = costs.transpose(0, 2, 1, 3)[:, :, :, None]
    for cost, chosen, many in zip(by_parity, second, active, strict=True):
        here = sums[:, :many]
        both = here.take(_BEFORE, axis=0)
        halves = both.reshape(2, SETS, STATES // SETS, many)
        np.add(halves, cost[..., :many], out=halves)
        even, odd = both[:STATES], both[STATES:]
        np.less(odd, even, out=chosen[:, :many])
        np.minimum(even, odd, out=here)
    state = sums.argmin(axis=0)
    if count <= _FEW_LANES:
        return _traced_singly(second, state.tolist(), lengths.tolist())
    before = np.stack([_EVEN, _ODD], axis=1).reshape(-1)
    places = np.arange(count)
    states, parities = (np.zeros((steps, count), np.int64) for _ in range(2))
    flat = second.reshape(steps, STATES * count)
    for step in range(steps - 1, -1, -1):
        many = active[step]
        here = state[:many]
        parity = flat[step].take(here * count + places[:many]).astype(np.int64)
        state[:many] = before.take(2 * here + parity)
        parities[step, :many], states[step, :many] = parity, state[:many]
    return states, parities


def _traced_singly(
    second: NDArray[np.bool_], last: Sequence[int], lengths: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return states and parities of the paths that end in the states `last`, lane by lane.

    Args:
        second: (steps, states, lanes), whether the path into a state came after an odd index.
        last: state in which each lane ends.
        lengths: steps of each lane.
    """
    states, parities = (np.zeros((len(second), len(last)), np.int64) for _ in range(2))
    before = list(zip(_EVEN.tolist(), _ODD.tolist(), strict=True))
    for lane, (state, length) in enumerate(zip(last, lengths, strict=True)):
        chosen = second[:length, :, lane].tobytes()
        path, odd = [0] * length, [0] * length
        for step in range(length - 1, -1, -1):
            parity = chosen[STATES * step + state]
            state = before[state][parity]  # noqa: PLW2901
            path[step], odd[step] = state, parity
        states[:length, lane], parities[:length, lane] = path, odd
    return states, parities
