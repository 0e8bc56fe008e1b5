"""Aim of blocks: the step codes of blocks that each have a quality (SPEC.md, section 22).

A block's own code is that at which its error is nearest to its goal. Blocks of a tile with the same
goal then share a code as far as that leaves them good enough: codes that differ have to be told,
and bytes that make one block as good as all others would lessen the error of those by more. Of
small blocks, whose codes take most to tell, the price of each code is reckoned in bits, 65536ths of
one: what bits an error is worth follows from the step, what bits a finer step takes from the error
that it saves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import STEPS, Steps
from onboard.encoder.aim import OCTAVE, TRIES, Aim, Ints64, sixty_fourths

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
STRIDE, _REACH = 4, 4
"""Codes between two that are tried, and how many of them to both sides of the one of all."""
_OF_BIT = 48
"""Squared error that a bit is worth, of a step: 4 z of it, in 1/4096; a twelfth of its square."""
_MORE = (-2420, -1412, -699, -194, 163, 414, 593, 720)
"""2^10 (1 - 2^(-i/8)), i = -14, -10, ..., 14: what the bits of an error are worth at the code of
all less those that it takes, which are more where steps are finer."""
_BIT, _ERROR_BITS, _SHARE = 1 << 16, 6, 1 << 10
_LARGEST_ERROR, _FARTHEST = 1 << 28, 1 << 10
PLAIN, ALONG_TRELLIS = 28_000, 18_000
"""Lenience: the square of 1/64 octave by which an error is away from its goal costs so much less
than the bits that a block takes for two octaves of steps."""
_TOLD, _HEAD = 1, 13
"""Bits that a difference takes at least, and those of a field besides."""

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


class Priced(NamedTuple):
    """Blocks at each of the codes that they may have.

    Attributes:
        codes: int64 (codes, tiles, rows, cols).
        prices: int64, likewise.
    """

    codes: Steps
    prices: Ints64

    def chosen(self) -> Steps:
        """Return the codes (tiles, rows, cols) that cost least, with the field that tells them."""
        paths, total = self._paths()
        flat = (self.codes == self.codes[:, :, :1, :1]).all(axis=(2, 3))
        alike = np.where(flat, self.prices.sum(axis=(2, 3)), np.iinfo(np.int64).max)
        told = alike.min(axis=0) > total + _HEAD * _BIT
        numbers = np.where(told[:, None, None], paths, alike.argmin(axis=0)[:, None, None])
        return np.asarray(np.take_along_axis(self.codes, numbers[None], axis=0)[0])

    def _paths(self) -> tuple[NDArray[np.int64], Ints64]:
        """Return of each block which code it has where each is told, and what tiles cost so.

        Each block is told by that to its left, or above it: from the last on, each of them takes
        over what is best of those after it.
        """
        _, tiles, rows, cols = self.codes.shape
        best, after = self.prices.copy(), np.zeros(self.codes.shape, np.int64)
        places = [(row, col) for row in range(rows) for col in range(cols)]
        for row, col in places[:0:-1]:
            before = _before(row, col)
            away = self.codes[None, :, :, row, col] - self.codes[:, None, :, *before]
            each = best[None, :, :, row, col] + _bits(away) * _BIT
            after[..., row, col] = each.argmin(axis=1)
            best[..., *before] += each.min(axis=1)
        found = np.zeros((tiles, rows, cols), np.int64)
        found[:, 0, 0] = best[..., 0, 0].argmin(axis=0)
        every = np.arange(tiles)
        for row, col in places[1:]:
            found[:, row, col] = after[found[:, *_before(row, col)], every, row, col]
        return found, best[..., 0, 0].min(axis=0)


def offered(alike: Steps, finest: Steps) -> Steps:
    """Return the codes (codes, ...) that blocks may have around those that they may share."""
    away = STRIDE * np.arange(-_REACH, _REACH + 1).reshape(-1, *[1] * alike.ndim)
    return np.asarray(np.clip(alike + away, finest, STEPS - 1))


def prices_of(errors: Ints64, goals: Ints64, alike: Steps, lenience: int) -> Ints64:
    """Return what blocks cost at codes.

    Args:
        errors: squared errors (codes, tiles, rows, cols) at the codes `offered`.
        goals: squared errors that blocks may have, 1 and more (tiles, rows, cols).
        alike: codes that the blocks of a tile may share.
        lenience: `PLAIN` or `ALONG_TRELLIS`.
    """
    worth = (np.array(OCTAVE)[alike % 8] << (alike // 8)) // _OF_BIT
    bits = np.minimum((np.maximum(errors, 1) << _ERROR_BITS) // worth, _LARGEST_ERROR)
    more = np.diff(bits, axis=0)
    weights = np.array(_MORE).reshape(-1, 1, 1, 1)
    lost = np.concatenate([np.zeros_like(bits[:1]), np.cumsum(weights * more, axis=0)])
    taken = ((_SHARE - weights) * more).sum(axis=(0, 2, 3)) // goals[0].size
    scale = np.maximum(taken, 0)[:, None, None]
    away = sixty_fourths(goals) - sixty_fourths(np.maximum(errors, 1))
    away = np.clip(away, -_FARTHEST, _FARTHEST)
    return np.asarray(lost + scale * (away * away) // lenience)


def _before(row: int, col: int) -> tuple[int, int]:
    """Return the block that one is told by."""
    return (row, col - 1) if col else (row - 1, 0)


def _bits(away: Steps) -> Ints64:
    """Return the bits that differences of codes take."""
    folded = np.where(away < 0, -2 * away - 1, 2 * away)
    return np.asarray(folded // STRIDE + _TOLD)
