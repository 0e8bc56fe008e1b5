"""Aim of blocks: the step codes of blocks that each have a quality (SPEC.md, section 22).

A block's own code is that at which its error is nearest to its goal. Small blocks of a tile with
the same goal then share a code as far as that leaves them good enough: codes that differ have to be
told, and bytes that make one block as good as all others would lessen the error of those by more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import Steps
from onboard.encoder.aim import TRIES, Aim, Ints64

SQUARE = 32
"""Rows and columns of squares in which blocks of one band have one code, pixels."""
_ALONG_TRELLIS, _PLAIN, _LARGE = (2, 2), (6, 3), (1, 1)
"""Codes by which a shared code may be finer and coarser than a block's own at most; of finer ones
another for each 8 pixels of a side. Along a trellis errors are less sure, which leaves less to
share. Blocks larger than `SQUARE` differ little, and may but by a code."""
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
        square: rows and columns of squares of blocks that have one code if their goal is the same.
    """

    side: int
    goals: Ints64
    samples: Ints64
    measure: Measure
    trellis: bool = False
    square: int = 1

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
        goals = np.where(own.missed, 0, self.goals // self.samples)
        place = np.indices(goals.shape)
        tile, square = place[0], place[1:] // self.square
        squares = _numbered(tile, square[0], square[1], goals)
        finest, coarsest = _least(own.codes, squares), -_least(-own.codes, squares)
        finer, coarser = self._limits
        codes = np.maximum(_means(own, _numbered(tile, goals)), coarsest - finer)
        codes = np.where(goals > 0, np.minimum(codes, finest + coarser), own.codes)
        going = np.flatnonzero((codes != own.codes).any(axis=(1, 2)))
        if not len(going):
            return own
        there = own.errors.copy()
        there[going] = self.measure(going, codes[going])
        near = _least(there - self.goals <= self.goals // _WORSE, squares) | (goals == 0)
        codes = np.where(near, codes, finest)
        return own._replace(codes=codes, errors=np.where(near, there, own.errors))

    @property
    def _limits(self) -> tuple[int, int]:
        """Codes by which a shared one may be finer and coarser than a block's own."""
        if self.side > SQUARE:
            return _LARGE
        finer, coarser = _ALONG_TRELLIS if self.trellis else _PLAIN
        return finer + self.side // 8, coarser


def _numbered(*keys: Ints64) -> Ints64:
    """Return numbers from 0 on, the same where all keys are; arrays of one shape."""
    flat = np.stack([key.ravel() for key in keys])
    numbers = np.unique(flat, axis=1, return_inverse=True)[1]
    return np.asarray(numbers, np.int64).reshape(keys[0].shape)


def _least(values: NDArray[Any], groups: Ints64) -> NDArray[Any]:
    """Return of each the least value among those of its group."""
    order = np.argsort(groups, axis=None, kind="stable")
    starts = np.searchsorted(groups.ravel()[order], np.arange(groups.max() + 1))
    return np.asarray(np.minimum.reduceat(values.ravel()[order], starts))[groups]


def _means(own: AimedBlocks, groups: Ints64) -> Steps:
    """Return of each the mean code of its group; of blocks that are better anyway where all are."""
    count = np.bincount(groups[~own.eased], minlength=groups.max() + 1)
    heard = ~own.eased | (count[groups] == 0)
    count = np.bincount(groups[heard])
    total = np.bincount(groups[heard], own.codes[heard]).astype(np.int64)
    return np.asarray((2 * total + count) // (2 * count))[groups]
