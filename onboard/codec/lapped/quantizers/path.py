"""Choosing the indices of dependent tiles, by squared error and bits (SPEC.md, section 13)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS, Ints
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD
from onboard.codec.lapped.quantizers.viterbi import FAR, Pairs, best_path
from onboard.codec.lapped.tables import Tables
from onboard.codec.lapped.trellis import SETS, STATES
from onboard.errors import BundleError

_FARTHEST = 96
"""1/64 steps from a magnitude to the nearest index of a parity, or to 0 in place of 2, at most."""
SIZES = 64
"""Magnitudes of an index whose cost is told apart."""


@dataclass(frozen=True)
class Path:
    """Indices chosen.

    Attributes:
        indices: int32, signed.
        states: the state before each.
    """

    indices: Ints
    states: NDArray[np.int64]


@dataclass(frozen=True)
class Chooser:
    """Chooses the indices that cost least: squared error, and bits at what they are worth.

    Attributes:
        tables: frequencies of symbols.
        short: what magnitudes stand for less than themselves, see `Quantisation`.
    """

    tables: Tables
    short: Ints

    @cached_property
    def bits(self) -> Ints:
        """(rows * 64,): cost of each magnitude, in 1/256 bit."""
        rows = np.arange(len(self.tables.frequencies))
        size = np.tile(np.arange(SIZES, dtype=np.int32), len(rows))
        return self.tables.cost(np.repeat(rows, SIZES), size)

    def check(self, worth: Ints, steps: int) -> None:
        """Refuse tables with which a path may cost more than 31 bits hold, or begin where none may.

        Args:
            worth: squared 1/64 steps that a bit of each channel is worth.
            steps: symbols of the longest path.

        Raises:
            BundleError: it may.
        """
        error = _FARTHEST + int(np.abs(self.short).max())
        rate = int(self.bits.max()) * int(worth.max())
        step = error * error + (rate >> 8)
        if max(rate, FAR + steps * step) >= 1 << 31 or int(worth.max()) >= 1 << 16:
            raise BundleError("tables: indices along a trellis cost more than 31 bits hold")
        if STATES.bit_length() * step >= FAR:  # by then a path from state 0 leads to every state
            raise BundleError("tables: a few indices along a trellis cost more than a false start")

    def choose(
        self, away: Ints, rows: NDArray[np.int64], worth: Ints, lanes: NDArray[np.int64]
    ) -> Path:
        """Choose the indices of a layer.

        Args:
            away: coded symbols before rounding, in 1/64 step, less their prediction.
            rows: row of the table of each symbol in an even state.
            worth: squared 1/64 steps that a bit of each is worth.
            lanes: how many symbols each tile has.
        """
        costs, sizes = self._nearest(np.abs(away), rows, worth)
        order = np.argsort(-lanes, kind="stable")
        pairs = Pairs.of(lanes[order])
        laid = pairs.costs.reshape(-1, 2 * SETS, len(lanes))
        ends = np.cumsum(lanes)
        parts = [slice(*ends_of) for ends_of in zip(ends - lanes, ends, strict=True)]
        steps = [slice(length % 2, length % 2 + length) for length in lanes.tolist()]
        for lane, tile in enumerate(order.tolist()):
            laid[steps[tile], :, lane] = costs[:, parts[tile]].T
        found = best_path(pairs)
        states, parity = np.empty((2, len(away)), np.uint8)
        for lane, tile in enumerate(order.tolist()):
            for values, chosen in zip((states, parity), found, strict=True):
                values[parts[tile]] = chosen[steps[tile], lane]
        size = sizes[2 * (states & 1) + parity, np.arange(len(away))]
        return Path(np.where(away < 0, -size, size), states.astype(np.int64))

    def _nearest(self, size: Ints, rows: NDArray[np.int64], worth: Ints) -> tuple[Ints, Ints]:
        """Return cost and magnitude (2 set + parity, symbols) of the best of each."""
        costs = np.empty((2 * SETS, len(size)), np.int32)
        sizes = np.empty_like(costs)
        for odd in range(SETS):
            of_set = rows + LEVELS * odd
            for parity in range(2):
                nearest = size + (32 * odd - 64 * parity + 64)
                nearest >>= 7
                nearest *= 2
                nearest += parity
                cost = self._cost(size, nearest, of_set, worth)
                if not parity:  # near 0 its low cost may win
                    some = np.flatnonzero(nearest == 2)
                    none = np.zeros(len(some), np.int32)
                    other = self._cost(size[some], none, of_set[some], worth[some])
                    better = other < cost[some]
                    nearest[some[better]] = 0
                    cost[some[better]] = other[better]
                costs[2 * odd + parity], sizes[2 * odd + parity] = cost, nearest
        return costs, sizes

    def _cost(self, size: Ints, index: Ints, rows: NDArray[np.int64], worth: Ints) -> Ints:
        """Return what indices cost."""
        bits = self.bits.take(rows * SIZES + np.minimum(index, SIZES - 1))
        short = self.short.take(rows * (1 + LARGEST_WORD) + np.minimum(index, LARGEST_WORD))
        error = size - (index << 6) + short
        cost: Ints = error * error + ((bits * worth) >> 8)
        return cost
