"""Price of blocks: which codes the small blocks of a tile are to have (SPEC.md, section 22).

A code that is not the one of all is told, and spends bytes where they lessen the error of the
scene by less; one that is leaves a block better or worse than asked for. All of it is in bits,
65536ths of one: what bits an error is worth follows from the step, what bits a finer step takes
from the error that it saves. All integers.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import STEPS, Steps
from onboard.encoder.aim import OCTAVE, Ints64, sixty_fourths

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
