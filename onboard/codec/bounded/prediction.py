"""Prediction: each sample from earlier ones, in integers (SPEC.md, section 20).

Planes are float64 where matrices are multiplied: their sums stay below 2^53, so they are exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.model import ONE, references
from onboard.codec.bounded.neighbours import PREDICTING, Neighbours

Plane = NDArray[np.int32]
"""(tiles, pixels + 1), values of a band; the last is the start."""
Floats = NDArray[np.float64]
_HALF = ONE // 2


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


def weighted(coefficients: NDArray[np.int64], found: Floats) -> NDArray[np.int32]:
    """Return (tiles, pixels) the sums of coefficients (tiles, n) times differences, in 1/256."""
    sums: NDArray[np.float64] = np.matmul(coefficients[:, None].astype(np.float64), found)[:, 0]
    return sums.astype(np.int32)


def predicted(
    base: NDArray[np.int32], sums: NDArray[np.int32], most: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return the predicted values, from 0 to the largest of each tile."""
    found: NDArray[np.int32] = sums + np.int32(_HALF)
    found >>= ONE.bit_length() - 1
    found += base
    np.maximum(found, 0, out=found)
    return np.minimum(found, most[:, None], out=found)
