"""Aim: the step codes at which errors are nearest to what is asked for (SPEC.md, section 22).

A goal is the squared error that a block, or all tiles of a window, may have. Its code is sought
between two next to each other, one on each side of the goal. All integers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import STEPS, Steps

TRIES = 8
ROUNDED = 4_096 // 12
"""Squared error of rounding to whole DN, in units of a squared error (`tile.UNIT`)."""
_RANGE = 32
"""Codes from that at which all is rounded alike to the coarsest that may serve."""
_STEP_OF_1 = 16
_KEPT_BITS = 31
OCTAVE = (4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512)
"""2^12 * 2^(i/8)."""
Ints64 = NDArray[np.int64]


@dataclass
class Aim:
    """Codes that are sought for some blocks, or windows; arrays of one shape.

    Attributes:
        goals: squared error that each may have, less what no step changes; below 1: out of reach.
        codes: to be tried next; what was found, once it is settled.
        low: code at which the error is within the goal, or one below the finest.
        high: code at which it is not, or one above the coarsest that may serve.
        within: squared error at `low`, 0 where there is none.
        beyond: squared error at `high`, 0 where there is none.
        run: errors on the same side one after the other; below 0 beyond the goal.
    """

    goals: Ints64
    codes: Steps
    low: Steps
    high: Steps
    within: Ints64
    beyond: Ints64
    run: Ints64

    @classmethod
    def at(cls, goals: Ints64, samples: Ints64, finest: Steps) -> "Aim":
        """Take aim.

        Args:
            goals: see the attribute.
            samples: samples that each is of.
            finest: finest code that each may have.
        """
        alike = eighths(np.maximum(goals, 1)) - eighths(samples * ROUNDED) + _STEP_OF_1
        first = np.where(goals < 1, finest, np.clip(alike, finest, STEPS - 1))
        high = np.where(goals < 1, finest, np.minimum(first + _RANGE, STEPS - 1)) + 1
        within, beyond, run = np.zeros((3, *goals.shape), np.int64)
        return cls(goals, first, finest - 1, high, within, beyond, run)

    @property
    def open(self) -> NDArray[np.bool_]:
        """Which are not settled yet."""
        return self.high - self.low > 1

    def take(self, errors: Ints64) -> None:
        """Take the squared errors at the codes, and move those on that are not settled."""
        errors = np.maximum(errors, 1)
        inside, going = errors <= self.goals, self.open
        run = np.where(inside, np.maximum(self.run, 0) + 1, np.minimum(self.run, 0) - 1)
        self.run = np.where(going, run, self.run)
        in_, out = going & inside, going & ~inside
        self.low, self.within = np.where(in_, (self.codes, errors), (self.low, self.within))
        self.high, self.beyond = np.where(out, (self.codes, errors), (self.high, self.beyond))
        # The error follows the step the more slowly the more is lost already.
        away = (eighths(np.maximum(self.goals, 1)) - eighths(errors)) * np.abs(self.run)
        moved = np.clip(self.codes + away, self.low + 1, self.high - 1)
        self.codes = np.where(self.open, moved, self.codes)

    def settle(self) -> Ints64:
        """Choose of both codes the one whose error is nearer to the goal; return the errors."""
        largest = np.maximum(np.maximum(self.within, self.beyond), self.goals)
        shift = np.maximum(eighths(np.maximum(largest, 1)) // 8 + 1 - _KEPT_BITS, 0)
        goals = np.maximum(self.goals, 0) >> shift
        nearer = (self.within >> shift) * (self.beyond >> shift) < goals * goals
        coarser = ~self.eased & (self.missed | nearer)
        self.codes = np.where(coarser, self.high, self.low)
        return np.where(coarser, self.beyond, self.within)

    @property
    def missed(self) -> NDArray[np.bool_]:
        """Which are out of reach: beyond the goal at every code that was tried."""
        return np.asarray(self.within == 0)

    @property
    def eased(self) -> NDArray[np.bool_]:
        """Which are better than was asked for at every code that was tried."""
        return np.asarray(self.beyond == 0)


def eighths(values: Ints64) -> Ints64:
    """Return the logarithms of numbers from 1 on, in eighths of an octave, rounded down."""
    bits, top = _highest(values)
    return np.asarray(8 * bits + np.searchsorted(OCTAVE, top, side="right") - 1)


def _highest(values: Ints64) -> tuple[Ints64, Ints64]:
    """Return the numbers of the highest bits, and these with the next ones, 4096 to 8191."""
    bits = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    bits -= values >> bits < 1  # where the float was rounded up
    top = np.where(
        bits > 12, values >> np.maximum(bits - 12, 0), values << np.maximum(12 - bits, 0)
    )
    return bits, top


def sixty_fourths(values: Ints64) -> Ints64:
    """Return the logarithms of numbers from 1 on, in 1/64 octave, straight between eighths."""
    found, (_, top) = eighths(values), _highest(values)
    ends = np.array([*OCTAVE, 2 * OCTAVE[0]])
    low, high = ends[found % 8], ends[found % 8 + 1]
    return np.asarray(8 * found + 8 * (top - low) // (high - low))
