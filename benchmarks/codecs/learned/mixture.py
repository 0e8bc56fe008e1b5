"""Mixtures of Gaussians in whole numbers: how often a latent is each value, alike on all machines.

Sums, products and shifts of 64-bit whole numbers, and look-ups in tables that are made once, when a
network is trained, and kept with its weights. Nothing of them is computed anew where a stream is
read: two libraries may not agree on the last bit of an exponential.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.codecs.modulated.convolution import FLOW_BITS
from benchmarks.codecs.modulated.layout import SCALES, SIGMA_LEAST, SIGMA_MOST

TOTAL_BITS = 20
"""Frequencies of a latent are 2^20 in all."""
REACHES = (2, 8, 32, 128, 512)
"""Values on both sides of the middle of a mixture that have a frequency of their own."""
_WEIGHT_BITS, _SHARE_BITS = 16, 24
"""Units of weights and of cumulative shares."""
_Z_BITS, _STEP_BITS, _Z_MOST = 12, 6, 6
"""Units of a distance in deviations; those of the table of shares; how far it reaches."""
_LOGIT_BITS, _LOGITS = 4, 12
"""Units of the table of exponentials, and how far it reaches."""
_REACHED = 5.0
"""Deviations within the values that have a frequency."""
_LIGHT = 1 << 7
"""A component of less weight does not make more values have one."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class MixtureTables:
    """What mixtures are looked up in.

    Attributes:
        shares: of a Gaussian up to a distance of -6 to 6 deviations in steps of 1/64, 2^24 in all.
        exponentials: of 0, -1/16, -2/16 and so on, units of 2^-16.
        inverses: of the deviation of each scale, units of 2^-16.
        widths: of the part of a Gaussian of each scale that values are to have frequencies in.
    """

    shares: Ints
    exponentials: Ints
    inverses: Ints
    widths: Ints

    @classmethod
    def made(cls) -> "MixtureTables":
        """Compute them."""
        steps = np.arange(-(_Z_MOST << _STEP_BITS), (_Z_MOST << _STEP_BITS) + 2)
        logits = np.arange((_LOGITS << _LOGIT_BITS) + 1)
        sigma = SIGMA_LEAST * (SIGMA_MOST / SIGMA_LEAST) ** (np.arange(SCALES) / (SCALES - 1))
        return cls(
            _whole(ndtr(steps / (1 << _STEP_BITS)) * (1 << _SHARE_BITS)),
            _whole(np.exp(-logits / (1 << _LOGIT_BITS)) * (1 << _WEIGHT_BITS)),
            _whole((1 << _WEIGHT_BITS) / sigma),
            _whole(np.ceil(_REACHED * sigma * (1 << FLOW_BITS))),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is kept of them."""
        return {f"mixture.{name}": table.astype(np.int32) for name, table in vars(self).items()}

    @classmethod
    def kept(cls, arrays: Mapping[str, NDArray[Any]]) -> "MixtureTables":
        """Return the tables of `arrays`. Raises KeyError where there are none."""
        names = ("shares", "exponentials", "inverses", "widths")
        return cls(*(arrays[f"mixture.{name}"].astype(np.int64) for name in names))


@dataclass(frozen=True)
class Mixture:
    """What n latents are expected to be; components first, (components, n) each.

    Attributes:
        tables: what it is looked up in.
        logits: of the components' weights, units of 2^-8.
        means: units of 2^-8.
        scales: of deviations, 0 to 63.
    """

    tables: MixtureTables
    logits: Ints
    means: Ints
    scales: Ints

    @cached_property
    def weights(self) -> Ints:
        """Weights of the components, about 2^16 in all and never more."""
        below = self.logits.max(axis=0) - self.logits >> FLOW_BITS - _LOGIT_BITS
        exponentials = self.tables.exponentials[np.minimum(below, _LOGITS << _LOGIT_BITS)]
        return np.asarray((exponentials << _WEIGHT_BITS) // exponentials.sum(axis=0), np.int64)

    @cached_property
    def middles(self) -> Ints:
        """Value in the middle of those that have a frequency, (n,)."""
        mean = (self.weights * self.means).sum(axis=0)
        half = 1 << _WEIGHT_BITS + FLOW_BITS - 1
        return np.asarray(mean + half >> _WEIGHT_BITS + FLOW_BITS, np.int64)

    @cached_property
    def reaches(self) -> Ints:
        """How far values have a frequency, one of `REACHES`, (n,)."""
        away = np.abs(self.means - (self.middles << FLOW_BITS)) + self.tables.widths[self.scales]
        most = np.where(self.weights >= _LIGHT, away, 0).max(axis=0) >> FLOW_BITS
        found: Ints = np.array(REACHES)[np.searchsorted(REACHES[:-1], most)]
        return found

    def frequencies(self, of: NDArray[Any], reach: int) -> Ints:
        """Return how often some of the latents are each value.

        Args:
            of: which of them, (some,).
            reach: how far from the middle.

        Returns:
            (some, 2 reach + 2), 2^20 in all and at least 1 each; the last is what is beyond.
        """
        count = 2 * reach + 2
        values = self.middles[of] + np.arange(-reach, reach + 2)[:, None]
        masses = np.diff(self._below(values, of), axis=0).T
        found = 1 + _of_total(masses, count)
        beyond = (1 << TOTAL_BITS) - found.sum(axis=1, keepdims=True)
        return np.concatenate([found, beyond], axis=1)

    def bits(self, values: Ints) -> float:
        """Return about how many bits values (n,) take."""
        every = np.arange(len(values))
        masses = self._below(values + 1, every) - self._below(values, every)
        outside = np.abs(values - self.middles) > self.reaches
        found = 1 + _of_total(masses, 2 * self.reaches + 2)
        each = np.where(outside, 2 * TOTAL_BITS, TOTAL_BITS - np.log2(found))
        return float(each.sum())

    def _below(self, values: Ints, of: NDArray[Any]) -> Ints:
        """Return what share is below the interval of values (..., some), 2^40 in all."""
        edges = (values << FLOW_BITS) - (1 << FLOW_BITS - 1)
        total = np.zeros(values.shape, np.int64)
        for weights, means, scales in zip(self.weights, self.means, self.scales, strict=True):
            total += weights[of] * self._share(edges - means[of], self.tables.inverses[scales[of]])
        return total

    def _share(self, distances: Ints, inverses: Ints) -> Ints:
        """Return the share of a Gaussian below distances from its mean, 2^24 in all."""
        most = _Z_MOST << _Z_BITS
        z = np.clip(distances * inverses >> FLOW_BITS + _WEIGHT_BITS - _Z_BITS, -most, most)
        step = (z >> _Z_BITS - _STEP_BITS) + (_Z_MOST << _STEP_BITS)
        low, high = self.tables.shares[step], self.tables.shares[step + 1]
        part = z & (1 << _Z_BITS - _STEP_BITS) - 1
        return np.asarray(low + ((high - low) * part >> _Z_BITS - _STEP_BITS), np.int64)


def _of_total(masses: Ints, symbols: Ints | int) -> Ints:
    """Return what of 2^20, 1 of which each symbol has anyway, masses of 2^40 get."""
    found = masses * ((1 << TOTAL_BITS) - symbols) >> _WEIGHT_BITS + _SHARE_BITS
    return np.asarray(found, np.int64)


def _whole(values: NDArray[np.float64]) -> Ints:
    return np.rint(values).astype(np.int64)
