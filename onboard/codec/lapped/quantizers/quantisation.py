"""Quantisation: the trained numbers that quantizers go by (SPEC.md, section 10)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS, STEP, Ints
from onboard.errors import BundleError

LARGEST_WORD = 4
"""Largest magnitude of a residual that has a codeword of its own."""


@dataclass(frozen=True)
class Quantisation:
    """What a bundle says of quantising.

    Rows are those of the tables; dead zones and rounding are of plain tiles.

    Attributes:
        dead: i32 (plain rows,) in 1/64 step, magnitude below which a residual counts as 0.
        rounding: i32 (plain rows,) in 1/64 step, added before a magnitude is cut to whole steps.
        skip: level up to which symbols are 0 and not coded.
        codewords: u16 (rows, 4), what residuals of magnitude 1, 2, 3 and more stand for, in 1/256
            step; of the fourth, only the difference to 4 counts, for all larger ones.
        ease: what each border of the tile that it is next to adds to a residual of AC of plain
            tiles, in 1/64 step, so that errors are not larger there; not in a bundle.
    """

    dead: Ints
    rounding: Ints
    skip: int
    codewords: NDArray[np.uint16]
    ease: int = 2

    @cached_property
    def short(self) -> Ints:
        """(rows * 5,): what a magnitude, at most 4, stands for less than itself, in 1/64 step."""
        found = np.zeros((len(self.codewords), 1 + LARGEST_WORD), np.int32)
        words = (self.codewords.astype(np.int32) + 2) >> 2
        found[:, 1:] = STEP * np.arange(1, LARGEST_WORD + 1) - words
        return found.reshape(-1)

    def __post_init__(self) -> None:
        if len(self.dead) % LEVELS or len(self.rounding) != len(self.dead):
            raise BundleError(f"quantizer: expected {LEVELS} levels of each group")
        if (self.dead + self.rounding < STEP).any() or self.rounding.min() < 0:
            raise BundleError("quantizer: a dead zone that leaves a residual of 0 uncounted")
