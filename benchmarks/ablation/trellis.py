"""Trellises: quantizers whose choice of points depends on the parities of the indices before.

An index of 0 stands for 0, one of k > 0 for `spacing` * k less an offset, -k for its negative. The
states of a trellis say which set of points, and of frequency tables, the next index is of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_ALLOWED = -1
_FAR = np.float32(1e9)
_DEPENDENT = {
    4: (((0, 2), (2, 0), (1, 3), (3, 1)), (0, 0, 1, 1)),
    8: (
        ((0, 2), (5, 7), (1, 3), (6, 4), (2, 0), (4, 6), (3, 1), (7, 5)),
        (0, 1, 0, 1, 0, 1, 0, 1),
    ),
}
E8 = (
    (1, 1, 1, 1, 1, 1, 1, 1),
    (0, 0, 0, 0, 1, 1, 1, 1),
    (0, 0, 1, 1, 0, 0, 1, 1),
    (0, 1, 0, 1, 0, 1, 0, 1),
)
_EITHER, _EVEN, _ODD = range(3)


@dataclass(frozen=True)
class Trellis:
    """A state machine that parities of indices drive, state 0 first.

    Attributes:
        following: (states, 2), state after an even and after an odd index, or `NOT_ALLOWED`; a
            state follows on at most two.
        sets: (states,), set of points and tables of the next index.
        offsets: offset of the points of each set.
        spacing: spacing of the points of a set, 1 or 2.
    """

    following: NDArray[np.int64]
    sets: NDArray[np.int64]
    offsets: tuple[int, ...] = (0,)
    spacing: int = 1

    @cached_property
    def _arrivals(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(2, states): branches (2 * state + parity) into each state, and the costs they have."""
        count = len(self.following)
        branches = np.zeros((2, count), np.int64)
        costs = np.full((2, count), 2 * len(self.offsets))
        for state in range(count):
            into = np.flatnonzero(self.following.reshape(-1) == state)
            branches[: len(into), state] = into
            costs[: len(into), state] = 2 * self.sets[into // 2] + into % 2
        return branches, costs

    def best_path(
        self, costs: NDArray[np.float32], lengths: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the branches (steps, sequences), 2 * state + parity, that cost least in all.

        The same algorithm stands in onboard/codec/lapped/quantizers/viterbi.py, and both stay: that
        one flies, for one machine of 32 states, in integers that the C encoder repeats to the bit;
        this one tries any machine, in floats.

        Args:
            costs: (steps, 2 * sets, sequences), cost of the best index of each set and parity.
            lengths: lengths of the sequences, longest first.

        Source: G. D. Forney, "The Viterbi algorithm", Proceedings of the IEEE 61 (1973).
        """
        steps, _, count = costs.shape
        branches, kinds = self._arrivals
        before, kind = (branches // 2).reshape(-1), kinds.reshape(-1)
        states = len(self.following)
        if states == 1:
            parity: NDArray[np.int64] = costs.argmin(axis=1)
            return parity
        costs = np.concatenate([costs, np.full((steps, 1, count), _FAR)], axis=1)
        sums = np.full((states, count), _FAR)
        sums[0] = 0
        second = np.empty((steps, states, count), np.bool_)
        active = np.searchsorted(-lengths, -np.arange(steps), side="left")
        for step, many in enumerate(active.tolist()):
            arriving = sums[:, :many].take(before, axis=0)
            arriving += costs[step, :, :many].take(kind, axis=0)
            one, other = arriving[:states], arriving[states:]
            np.less(other, one, out=second[step, :, :many])
            np.minimum(one, other, out=sums[:, :many])
        state = sums.argmin(axis=0)
        path = np.zeros((steps, count), np.int64)
        for step in range(steps - 1, -1, -1):
            many = np.arange(active[step])
            here = state[many]
            path[step, many] = branches[second[step, here, many].astype(np.int64), here]
            state[many] = path[step, many] // 2
        return path


def independent() -> Trellis:
    """Return all integers after all integers."""
    return Trellis(np.zeros((1, 2), np.int64), np.zeros(1, np.int64))


def dependent(states: int) -> Trellis:
    """Return dependent quantisation, 4 or 8 states: even integers, or odd ones and 0, in turn.

    Source: H. Schwarz et al., "Quantization and entropy coding in the Versatile Video Coding (VVC)
    standard", IEEE Trans. CSVT 31 (2021); 8 states: JVET-Q0243.
    """
    following, sets = _DEPENDENT[states]
    return Trellis(np.array(following), np.array(sets), (0, 1), 2)


def lattice(checks: Sequence[Sequence[int]]) -> Trellis:
    """Return the integer vectors whose parities meet binary checks (checks, dimensions).

    A state is a place in the vector and what the checks add up to so far.

    Sources: J. H. Conway, N. J. A. Sloane, "Sphere Packings, Lattices and Groups", construction A;
    J. K. Wolf, "Efficient maximum likelihood decoding of linear block codes using a trellis", 1978.
    """
    table = np.array(checks)
    weights = (table.T @ (1 << np.arange(len(table)))).tolist()
    sums_to: list[set[int]] = [{0}]
    for weight in weights:
        sums_to.append({total ^ odd for total in sums_to[-1] for odd in (0, weight)})
    sums_from = [{0}]
    for weight in reversed(weights):
        sums_from.append({total ^ odd for total in sums_from[-1] for odd in (0, weight)})
    alive = [a & b for a, b in zip(sums_to, reversed(sums_from), strict=True)]
    alive[-1] = set()
    places = [(place, total) for place, totals in enumerate(alive) for total in sorted(totals)]
    numbers: dict[Any, int] = {place: number for number, place in enumerate(places)}
    numbers[len(weights), 0] = 0
    following = np.array(
        [
            [numbers.get((place + 1, total ^ odd), NOT_ALLOWED) for odd in (0, weights[place])]
            for place, total in places
        ]
    )
    forced = following == NOT_ALLOWED
    sets = np.where(forced[:, 1], _EVEN, np.where(forced[:, 0], _ODD, _EITHER))
    return Trellis(following, sets, (0, 0, 0))
