"""Lapped transform: planes of a tile to latents, exactly, and the symbols they are quantised to.

(SPEC.md, sections 9 and 10.) Weights are int8 and planes 12-bit integers, so a float32 product sums
integers below 2^24 exactly, in any order: numpy and every inference engine give the same latents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from onboard.codec.lapped.context import BLOCK, FREQUENCIES, Ints
from onboard.codec.tile import Steps
from onboard.errors import BundleError

TAPS = 4 * FREQUENCIES
_PLANES_AT_ONCE = 16
"""Whose windows are laid out for a product: they stay in the processor's cache."""
PLANE_LIMIT = 2_047
BEYOND = 2_048
"""Of a component that is larger: the unit of its second plane."""
LATENT_SHIFT = 5
SUB_STEPS = 16
SYMBOL_LIMIT = 16_382
"""So that a symbol less its prediction, which may have the other sign, is within 16 bits."""
_FRACTION = 6
_BASE_SHIFT = 8
_PRODUCT_LIMIT = (1 << 31) - (1 << 16)
"""Of latents and mantissas, in 32 bits."""
# 2^12 * 2^(i/8). The square of the step of code c is 2^(c/8 - 2) DN^2, so errors in (1/64 step)^2
# times 2^(c/8) are in 2^-14 DN^2.
EIGHTH_OCTAVES = np.array([4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512], np.int64)


def in_squared_dn(errors: NDArray[np.int64], steps: Steps) -> NDArray[np.int64]:
    """Return squared errors of tiles, given in (1/64 step)^2, in DN^2."""
    octaves, eighths = steps // 8, steps % 8
    return np.asarray((errors * EIGHTH_OCTAVES[eighths] >> 20) << octaves >> 6, np.int64)


@dataclass(frozen=True)
class LappedTransform:
    """64 int8 filters of 16x16 pixels at a stride of 8.

    Attributes:
        analysis: int8 (64, 16, 16), row frequency * 8 + column frequency first.
        synthesis: i16 (64, 16, 16), in 1/2^14; for the ground.
        mantissas: u16 (16,), reciprocals of the steps of one octave; see `Quantizer.scale`.
    """

    analysis: NDArray[np.int8]
    synthesis: NDArray[np.int16]
    mantissas: NDArray[np.int32]

    def __post_init__(self) -> None:
        largest = int(np.abs(self.analysis.astype(np.int64)).sum(axis=(1, 2)).max())
        if largest * PLANE_LIMIT >= 1 << 24:
            raise BundleError(f"transform: sums reach {largest} * 2047, not exact in float32")
        if (
            self.mantissas.min() < 1
            or ((largest * PLANE_LIMIT >> LATENT_SHIFT) + 1) * int(self.mantissas.max())
            >= _PRODUCT_LIMIT
        ):
            raise BundleError("transform: step mantissas do not fit 32-bit products")

    def analyse(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return latents (n, rows/8, cols/8, 64) of integer planes (n, rows, cols)."""
        count = len(planes)
        wide = np.pad(planes, ((0, 0), (4, 4), (4, 4)), mode="symmetric")
        windows = sliding_window_view(wide, (2 * BLOCK, 2 * BLOCK), (1, 2))[:, ::BLOCK, ::BLOCK]
        weights = self.analysis.reshape(FREQUENCIES, TAPS).astype(planes.dtype).T
        latents = np.empty((*windows.shape[:3], FREQUENCIES), planes.dtype)
        taps = np.empty((min(count, _PLANES_AT_ONCE), *windows.shape[1:]), planes.dtype)
        for first in range(0, count, _PLANES_AT_ONCE):
            part = windows[first : first + _PLANES_AT_ONCE]
            np.copyto(taps[: len(part)], part)
            out = latents[first : first + len(part)].reshape(-1, FREQUENCIES)
            np.matmul(taps[: len(part)].reshape(-1, TAPS), weights, out=out)
        return latents

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates per sample of one band."""
        return TAPS


@dataclass(frozen=True)
class Latents:
    """Latents of a batch of tiles of one shape.

    Attributes:
        parts: the DC, then the AC channels of each layer, in the context model's order: each
            (tiles, rows, cols, channels), int16 or, where they do not fit, int32.
        largest: int64 (tiles,), largest magnitude.
        shifts: (tiles,), octaves by which the planes were scaled down to 12 bits.
    """

    parts: tuple[NDArray[np.int16] | Ints, ...]
    largest: NDArray[np.int64]
    shifts: NDArray[np.int64]

    @classmethod
    def of(
        cls, sums: NDArray[Any], order: NDArray[np.int64], cuts: Sequence[int], shifts: Any
    ) -> "Latents":
        """Divide sums of filters (tiles, bands, rows, cols, frequencies) by 2^5, halves up.

        They are sorted by `order`, and cut to parts.
        """
        tiles, _, rows, cols, _ = sums.shape
        rounded = sums + np.float32(1 << (LATENT_SHIFT - 1))
        rounded *= np.float32(1 / (1 << LATENT_SHIFT))
        np.floor(rounded, out=rounded)
        sizes = np.maximum(rounded.max(axis=(2, 3)), -rounded.min(axis=(2, 3)))
        fits = sizes.max(axis=0).reshape(-1)[order] <= np.iinfo(np.int16).max
        values = rounded.transpose(0, 2, 3, 1, 4).reshape(tiles, rows, cols, -1)
        parts: list[NDArray[np.int16] | Ints] = []
        for first, stop in pairwise((0, *cuts)):
            part = values.take(order[first:stop], axis=3)
            fit = fits[first:stop].all()
            parts.append(part.astype(np.int16) if fit else part.astype(np.int32))
        return cls(tuple(parts), sizes.max(axis=(1, 2)).astype(np.int64), shifts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Tiles, rows and columns."""
        tiles, rows, cols, _ = self.parts[0].shape
        return tiles, rows, cols

    def take(self, tiles: NDArray[np.int64]) -> "Latents":
        """Return those of some tiles."""
        parts = tuple(part[tiles] for part in self.parts)
        return Latents(parts, self.largest[tiles], self.shifts[tiles])

    @classmethod
    def join(cls, batches: Sequence["Latents"]) -> "Latents":
        """Return those of several batches of one shape as one."""
        parts = zip(*(batch.parts for batch in batches), strict=True)
        largest = np.concatenate([batch.largest for batch in batches])
        shifts = np.concatenate([batch.shifts for batch in batches])
        return cls(tuple(np.concatenate(part) for part in parts), largest, shifts)

    def finest_step(self, mantissas: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return for each tile the finest step code whose symbols stay within the limit."""
        limit = SYMBOL_LIMIT << _FRACTION
        shift = _BASE_SHIFT - self.shifts
        octaves = np.maximum(1 - shift, 0)  # so that nothing is shifted the other way
        while (over := (self.largest * int(mantissas.max()) >> (shift + octaves)) >= limit).any():
            octaves += over
        return octaves * SUB_STEPS

    def scaled(self, steps: Steps, mantissas: NDArray[np.int32], part: int | None = None) -> Ints:
        """Return the latents of a part, or of all, in 1/64 step.

        Args:
            steps: step code of each tile, or (tiles, rows, cols) of each position.
            mantissas: reciprocals of the steps of one octave.
            part: number of the part; None is all.
        """
        if part is None:
            every = [self.scaled(steps, mantissas, number) for number in range(len(self.parts))]
            return np.concatenate(every, axis=3)
        each = steps[..., None] if steps.ndim == 3 else steps[:, None, None, None]
        shift = _BASE_SHIFT + each // SUB_STEPS - self.shifts[:, None, None, None]
        shift = shift.astype(np.int32)
        factor = mantissas[each % SUB_STEPS].astype(np.int32)
        fits = int(self.largest.max(initial=0)) * int(mantissas.max()) < _PRODUCT_LIMIT
        found: NDArray[Any] = self.parts[part].astype(np.int32 if fits else np.int64)
        found *= factor
        found += np.int32(1) << (shift - 1)
        found >>= shift
        exact: Ints = found.astype(np.int32, copy=False)
        return exact
