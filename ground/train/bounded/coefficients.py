"""Static coefficients: least squares over many tiles, each counting by what cannot be foretold."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.model import (
    COEFFICIENTS,
    MAX_COEFFICIENT,
    ONE,
    ROLES,
    coefficient_count,
    role,
)
from onboard.codec.bounded.neighbours import neighbours
from onboard.codec.bounded.prediction import differences, plane_of

_NOISE = 0.1
"""Squared error of a sample that no tile counts as less than."""


def fit(batches: Sequence[NDArray[np.int64]]) -> NDArray[np.int16]:
    """Return the coefficients of each role.

    Args:
        batches: tiles (tiles, bands, rows, cols) of one shape each.
    """
    grams = [np.eye(coefficient_count(band)) for band in range(ROLES)]
    rights = [np.zeros(coefficient_count(band)) for band in range(ROLES)]
    for tiles in batches:
        for band in range(tiles.shape[1]):
            gram, right = _normal(tiles, band)
            grams[role(band)] += gram
            rights[role(band)] += right
    found = np.zeros((ROLES, COEFFICIENTS), np.int16)
    for number, (gram, right) in enumerate(zip(grams, rights, strict=True)):
        solved = np.rint(ONE * np.linalg.solve(gram, right))
        found[number, : len(right)] = np.clip(solved, -MAX_COEFFICIENT, MAX_COEFFICIENT)
    return found


def _normal(tiles: NDArray[np.int64], band: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the normal equations of a band, each tile divided by its own residual energy."""
    count, _, rows, cols = tiles.shape
    near = neighbours(rows, cols)
    values = tiles.reshape(count, tiles.shape[1], -1)
    planes = [plane_of(part, part.max(axis=1)) for part in values.transpose(1, 0, 2)]
    found = differences(near, planes[: band + 1], band)
    wanted = (planes[band][:, :-1] - planes[band].take(near.causal[0], axis=1)).astype(np.float64)
    gram = np.matmul(found, found.transpose(0, 2, 1))
    right = np.matmul(found, wanted[:, :, None])[:, :, 0]
    own = np.linalg.solve(gram + np.eye(gram.shape[1]), right[:, :, None])[:, :, 0]
    energy = (wanted**2).sum(axis=1) - (own * right).sum(axis=1) + _NOISE * rows * cols
    return (gram / energy[:, None, None]).sum(axis=0), (right / energy[:, None]).sum(axis=0)
