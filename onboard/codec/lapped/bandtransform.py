"""Band transform of a tile: a KLT as a few quantised angles, in integers (SPEC.md, section 9).

Encoder and decoder derive the same matrix from the angles. Arrays hold many tiles at once. Where
float64 is used it carries integers below 2^53, so its sums and products are exact.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANGLES = 256
"""Angles of half a circle; angle t is (t - 128) pi / 256."""
UNTURNED = ANGLES // 2
"""The angle 0."""
SHIFT = 14
MANY = 8
"""From so many bands on what a KLT gives is refined, see `bandrefine`."""
_SWEEPS, _SWEEPS_OF_MANY = 4, 2
_COVARIANCE_BITS = 20
_GRADIENT_BITS = 8
_SOME = 4
"""One row and one column of pixels in so many is asked what gradients miss."""
_MISSED = 2
"""Times the gradients' steepness is less than that of these."""
_SINE, _COSINE = 14_148_120_384_212_745, 1_152_834_691_737_939_372  # of pi/256, times 2^60


def _circle() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cosines and sines of all angles, times 2^14, by an integer recurrence."""
    cosines, sines = [], []
    cosine, sine = 1 << 60, 0
    for _ in range(ANGLES // 2 + 1):
        cosines.append((cosine + (1 << 45)) >> 46)
        sines.append((sine + (1 << 45)) >> 46)
        cosine, sine = (
            (cosine * _COSINE - sine * _SINE + (1 << 59)) >> 60,
            (sine * _COSINE + cosine * _SINE + (1 << 59)) >> 60,
        )
    below = slice(ANGLES // 2, 0, -1)
    return (
        np.array(cosines[below] + cosines[:-1], np.int64),
        np.array([-s for s in sines[below]] + sines[:-1], np.int64),
    )


_COS, _SIN = _circle()
_TURNS = np.stack([_COS * _COS, 2 * _COS * _SIN, _SIN * _SIN]).astype(np.float64)


def angle_count(bands: int) -> int:
    """Return the number of angles, one byte each, that a transform of `bands` bands takes."""
    return bands * (bands - 1) // 2


def measure(deviations: NDArray[np.int32], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the covariance of weighted gradients of 2x2 sums, (tiles, bands, bands).

    Gradients of 2x2 sums show the correlation of detail, which is what has to be coded, not that of
    brightness, which the means carry. One that is twice as steep takes only one bit more, so steep
    ones are scaled down to about the same length. In a tile where they miss most of the detail, a
    pattern of a few pixels, differences of all pixels count instead.

    Args:
        deviations: (tiles, bands, rows, cols), samples less the band means.
        valid: (tiles, rows, cols), False where a pixel is nodata.
    """
    kept = None if valid.all() else valid[:, None]
    gradients = _gradients(deviations, kept)
    steepness = np.abs(gradients).sum(axis=1)  # below 2^24: exact
    covariance = _covariance(gradients, steepness)
    seen = _MISSED * steepness.sum(axis=1, dtype=np.float64)
    missed = np.flatnonzero(seen < _some_steepness(deviations, kept))
    if len(missed):
        here = None if kept is None else kept[missed]
        differences = _differences(deviations[missed], here)
        covariance[missed] = _covariance(differences, np.abs(differences).sum(axis=1))
    return covariance


def _covariance(
    differences: NDArray[np.float32], steepness: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the covariance of differences (tiles, bands, n), weighted by how steep they are."""
    count = max(steepness.shape[1], 1)
    usual = steepness.sum(axis=1, dtype=np.float64) // count + 1
    halvings = np.frexp(steepness + usual.astype(np.float32)[:, None])[1]
    scale = np.ldexp(np.float32(1), _GRADIENT_BITS - halvings)
    weighted = np.floor(differences * scale[:, None]).astype(np.float64)
    covariance: NDArray[np.int64] = (weighted @ weighted.transpose(0, 2, 1)).astype(np.int64)
    return covariance


def _gradients(
    deviations: NDArray[np.int32], kept: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return differences of 2x2 sums side by side and one above the other, (tiles, bands, n).

    Each sum is in one of either kind; they are 0 where a pixel is nodata.
    """
    tiles, bands, rows, cols = deviations.shape
    even = np.s_[..., : rows // 2 * 2, : cols // 2 * 2]
    pairs = deviations[even][..., 0::2, :] + deviations[even][..., 1::2, :]
    sums = (pairs[..., 0::2] + pairs[..., 1::2]).astype(np.float32)
    if kept is not None:
        blocks = kept[even].reshape(tiles, 1, rows // 2, 2, cols // 2, 2)
        kept = np.asarray(blocks.all(axis=(3, 5)))
    found = []
    for axis in (2, 3):
        low, high = _pairs(sums, axis)
        gradients = high - low
        if kept is not None:
            gradients *= np.logical_and(*_pairs(kept, axis))
        found.append(gradients.reshape(tiles, bands, -1))
    return np.concatenate(found, axis=2)


def _steps(
    values: NDArray[np.int32], kept: NDArray[np.bool_] | None, axis: int
) -> NDArray[np.int32]:
    """Return differences of neighbours along an axis, 0 where one is nodata."""
    found: NDArray[np.int32] = np.diff(values, axis=axis)
    if kept is not None:
        size = kept.shape[axis]
        found *= kept.take(range(size - 1), axis) & kept.take(range(1, size), axis)
    return found


def _some_steepness(
    deviations: NDArray[np.int32], kept: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """Return the sum of magnitudes of differences along some rows and columns of each tile."""
    found = np.zeros(len(deviations))
    for axis, some in ((3, np.s_[..., ::_SOME, :]), (2, np.s_[..., ::_SOME])):
        steps = _steps(deviations[some], None if kept is None else kept[some], axis)
        found += np.abs(steps).sum(axis=(1, 2, 3), dtype=np.int64)
    return found


def _differences(
    deviations: NDArray[np.int32], kept: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return differences of all pixels side by side and one above the other, (tiles, bands, n)."""
    found = [
        _steps(deviations, kept, axis).reshape(*deviations.shape[:2], -1).astype(np.float32)
        for axis in (2, 3)
    ]
    return np.concatenate(found, axis=2)


def _pairs(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the first and the second of each pair of places along an axis."""
    count = values.shape[axis] // 2 * 2
    before = (slice(None),) * axis
    return values[(*before, slice(0, count, 2))], values[(*before, slice(1, count, 2))]


def choose(covariance: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the angles (tiles, angles) of the KLT of each covariance."""
    return angles_of(klt(covariance))


def angles_of(basis: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the angles (tiles, angles) of each basis (tiles, bands, components), to be used up."""
    bands = basis.shape[1]
    angles = np.empty((len(basis), angle_count(bands)), np.uint8)
    for first, second in rounds(bands):
        upper, lower = basis[:, first, first, None], basis[:, second, first, None]
        chosen = np.abs(upper * _COS + lower * _SIN).argmax(axis=2)
        angles[:, _numbers(first, second, bands)] = chosen
        cosine, sine = _COS[chosen, None], _SIN[chosen, None]
        upper, lower = basis[:, first], basis[:, second]
        basis[:, first] = _round(cosine * upper + sine * lower)
        basis[:, second] = _round(cosine * lower - sine * upper)
    return angles


def _numbers(first: NDArray[np.intp], second: NDArray[np.intp], bands: int) -> NDArray[np.intp]:
    """Return the numbers of pairs in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    return first * (2 * bands - 1 - first) // 2 + second - first - 1


@cache
def rounds(bands: int) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]:
    """Return all pairs p < q of bands, (first, second), in rounds that are turned at once.

    What comes out is that of the order (0, 1), (0, 2), ..., (1, 2), ...: pairs of a round have no
    band in common, and two that have one stand in that order.
    """
    found = []
    for total in range(1, 2 * bands - 2):
        first = np.arange(max(total - bands + 1, 0), (total + 1) // 2)
        found.append((first, total - first))
    return tuple(found)


def klt(covariance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the basis (tiles, bands, components), the strongest first, by Jacobi rotations."""
    tiles, bands, _ = covariance.shape
    largest = np.maximum(np.einsum("tbb->tb", covariance).max(axis=1), 1)
    bits = np.frexp(largest.astype(np.float64))[1].astype(np.int64)
    scaled = covariance >> np.maximum(bits - _COVARIANCE_BITS, 0)[:, None, None]
    basis = np.zeros((tiles, bands, bands), np.int64)
    basis[:, range(bands), range(bands)] = 1 << SHIFT
    exact = scaled.astype(np.float64)  # products with two components stay below 2^53
    for _ in range(_SWEEPS if bands < MANY else _SWEEPS_OF_MANY):
        for first, second in rounds(bands):
            columns = basis.astype(np.float64)
            with_all = exact @ columns
            form = np.stack(
                [
                    (columns[:, :, one] * with_all[:, :, other]).sum(axis=1)
                    for one, other in ((first, first), (first, second), (second, second))
                ],
                axis=-1,
            )
            turn(basis, first, second, best(np.floor(form * 2.0 ** (-2 * SHIFT))))
    return basis


def best(form: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the turn at which each quadratic form (..., 3), of at most 24 bits, is greatest."""
    # With 28 bits of fraction: exact in float64.
    found: NDArray[np.intp] = (form @ _TURNS).argmax(axis=-1)
    return found


def turn(
    basis: NDArray[np.int64],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
    chosen: NDArray[np.intp],
) -> None:
    """Turn pairs of components of each basis, in place; `chosen` is (tiles, pairs)."""
    cosine, sine = _COS[chosen][:, None], _SIN[chosen][:, None]
    p, q = basis[:, :, first], basis[:, :, second]
    basis[:, :, first] = _round(cosine * p + sine * q)
    basis[:, :, second] = _round(cosine * q - sine * p)


def _round(products: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return products of two numbers with 14 fraction bits with 14 of them again."""
    return (products + (1 << (SHIFT - 1))) >> SHIFT


def matrix(angles: NDArray[np.uint8], bands: int) -> NDArray[np.int64]:
    """Return the band transforms (tiles, components, bands), times 2^14, that the angles name."""
    rows = np.zeros((len(angles), bands, bands), np.int64)
    rows[:, range(bands), range(bands)] = 1 << SHIFT
    if (angles == UNTURNED).all():
        return rows
    for first, second in reversed(rounds(bands)):
        chosen = angles[:, _numbers(first, second, bands), None]
        cosine, sine = _COS[chosen], _SIN[chosen]
        upper, lower = rows[:, first], rows[:, second]
        rows[:, first] = _round(cosine * upper - sine * lower)
        rows[:, second] = _round(cosine * lower + sine * upper)
    return rows.transpose(0, 2, 1)
