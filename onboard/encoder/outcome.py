"""Outcome: what became of the rate or the quality that was asked for."""

import math
from dataclasses import dataclass
from typing import Self

PEAK = 65_535
"""Peak of PSNR16, whatever the samples."""
_ROUNDING = 1 / 12
"""Squared error of a sample that is rounded once, in squares of what it is rounded to."""


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
