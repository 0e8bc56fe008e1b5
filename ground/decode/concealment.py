"""Concealment: what stands in for tiles that are lost."""

from collections.abc import Mapping

import numpy as np
import scipy
from numpy.typing import NDArray

from onboard.codec.tile import Side
from onboard.image.tiles import TileGrid

_BLOCK = 4
"""Pixels of a side of what is averaged before it is carried into a hole."""
_SWEEPS = 8
_SMALLEST = 1e-6


def fill_holes(
    image: NDArray[np.float32], known: NDArray[np.bool_], holes: NDArray[np.bool_]
) -> None:
    """Carry what is known of an image smoothly into its holes, in place.

    Holes become a membrane, near enough: blocks of 4x4 pixels are averaged to twice as large ones
    until nothing is missing; on the way back each hole takes what the coarser blocks say,
    bilinearly, and then a few times the mean of its four neighbours.
    Source: pull-push, Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4; Jacobi's
    iteration for Laplace's equation.

    Args:
        image: (bands, rows, cols).
        known: (rows, cols), pixels that are carried; if there are none, the holes stay as they are.
        holes: (rows, cols), pixels that are filled.
    """
    if not holes.any() or not known.any():
        return
    rows, cols = known.shape
    weights, sums = _halve(known.astype(np.float32)[None], image * known, _BLOCK)
    blocks = _pull_push(_mean(sums, weights), weights / np.float32(_BLOCK**2))
    side = _BLOCK
    while side > 1:
        blocks, side = _double(blocks), side // 2
    image[:, holes] = blocks[:, :rows, :cols][:, holes]


def _pull_push(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return values (bands, rows, cols), those of little weight (1, rows, cols) filled in."""
    _, rows, cols = values.shape
    if rows * cols == 1 or weights.min() >= 1:
        return values
    coarse_weights, sums = _halve(weights, values * weights, 2)
    means = _mean(sums, coarse_weights)
    coarse = _double(_pull_push(means, np.minimum(coarse_weights, 1)))[:, :rows, :cols]
    known, unknown = weights * values, 1 - weights
    filled = known + unknown * coarse
    for _ in range(_SWEEPS):
        wide = np.pad(filled, ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
        filled = known + unknown * (around / 4)
    return filled


def _mean(sums: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(sums / np.maximum(weights, _SMALLEST), np.float32)


def _halve(
    weights: NDArray[np.float32], values: NDArray[np.float32], side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the sums of weights and values over squares of `side`; there is nothing beyond."""
    _, rows, cols = values.shape
    fill = ((0, 0), (0, -rows % side), (0, -cols % side))
    padded = np.pad(np.concatenate([weights, values]), fill)
    sums = padded.reshape(len(padded), padded.shape[1] // side, side, -1, side).sum(axis=(2, 4))
    return sums[:1], sums[1:]


def _double(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return planes (n, rows, cols) of twice the size, bilinear."""
    for axis in (1, 2):
        fill = [(0, 0), (0, 0), (0, 0)]
        fill[axis] = (1, 1)
        wide = np.moveaxis(np.pad(planes, fill, mode="edge"), axis, 0)
        near = 0.75 * wide[1:-1]
        pair = np.stack([near + 0.25 * wide[:-2], near + 0.25 * wide[2:]], axis=1)
        planes = np.moveaxis(pair.reshape(-1, *wide.shape[1:]), 0, axis)
    return np.asarray(planes, np.float32)


def nearest_means(sides: Mapping[int, Side], grid: TileGrid, bands: int) -> NDArray[np.int32]:
    """Return (tiles, bands) DN: of each tile the band means of the nearest of `sides`, else 0.

    Those of another group of bands do not count.
    """
    means = np.zeros((grid.count, bands), np.int32)
    lost = np.ones(grid.count, np.bool_)
    for index, side in sides.items():
        means[index], lost[index] = side.means, False
    of_groups = means.reshape(grid.rows, grid.groups, grid.across, bands)
    for group, gone in enumerate(lost.reshape(of_groups.shape[:3]).transpose(1, 0, 2)):
        if gone.any() and not gone.all():
            _, nearest = scipy.ndimage.distance_transform_edt(gone, return_indices=True)
            of_groups[:, group] = of_groups[:, group][tuple(nearest)]
    return means
