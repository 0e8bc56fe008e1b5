"""Prediction: each sample from earlier ones, in integers (SPEC.md, section 20).

Planes are float64 where matrices are multiplied: their sums stay below 2^53, so they are exact.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.model import references
from onboard.codec.bounded.neighbours import PREDICTING, Neighbours

Plane = NDArray[np.int32]
"""(tiles, pixels + 1), values of a band; the last is the start."""
Floats = NDArray[np.float64]
_AT_ONCE = 64


def plane_of(values: NDArray[Any], most: NDArray[Any]) -> Plane:
    """Return values (tiles, pixels) with the start of each tile: half of the largest value."""
    found = np.empty((values.shape[0], values.shape[1] + 1), np.int32)
    found[:, :-1] = values
    found[:, -1] = most >> 1
    return found


def own_differences(near: Neighbours, plane: Plane) -> tuple[NDArray[np.int32], Floats]:
    """Return the base (tiles, pixels), and (tiles, 11, pixels) its differences from others."""
    base = plane.take(near.causal[0], axis=1)
    around = plane.take(near.causal[1:], axis=1)
    return base, np.subtract(around, base[:, None], dtype=np.float64)


def differences(near: Neighbours, planes: Sequence[Plane], band: int) -> Floats:
    """Return (tiles, 11 + 6 n, pixels) the differences that a band of some is predicted from."""
    found = [own_differences(near, planes[band])[1]]
    for other in references(band):
        found.append(reference_differences(near, planes[other]))
    return np.concatenate(found, axis=1)


def reference_differences(near: Neighbours, plane: Plane) -> Floats:
    """Return (tiles, 6, pixels) the differences of an earlier band."""
    base = plane.take(near.causal[0], axis=1)
    around = plane.take(near.around[:PREDICTING], axis=1)
    found: Floats = np.subtract(around, base[:, None], dtype=np.float64)
    return found


def reference_sums(
    near: Neighbours, planes: Sequence[Plane], coefficients: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return (pixels, tiles) what earlier bands add to predictions, in 1/256.

    Args:
        near: neighbours of the pixels.
        planes: decoded values of the references.
        coefficients: (tiles, 6 n), of each reference in turn, in 1/256.
    """
    tiles, pixels = len(coefficients), near.causal.shape[1]
    found = np.zeros((pixels, tiles), np.int32)
    for number, plane in enumerate(planes):
        own = coefficients[:, number * PREDICTING : (number + 1) * PREDICTING]
        weights = with_base(own)
        places = np.concatenate([near.causal[:1], near.around[:PREDICTING]])
        values = np.ascontiguousarray(plane.T)
        for part in parts(pixels):
            around = values.take(places[:, part], axis=0)
            around *= weights
            found[part] += np.add.reduce(around, axis=0, dtype=np.int32)
    return found


def with_base(coefficients: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return (n + 1, 1, tiles) weights of the base and of others, for coefficients (tiles, n).

    Sums of differences become sums of values, the base counting what the others leave.
    """
    weights = np.concatenate([-coefficients.sum(axis=1, keepdims=True), coefficients], axis=1)
    return np.ascontiguousarray(weights.T.astype(np.int32))[:, None]


def parts(pixels: int) -> Iterator[slice]:
    """Yield pixels in parts whose neighbours fit a cache."""
    for first in range(0, pixels, _AT_ONCE):
        yield slice(first, min(first + _AT_ONCE, pixels))
