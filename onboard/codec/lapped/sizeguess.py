"""Size guess: how many bits a tile may take at each step, from a histogram of its latents.

(SPEC.md, section 13.) It only saves looks: sizes that count are known from the symbols.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import FREQUENCIES
from onboard.codec.lapped.quantizers.points import PLAIN, Points
from onboard.codec.lapped.transform import SUB_STEPS, LappedTransform, Latents
from onboard.codec.tile import STEPS

_BIN_SHIFT = 21
FIRST_BIN = 4 * 127
"""Quarter octaves of the bits of a float32, less its sign: that of 1."""
_BINS = FIRST_BIN + 4 * 30
"""Those up to 2^30."""
_BITS_OF_SIZE = (
    144, 144, 171, 1334, 4006, 7917, 12356, 16564, 19917, 22112, 23185, 23471, 23471, 23471, 23471,
    23471, 23471, 23471, 23471, 23542, 23742, 24113, 24692, 25514, 26606, 27987, 29673, 31670,
    33973, 36570, 39443, 42566, 45907, 49436, 53122,
)  # fmt: skip
"""Bits, in 1/4096, of a latent of 2^(-6/4) steps, 2^(-5/4) and so on, that it and what it does to
the contexts take on average: fitted to the sizes of training tiles, so not the cost of a symbol."""
_BITS_SHIFT = 12
_USUAL_BANDS = 4
_SAMPLE_BITS = 16
_PLAIN_OCTAVES = 2
"""By which the bits of a tile are fewer than those of its samples, before a trellis counts."""
_OCTAVE = 16
"""Fraction bits of octaves."""
_MORE_SHIFT = 6
"""What a tile takes more than its latents tell is counted in 1/64."""
_MORE_ALONG_A_TRELLIS = 3
"""For each further octave; for each further band it is 1. Fitted, as the bits of sizes are."""


@dataclass(frozen=True)
class SizeGuess:
    """What latents take at each step code.

    Attributes:
        mantissa: mantissa of step code 0; that step is 2^14 / mantissa in units of a latent.
    """

    mantissa: int

    @classmethod
    def of(cls, transform: LappedTransform) -> "SizeGuess":
        """Return the guess for latents of a transform."""
        return cls(int(transform.mantissas[0]))

    def bits(self, latents: Latents, points: Points = PLAIN) -> NDArray[np.int64]:
        """Return (tiles, 256) bits, where indices stand for such points.

        Only every second position is counted.
        """
        count, rows, cols = latents.shape
        every = [part.reshape(count, rows * cols, -1)[:, ::2] for part in latents.parts]
        sizes = np.concatenate(
            [part.reshape(count, -1) for part in every], axis=1, dtype=np.float32
        )
        bins = np.abs(sizes, out=sizes).view(np.int32) >> _BIN_SHIFT
        counts = np.array([np.bincount(tile, minlength=_BINS) for tile in bins], np.float64)
        bits = np.empty((count, STEPS), np.int64)
        for shift in np.unique(latents.shifts).tolist():
            tiles = latents.shifts == shift
            bits[tiles] = (counts[tiles] @ self.bits_at(shift)).astype(np.int64)
        bits >>= _BITS_SHIFT - 1
        channels = sum(part.shape[-1] for part in latents.parts)
        bits = bits[:, np.maximum(np.arange(STEPS) - points.finer, 0)]
        return bits + _more(bits, rows * cols, channels // FREQUENCIES, points)

    def bits_at(self, shift: int) -> NDArray[np.float64]:
        """(bins, 256): bits, in 1/4096, of a latent of each size at each step code.

        Sums of these are integers below 2^53, so exact.

        Args:
            shift: octaves by which the latents were scaled down.
        """
        if shift not in self._known:
            sixteenths = 4 * np.arange(_BINS)[:, None] + SUB_STEPS * shift - np.arange(STEPS)
            place = np.maximum(sixteenths - self._first, 0)
            knots = np.array(_BITS_OF_SIZE)
            last = len(knots) - 1
            # Beyond the last, a bit for each octave.
            beyond = knots[last] + (np.maximum(place - 4 * last, 0) << (_BITS_SHIFT - 4))
            whole, part = np.minimum(place >> 2, last - 1), place & 3
            between = knots[whole] * (4 - part) + knots[whole + 1] * part >> 2
            bits = np.where(place < 4 * last, between, beyond)
            bits[0] = 0
            self._known[shift] = bits.astype(np.float64)
        return self._known[shift]

    @cached_property
    def _known(self) -> dict[int, NDArray[np.float64]]:
        return {}

    @cached_property
    def _first(self) -> int:
        """Sixteenths of an octave, as `bits_at` counts them, of the first of `_BITS_OF_SIZE`.

        The logarithm of the step by comparing whole numbers.
        """
        step = int((1 << 14 * SUB_STEPS) // self.mantissa**SUB_STEPS)
        middle_of_bin = 3
        return SUB_STEPS * 127 + step.bit_length() - 1 - middle_of_bin - 4 * 6


def _more(bits: NDArray[np.int64], positions: int, bands: int, points: Points) -> NDArray[np.int64]:
    """Return the bits that tiles take beyond those of usual plain ones with the same latents.

    They do where many bands leave few latents to each, and at coarse steps along a trellis.
    """
    more = np.full_like(bits, max(bands - _USUAL_BANDS, 0) << _OCTAVE)
    if points.steered:
        of_samples = np.array(_SAMPLE_BITS * FREQUENCIES * bands * positions)
        octaves = _octaves(of_samples) - _octaves(np.maximum(bits, 1))
        more += _MORE_ALONG_A_TRELLIS * np.maximum(octaves - (_PLAIN_OCTAVES << _OCTAVE), 0)
    return bits * more >> _MORE_SHIFT + _OCTAVE


def _octaves(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whole octaves of numbers above 0, and between these on straight lines."""
    whole = np.frexp(numbers)[1].astype(np.int64) - 1
    return (whole - 1 << _OCTAVE) + (numbers << _OCTAVE >> whole)
