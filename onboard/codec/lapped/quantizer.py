"""Quantizer of plain tiles: a dead zone that depends on the level (SPEC.md, section 10)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS, Ints, least_sum
from onboard.codec.lapped.transform import _FRACTION
from onboard.errors import BundleError

LARGEST_WORD = 4
"""Largest magnitude of a residual that has a codeword of its own."""


@dataclass(frozen=True)
class Quantizer:
    """Uniform quantizer with a dead zone; both depend on the level (SPEC.md, section 10).

    Rows are those of the tables; dependent tiles need only `skip` and `codewords`.

    Attributes:
        dead: i32 (plain rows,), in 1/64 step: a residual below counts as 0.
        rounding: i32 (plain rows,), in 1/64 step: added before it is cut to whole steps.
        skip: symbols of a level up to this are 0 and not coded.
        codewords: u16 (rows, 4), what residuals of magnitude 1, 2, 3 and more stand for, in 1/256
            step; of the fourth, only the difference to 4 counts, for all larger ones.
        ease: in 1/64 step: for each border of the tile that it is next to, a residual of AC counts
            as that much larger, so that errors are not larger there.
    """

    dead: Ints
    rounding: Ints
    skip: int
    codewords: NDArray[np.uint16]
    ease: int = 2

    def __post_init__(self) -> None:
        if len(self.dead) % LEVELS or len(self.rounding) != len(self.dead):
            raise BundleError(f"quantizer: expected {LEVELS} levels of each group")
        if (self.dead + self.rounding < 1 << _FRACTION).any() or self.rounding.min() < 0:
            raise BundleError("quantizer: a dead zone that leaves a residual of 0 uncounted")

    @cached_property
    def _least(self) -> Ints:
        """Least magnitude before rounding of which anything is left, by row."""
        least = self.dead.copy().reshape(-1, LEVELS)
        least[:, : self.skip + 1] = np.iinfo(np.int32).max
        return least.reshape(-1)

    @cached_property
    def least_sum(self) -> np.float32:
        """Smallest sum of the context model of which a symbol is coded."""
        return least_sum(self.skip + 1) if self.skip >= 0 else np.float32(0)

    def quantise(
        self, away: Ints, row: NDArray[np.integer[Any]], borders: Ints | None = None
    ) -> Ints:
        """Return residuals, given them before rounding in 1/64 step.

        Args:
            away: of each symbol.
            row: of the tables.
            borders: of the tile, that the position of each is next to: 0, 1 or 2; None for DC.
        """
        size = np.abs(away)
        if borders is not None:
            size += self.ease * borders
        residual: Ints = np.take(self.rounding, row)
        residual += size
        residual >>= _FRACTION
        residual *= (size >= np.take(self._least, row)).astype(np.int32)
        sign = away >> 31
        residual ^= sign
        residual -= sign
        return residual
