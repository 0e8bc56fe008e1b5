"""Model: all integers of the bounded codec that were trained."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.neighbours import AROUND, CAUSAL, PREDICTING, REFERENCES
from onboard.codec.bounded.tables import LEVELS, Tables
from onboard.errors import BundleError

Ints = NDArray[np.int64]
ROLES = 4
"""Roles of bands: the first, the second, the third, and all later ones."""
COEFFICIENTS = len(CAUSAL) - 1 + REFERENCES * PREDICTING
WEIGHTS = len(CAUSAL) + REFERENCES * len(AROUND)
ONE = 256
"""A coefficient of one."""
MAX_COEFFICIENT = 1023
MAX_WEIGHTS = 4095
"""Most that the weights of a role may add up to, its bias aside."""
MAX_BIAS = 4096


def references(band: int) -> range:
    """Return the bands that a band is predicted from, the nearest first."""
    return range(band - 1, max(band - 1 - REFERENCES, -1), -1)


def coefficient_count(band: int) -> int:
    """Return how many coefficients a band has."""
    return len(CAUSAL) - 1 + len(references(band)) * PREDICTING


def weight_count(band: int) -> int:
    """Return how many weights a band has."""
    return len(CAUSAL) + len(references(band)) * len(AROUND)


def role(band: int) -> int:
    """Return the role of a band."""
    return min(band, ROLES - 1)


@dataclass(frozen=True)
class BoundedModel:
    """Predictors, contexts and tables.

    Attributes:
        coefficients: i16 (4, 23), of each role, in 1/256: 11 of the band itself, 6 of each
            reference.
        spreads: u8 (4, 23), level at which the change of each coefficient is coded.
        weights: u16 (4, 30), of the energies around a pixel, of each role: 12 of the band itself,
            9 of each reference.
        bias: u16 (4,), what is added to the weighted energies.
        tables: frequencies of symbols.
    """

    coefficients: NDArray[np.int16]
    spreads: NDArray[np.uint8]
    weights: NDArray[np.uint16]
    bias: NDArray[np.uint16]
    tables: Tables

    def __post_init__(self) -> None:
        if np.abs(self.coefficients.astype(np.int64)).max() > MAX_COEFFICIENT:
            raise BundleError(f"bounded: expected coefficients of at most {MAX_COEFFICIENT}")
        if self.spreads.max() >= LEVELS:
            raise BundleError(f"bounded: expected spreads below {LEVELS}")
        if self.weights.astype(np.int64).sum(axis=1).max() > MAX_WEIGHTS:
            raise BundleError(f"bounded: expected weights of at most {MAX_WEIGHTS} in all")
        if not 1 <= self.bias.min() <= self.bias.max() <= MAX_BIAS:
            raise BundleError(f"bounded: expected a bias of 1..{MAX_BIAS}")

    @cached_property
    def static(self) -> Ints:
        """The coefficients, int64."""
        return self.coefficients.astype(np.int64)
