"""How near the quality of blocks is to what was asked for, and what it costs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ground.metrics import PEAK_16_BIT
from onboard.image.files import Image

_REACH = 0.5
"""Decibels by which a block without anything but means may be worse than asked for, and still be
better as soon as a little is sent of it."""


@dataclass(frozen=True)
class Accuracy:
    """Blocks of one side of scenes.

    Attributes:
        away: PSNR reached less that asked for, dB, of each block.
        within: whether it can be as low: a block that is flat is better, whatever is sent of it.
    """

    away: NDArray[np.float64]
    within: NDArray[np.bool_]

    @property
    def mean(self) -> float:
        """Mean over the blocks that can have the quality, dB."""
        return float(self.away[self.within].mean())

    @property
    def deviation(self) -> float:
        """Standard deviation over these, dB."""
        return float(self.away[self.within].std())


def measured(original: Image, decoded: Image, psnr: float, side: int) -> Accuracy:
    """Return how far the whole blocks of a scene are from a PSNR."""
    image = original.astype(np.float64)
    error = _mean_of_blocks((decoded - image) ** 2, side).mean(axis=0)
    spread = _mean_of_blocks(image**2, side) - _mean_of_blocks(image, side) ** 2
    flat = decibels(np.maximum(spread.mean(axis=0), 1e-9)) > psnr - _REACH
    return Accuracy((decibels(np.maximum(error, 1e-9)) - psnr).ravel(), ~flat.ravel())


def decibels(error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the PSNR of squared errors, of peak 65535."""
    return np.asarray(10 * np.log10(PEAK_16_BIT**2 / error))


def seam(original: Image, decoded: Image, side: int) -> float:
    """Return the squared error next to borders of blocks over that elsewhere."""
    error = ((decoded - original.astype(np.float64)) ** 2).mean(axis=0)
    row, col = (np.arange(size) % side for size in error.shape)
    beside = ((row == 0) | (row == side - 1))[:, None] | ((col == 0) | (col == side - 1))
    return float(error[beside].mean() / error[~beside].mean())


def _mean_of_blocks(image: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return (bands, rows, cols) of blocks."""
    bands, rows, cols = image.shape
    blocks = image.reshape(bands, rows // side, side, cols // side, side)
    return np.asarray(blocks.mean(axis=(2, 4)))
