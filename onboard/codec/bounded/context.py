"""Contexts: how large a residual is expected to be, from those around it (SPEC.md, section 20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.model import BoundedModel, role, weight_count
from onboard.codec.bounded.neighbours import AROUND, CAUSAL, Neighbours
from onboard.codec.bounded.prediction import parts
from onboard.codec.bounded.tables import LEVELS

CAP = 4095
"""Energies count no more than this."""
SCALES = 32
"""How energies of a reference are scaled: number s means 2^((s - 16) / 4)."""
EQUAL = SCALES // 2
_SCALE_BITS = 8
_QUARTERS = (256, 304, 362, 431)
SCALE = np.array([_QUARTERS[s % 4] << s // 4 >> EQUAL // 4 for s in range(SCALES)], np.int32)
_SHIFT = 21
_ZERO = (127 + 5) << 2  # a sum of 32 begins level 0: exponent and two bits of a float32

Energies = NDArray[np.float32]
"""(tiles, pixels + 1), magnitudes of residuals of a band, at most 4095; 0 for the start."""


def levels(sums: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return four levels per octave of the sums, from 32 on, 0..63."""
    steps: NDArray[np.int32] = np.ascontiguousarray(sums).view(np.int32) >> _SHIFT
    steps -= _ZERO
    return np.clip(steps, 0, LEVELS - 1, out=steps)


def energies(residuals: NDArray[np.int32]) -> Energies:
    """Return the energies of residuals (tiles, pixels)."""
    found = np.zeros((residuals.shape[0], residuals.shape[1] + 1), np.float32)
    np.minimum(np.abs(residuals), CAP, out=found[:, :-1], casting="unsafe")
    return found


def total(energy: Energies) -> NDArray[np.int64]:
    """Return the sum of energies of each tile."""
    sums: NDArray[np.float64] = energy.sum(axis=1, dtype=np.float64)
    return sums.astype(np.int64)


def scaled(found: Energies, scale: NDArray[Any]) -> Energies:
    """Return the energies of a reference, scaled for each tile by a number of `SCALE`."""
    if (scale == EQUAL).all():
        return found
    values = found.astype(np.int32) * SCALE[scale][:, None] >> _SCALE_BITS
    capped: NDArray[np.int32] = np.minimum(values, CAP)
    return capped.astype(np.float32)


def scale_between(
    own: NDArray[np.int64], other: NDArray[np.int64], count: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return by which numbers the energies of a reference come nearest to those of a band.

    Args:
        own: (tiles,), sum of the energies of the band.
        other: the same of the reference.
        count: samples of each tile.
    """
    own, other = 8 * own + count, 8 * other + count
    halves = np.array([1117, 1328, 1579, 1878], np.int64)  # 1024 * 2^((2 i + 1) / 8)
    found = np.zeros(len(own), np.int64)
    for number in range(SCALES - 1):
        octave, part = divmod(number, 4)
        # Above the middle of numbers s and s + 1: own / other > 2^((2 (s - 16) + 1) / 8).
        found += own * 1024 << EQUAL // 4 > other * halves[part] << octave
    return found


@dataclass(frozen=True)
class Context:
    """Weights of one band.

    Attributes:
        own: (14,), of the band itself.
        around: (9,) of each reference.
        bias: what is added.
    """

    own: NDArray[np.float32]
    around: list[NDArray[np.float32]]
    bias: np.float32

    @classmethod
    def of(cls, model: BoundedModel, band: int) -> "Context":
        """Return the weights of a band."""
        weights = model.weights[role(band), : weight_count(band)].astype(np.float32)
        first = len(CAUSAL)
        parts = [weights[n : n + len(AROUND)] for n in range(first, len(weights), len(AROUND))]
        return cls(weights[:first], parts, np.float32(model.bias[role(band)]))

    def from_references(
        self, near: Neighbours, references: Sequence[Energies], tiles: int
    ) -> NDArray[np.float32]:
        """Return (pixels, tiles) the sum of what references give, and the bias."""
        sums = np.full((near.around.shape[1], tiles), self.bias, np.float32)
        for weights, found in zip(self.around, references, strict=True):
            _add_weighted(sums, weights, near.around, found)
        return sums

    def levels(
        self, near: Neighbours, own: Energies, references: Sequence[Energies]
    ) -> NDArray[np.int32]:
        """Return (tiles, pixels) the level of each residual of a band, all being known."""
        sums = self.from_references(near, references, len(own))
        _add_weighted(sums, self.own, near.causal, own)
        return np.ascontiguousarray(levels(sums).T)


def _add_weighted(
    sums: NDArray[np.float32],
    weights: NDArray[np.float32],
    places: NDArray[np.int64],
    found: Energies,
) -> None:
    """Add weights times the energies at some places around each pixel to sums (pixels, tiles)."""
    energy = np.ascontiguousarray(found.T)
    for part in parts(len(sums)):
        around = energy.take(places[:, part], axis=0)
        sums[part] += np.dot(weights, around.reshape(len(weights), -1)).reshape(sums[part].shape)
