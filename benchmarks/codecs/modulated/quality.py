"""Fixed quality: which lambda gives a block of pixels the error that was asked for.

Source: S. Mijares i Verdu and others, Fixed-quality compression of remote sensing images with
neural networks, JSTARS 2024, equations 2 to 4 (5 and 6 are in `lambdas.py`). Errors are
squared and, as lambda, of normalised samples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.modulated.lambdas import CODES, Codes, dequantise
from benchmarks.codecs.modulated.layout import LAMBDA_LEAST, LAMBDA_MOST

Floats = NDArray[np.float64]
_LEAST_ALPHA = 1e-9


@dataclass(frozen=True)
class Regression:
    """How the error follows from lambda, for one sensor.

    Attributes:
        alpha: of equation 2, how much the error grows as the mask gets smaller.
        slope, offset: a and b of equation 3, by which the mean of the mask follows from lambda.
    """

    alpha: float
    slope: float
    offset: float

    @classmethod
    def fit(cls, masks: Floats, least: Floats, errors: Floats, codes: Codes) -> "Regression":
        """Fit to blocks that were coded.

        Args:
            masks: mean of the mask at each of the 256 codes.
            least: errors of blocks that nothing is rounded of, (blocks,).
            errors: errors of the same blocks at each of the codes (blocks, codes).
            codes: at which they were coded.
        """
        lambdas = dequantise(np.arange(CODES, dtype=np.uint8))
        slope, offset = np.polyfit(lambdas, masks, 1)
        known = slope * dequantise(codes) + offset
        grows = least[:, None] / (2 * known) ** 2
        alpha = float((grows * (errors - least[:, None])).sum() / np.square(grows).sum())
        return cls(max(alpha, _LEAST_ALPHA), float(slope), float(offset))

    def error(self, least: Floats, lambdas: Floats) -> Floats:
        """Return the expected error of blocks, equations 2 and 3."""
        mask = self.slope * lambdas + self.offset
        return least + self.alpha * least / (2 * mask) ** 2

    def lambdas(self, least: Floats, target: float) -> Floats:
        """Return the lambda of each block for a target, equation 4, within what was trained.

        A block that nothing rounded is worse than the target has the most there is.
        """
        over = target - least
        with np.errstate(divide="ignore", invalid="ignore"):
            mask = np.sqrt(self.alpha * least / (4 * over))
        found = np.where(over > 0, (mask - self.offset) / self.slope, LAMBDA_MOST)
        return found.clip(LAMBDA_LEAST, LAMBDA_MOST)


def block_errors(original: NDArray[Any], decoded: NDArray[Any], side: int) -> Floats:
    """Return the mean squared error of each block of (bands, rows, cols), cut ones at the border.

    Blocks have `side` pixels; with 0 they are whole bands.
    """
    square = np.square(original.astype(np.float64) - decoded)
    side = side or max(square.shape[1:])
    return _block_sums(square, side) / _block_sums(np.ones_like(square), side)


def _block_sums(values: Floats, side: int) -> Floats:
    rows, cols = (np.arange(0, length, side) for length in values.shape[1:])
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, 1), cols, 2), np.float64)
