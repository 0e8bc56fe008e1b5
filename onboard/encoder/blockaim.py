"""Aim of blocks: the step codes of blocks that each have a quality (SPEC.md, section 22).

A block's own code is that at which its error is nearest to its goal. Small blocks of a tile with
the same goal then share a code as far as that leaves them good enough: codes that differ have to be
told, and bytes that make one block as good as all others would lessen the error of those by more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import Steps
from onboard.encoder.aim import TRIES, Aim, Ints64

SHARING = 32
"""Rows and columns of the largest blocks that share codes, pixels."""
_FINER, _COARSER = 4, 2
"""Codes by which a shared code may be finer and coarser than a block's own at most; of finer ones
another for each 8 pixels of a side, as small blocks differ more."""
_WORSE = 4
"""A block takes a shared code where its error is beyond its goal by no more than this part of it:
0.97 dB."""
Measure = Callable[[NDArray[np.int64], Steps], Ints64]
"""Returns the squared errors (tiles, rows, cols) of blocks of some tiles, given by number, at the
codes (tiles, rows, cols)."""


class AimedBlocks(NamedTuple):
    """Blocks and their codes; arrays (tiles, rows, cols) of blocks.

    Attributes:
        codes: int64, step codes.
        errors: int64, squared errors that are expected there, less what no step changes.
        missed: bool, which are out of reach.
        eased: bool, which are better than was asked for at every code that may serve.
    """

    codes: Steps
    errors: Ints64
    missed: NDArray[np.bool_]
    eased: NDArray[np.bool_]


@dataclass(frozen=True)
class BlockAim:
    """What blocks are aimed at.

    Attributes:
        side: rows and columns of a block, pixels.
        goals: int64 (tiles, rows, cols), see `Aim`.
        samples: int64 (tiles, rows, cols), samples of each block.
        measure: finds the errors.
    """

    side: int
    goals: Ints64
    samples: Ints64
    measure: Measure

    def own(self, finest: Steps) -> AimedBlocks:
        """Return blocks at codes of their own.

        Args:
            finest: int64 (tiles, rows, cols), finest code that each may have.
        """
        aim = Aim.at(self.goals, self.samples, finest)
        for _ in range(TRIES):
            going = np.flatnonzero(aim.open.any(axis=(1, 2)))
            if not len(going):
                break
            found = np.zeros_like(self.goals)
            found[going] = self.measure(going, aim.codes[going])
            aim.take(found)
        errors = aim.settle()
        return AimedBlocks(aim.codes, errors, aim.missed, aim.eased)

    def shared(self, own: AimedBlocks) -> AimedBlocks:
        """Return blocks at codes that they share where that leaves them good enough."""
        codes = self._means(own)
        going = np.flatnonzero((codes != own.codes).any(axis=(1, 2)))
        if not len(going):
            return own
        errors = own.errors.copy()
        there = self.measure(going, codes[going])
        near = there - self.goals[going] <= self.goals[going] // _WORSE
        codes[going] = np.where(near, codes[going], own.codes[going])
        errors[going] = np.where(near, there, errors[going])
        return own._replace(codes=codes, errors=errors)

    def _means(self, own: AimedBlocks) -> Steps:
        """Return mean codes of blocks of a tile with the same goal, or what is near their own."""
        codes = own.codes.copy()
        finer = _FINER + self.side // 8
        for tile, (each, missed) in enumerate(zip(own.codes, own.missed, strict=True)):
            goals = self.goals[tile] // self.samples[tile]
            for goal in np.unique(goals[~missed]):
                alike = ~missed & (goals == goal)
                total, count = int(each[alike].sum()), int(alike.sum())
                mean = (2 * total + count) // (2 * count)
                codes[tile][alike] = np.clip(mean, each[alike] - finer, each[alike] + _COARSER)
        return codes
