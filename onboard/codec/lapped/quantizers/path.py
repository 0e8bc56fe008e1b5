"""Choosing the indices of dependent tiles, by squared error and bits (SPEC.md, section 13)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS, STEP, Ints
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD
from onboard.codec.lapped.quantizers.viterbi import best_path
from onboard.codec.lapped.tables import Tables
from onboard.codec.lapped.trellis import SETS, STATES
from onboard.errors import BundleError

FAR = 1 << 29
"""Cost of the states in which no path begins, in C."""
_FARTHEST = 96
"""1/64 steps from a magnitude to the nearest index of a parity, or to 0 in place of 2, at most."""
SIZES = 64
"""Magnitudes of an index whose cost is told apart."""
_HALVES = SIZES // 2 + 1
"""Halves of magnitudes, rounded down, whose costs are told apart."""
_SHORT, _BITS = 16, (1 << 16) - 1
"""Bit at which what a magnitude stands for less begins in a packed number; bits of its cost."""
_AT_ONCE = 1 << 14
"""Symbols that are priced at once, so that they stay in a cache."""


@dataclass(frozen=True)
class Path:
    """Indices chosen.

    Attributes:
        indices: int32, signed.
        states: the state before each.
    """

    indices: Ints
    states: NDArray[np.uint8]


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

    @cached_property
    def _packed(self) -> list[Ints]:
        """Cost of indices and what they stand for less than their even half, by parity.

        By 33 times the row, plus half of the magnitude, rounded down.
        """
        bits, short = self.bits.reshape(-1, SIZES), self.short.reshape(-1, 1 + LARGEST_WORD)
        packed = []
        for parity in range(2):
            index = 2 * np.arange(_HALVES) + parity
            less = short[:, np.minimum(index, LARGEST_WORD)] - STEP * parity
            found = (less << _SHORT) + bits[:, np.minimum(index, SIZES - 1)]
            packed.append(found.astype(np.int32).reshape(-1))
        return packed

    @cached_property
    def _nothing(self) -> Ints:
        """Cost of 0 by row."""
        return np.ascontiguousarray(self.bits[::SIZES])

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
        size = np.abs(away)
        costs = np.empty((2 * SETS, len(size)), np.int32)
        nothing = np.empty((SETS, len(size)), np.bool_)
        for first in range(0, len(size), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            self._price(size[part], rows[part], worth[part], costs[:, part], nothing[:, part])
        branches = best_path(costs, lanes)
        states = branches & np.uint8(STATES - 1)
        parity = (branches >= STATES).view(np.uint8)
        odd = states & 1
        index = _nearest(size, odd.astype(np.int32), parity.astype(np.int32))
        index <<= 1
        index += parity
        index *= ~(np.where(odd, *nothing[::-1]) & (parity == 0))
        sign = away >> 31
        index ^= sign
        index -= sign
        return Path(index, states)

    def _price(
        self,
        size: Ints,
        rows: NDArray[np.int64],
        worth: Ints,
        costs: Ints,
        nothing: NDArray[np.bool_],
    ) -> None:
        """Fill in costs (2 set + parity, symbols) of the best index of each.

        And (set, symbols), whether 0 is the best of the even ones though 2 is the nearest.
        """
        for odd in range(SETS):
            rows_of_set = rows + LEVELS * odd
            begins = rows_of_set * _HALVES
            for parity in (1, 0):
                half = _nearest(size, odd, parity)
                cost = costs[2 * odd + parity]
                places = np.minimum(half, _HALVES - 1) + begins
                self._packed[parity].take(places, out=cost, mode="clip")  # which clips nothing
                error = cost >> _SHORT
                error += size
                error -= half << 7
                error *= error
                cost &= _BITS
                cost *= worth
                cost >>= 8
                cost += error
            other = self._nothing.take(rows_of_set)
            other *= worth
            other >>= 8
            other += size * size
            better = np.less(other, cost, out=nothing[odd])
            better &= half == 1
            np.copyto(cost, other, where=better)


def _nearest(size: Ints, odd: Ints | int, parity: Ints | int) -> Ints:
    """Return half of the index of a parity nearest to each magnitude, rounded down."""
    found: Ints = size + (STEP // 2 * odd - STEP * parity + STEP)
    found >>= 7
    return found
