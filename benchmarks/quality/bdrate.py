"""Bjontegaard deltas: what separates two rate-distortion curves, in bytes and in decibels.

Curves are piecewise linear in the logarithm of the rate, which cannot overshoot as the usual
cubic does.

Source: Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
"""Rate (bytes, or any unit that both curves share) and PSNR in dB."""
Axis = NDArray[np.float64]


def bd_rate(ours: Iterable[Point], other: Iterable[Point]) -> float | None:
    """Return how many percent more bytes `ours` takes at equal PSNR; negative is fewer.

    The mean difference of log rate over the PSNR that both curves reach; None without such a range.
    """
    (our_rate, our_psnr), (rate, psnr) = _rising(ours), _rising(other)
    gap = _mean_gap((our_psnr, our_rate), (psnr, rate))
    return None if gap is None else 100 * math.expm1(gap)


def bd_psnr(ours: Iterable[Point], other: Iterable[Point]) -> float | None:
    """Return how many dB of PSNR `ours` gains at equal rate; None without a range both have."""
    return _mean_gap(_rising(ours), _rising(other))


def _rising(points: Iterable[Point]) -> tuple[Axis, Axis]:
    """Return log rate and PSNR, both rising; points that more bytes made no better are left out."""
    kept: list[Point] = []
    for rate, psnr in sorted(points, key=lambda point: (point[0], -point[1])):
        if math.isfinite(psnr) and (not kept or psnr > kept[-1][1]):
            kept.append((math.log(rate), psnr))
    columns = np.array(kept, np.float64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def _mean_gap(ours: tuple[Axis, Axis], other: tuple[Axis, Axis]) -> float | None:
    """Return the mean of our y minus the other's over the x that both cover; None if none is."""
    if not len(ours[0]) or not len(other[0]):
        return None
    low, high = max(ours[0][0], other[0][0]), min(ours[0][-1], other[0][-1])
    if low >= high:
        return None
    knots = np.unique(np.clip(np.concatenate([ours[0], other[0]]), low, high))
    gap = np.interp(knots, *ours) - np.interp(knots, *other)
    return float(np.sum((gap[1:] + gap[:-1]) / 2 * np.diff(knots)) / (high - low))
