"""Aim of blocks: the step codes of blocks that each have a quality (SPEC.md, section 22).

A block's own code is that at which its error is nearest to its goal. Blocks of a tile with the same
goal then share a code as far as that leaves them good enough: codes that differ have to be told,
and bytes that make one block as good as all others would lessen the error of those by more. Of
small blocks, whose codes take most to tell, each has what that costs in all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import Steps
from onboard.encoder.aim import TRIES, Aim, Ints64
from onboard.encoder.blockprice import ALONG_TRELLIS, PLAIN, Priced, offered, prices_of

SMALL = 16
"""Rows and columns of blocks up to which codes are chosen by what they cost, pixels."""
_MIDDLE = 32
_NEAR_ALONG_TRELLIS, _NEAR_PLAIN, _NEAR_LARGE = (2, 2), (6, 3), (1, 1)
"""Codes by which a shared code may be finer and coarser than a block's own at most; of finer ones
another for each 8 pixels of a side. Along a trellis errors are less sure, which leaves less to
share. Blocks larger than `_MIDDLE` differ little, and may but by a code."""
_WORSE = 3
"""A block takes a shared code where its error is beyond its goal by no more than this part of it:
1.25 dB."""
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
        trellis: whether indices are chosen along a trellis.
    """

    side: int
    goals: Ints64
    samples: Ints64
    measure: Measure
    trellis: bool = False

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

    def shared(self, own: AimedBlocks, finest: Steps) -> AimedBlocks:
        """Return blocks at codes that they share as far as it pays; arguments as of `own`."""
        goals = np.where(own.missed, 0, self.goals // self.samples)
        alike = _means(own, _numbered(np.indices(goals.shape)[0], goals))
        if self.side > SMALL:
            return self._near(own, goals, alike)
        return self._priced(own, finest, goals, alike)

    def _near(self, own: AimedBlocks, goals: Ints64, alike: Steps) -> AimedBlocks:
        """Return blocks at codes near their own, where these leave them good enough."""
        finer, coarser = self._limits
        codes = np.minimum(np.maximum(alike, own.codes - finer), own.codes + coarser)
        codes = np.where(goals > 0, codes, own.codes)
        going = np.flatnonzero((codes != own.codes).any(axis=(1, 2)))
        if not len(going):
            return own
        there = own.errors.copy()
        there[going] = self.measure(going, codes[going])
        near = (there - self.goals <= self.goals // _WORSE) | (goals == 0)
        codes = np.where(near, codes, own.codes)
        return own._replace(codes=codes, errors=np.where(near, there, own.errors))

    def _priced(self, own: AimedBlocks, finest: Steps, goals: Ints64, alike: Steps) -> AimedBlocks:
        """Return blocks at the codes that cost least."""
        reached, every = goals > 0, np.arange(len(goals))
        codes = np.where(reached, offered(alike, finest), own.codes)
        errors = np.stack([self.measure(every, each) for each in codes])
        lenience = ALONG_TRELLIS if self.trellis else PLAIN
        known, goals = np.where(reached, errors, 1), np.maximum(self.goals, 1)
        prices = prices_of(known, goals, alike, lenience)
        chosen = Priced(codes, np.where(reached, prices, 0)).chosen()
        return own._replace(codes=chosen, errors=self.measure(every, chosen))

    @property
    def _limits(self) -> tuple[int, int]:
        """Codes by which a shared one may be finer and coarser than a block's own."""
        if self.side > _MIDDLE:
            return _NEAR_LARGE
        finer, coarser = _NEAR_ALONG_TRELLIS if self.trellis else _NEAR_PLAIN
        return finer + self.side // 8, coarser


def _numbered(*keys: Ints64) -> Ints64:
    """Return numbers from 0 on, the same where all keys are; arrays of one shape."""
    flat = np.stack([key.ravel() for key in keys])
    numbers = np.unique(flat, axis=1, return_inverse=True)[1]
    return np.asarray(numbers, np.int64).reshape(keys[0].shape)


def _means(own: AimedBlocks, groups: Ints64) -> Steps:
    """Return of each the mean code of its group; of blocks that are better anyway where all are."""
    count = np.bincount(groups[~own.eased], minlength=groups.max() + 1)
    heard = ~own.eased | (count[groups] == 0)
    count = np.bincount(groups[heard])
    total = np.bincount(groups[heard], own.codes[heard]).astype(np.int64)
    return np.asarray((2 * total + count) // (2 * count))[groups]
