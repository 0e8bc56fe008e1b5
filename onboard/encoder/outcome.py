"""Outcome: what became of the rate or the quality that was asked for."""

import math
from dataclasses import astuple, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

PEAK = 65_535
"""Peak of PSNR16, whatever the samples."""
_ROUNDING = 1 / 12
"""Squared error of a sample that is rounded once, in squares of what it is rounded to."""


@dataclass(frozen=True)
class BlocksOutcome:
    """Blocks that each had a quality asked for; they add up.

    Attributes:
        count: how many there are.
        missed: of these, those that even the finest step leaves with a larger error.
        eased: those that have a smaller error at the coarsest that may serve.
        away: sum of the expected quality less that asked for, dB.
        squared: sum of its squares.
    """

    count: int = 0
    missed: int = 0
    eased: int = 0
    away: float = 0.0
    squared: float = 0.0

    @classmethod
    def of(cls, away: NDArray[np.float64], missed: int, eased: int) -> Self:
        """Return the blocks of a tile, from the quality expected less that asked for, dB."""
        return cls(away.size, missed, eased, float(away.sum()), float((away**2).sum()))

    def __add__(self, other: Self) -> "BlocksOutcome":
        """Return the blocks of both."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return BlocksOutcome(*(a + b for a, b in pairs))

    @property
    def mean(self) -> float:
        """Mean of the quality expected less that asked for, dB."""
        return self.away / self.count

    @property
    def deviation(self) -> float:
        """Standard deviation of that, dB."""
        return math.sqrt(max(self.squared / self.count - self.mean**2, 0.0))


@dataclass(frozen=True)
class Outcome:
    """Steps and expected error of some windows; they add up.

    Attributes:
        steps: finest and coarsest step code of tiles that have data; None where there is none.
        squared_error: that the steps make, from a model, in DN^2.
        samples: number of samples that have data.
        windows: number of windows that have data.
        missed: of these, those that are not what was asked for: they take more bytes at the
            coarsest step, or have a larger error at the finest.
        eased: those that are more than was asked for: they leave bytes at the finest step, or have
            a smaller error at the coarsest.
        fraction: fraction bits of samples: steps and squared error are of samples `2^fraction`
            times as large.
    """

    steps: tuple[int, int] | None = None
    squared_error: int = 0
    samples: int = 0
    windows: int = 0
    missed: int = 0
    eased: int = 0
    fraction: int = 0
    blocks: BlocksOutcome = BlocksOutcome()

    def __add__(self, other: Self) -> "Outcome":
        """Return what became of the windows of both."""
        steps = [step for part in (self, other) if part.steps for step in part.steps]
        return Outcome(
            (min(steps), max(steps)) if steps else None,
            self.squared_error + other.squared_error,
            self.samples + other.samples,
            self.windows + other.windows,
            self.missed + other.missed,
            self.eased + other.eased,
            (other if other.steps else self).fraction,
            self.blocks + other.blocks,
        )

    @property
    def steps_dn(self) -> tuple[float, float] | None:
        """Finest and coarsest step in DN."""
        if self.steps is None:
            return None
        finest, coarsest = (2 ** (code / 16 - 1 - self.fraction) for code in self.steps)
        return finest, coarsest

    @property
    def rmse(self) -> float | None:
        """Expected root mean square error in DN; None where no step was chosen."""
        if self.steps is None:
            return None
        # Bands are mixed on board with the fraction, unmixed below and rounded without it.
        own = (self.squared_error / self.samples + _ROUNDING) / 4**self.fraction
        return math.sqrt(own + _ROUNDING)

    @property
    def psnr16(self) -> float | None:
        """Expected PSNR in dB, of peak 65535; None where no step was chosen."""
        return self.psnr(PEAK)

    def psnr(self, peak: int) -> float | None:
        """Return the expected PSNR in dB of another peak; None where no step was chosen."""
        return None if self.rmse is None else 20 * math.log10(peak / self.rmse)
