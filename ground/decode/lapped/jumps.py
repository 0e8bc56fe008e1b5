"""Jumps: whether a tile whose coarse symbols are not proven goes on from the tiles around it."""

from collections.abc import Callable, Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.canvas import Canvas
from onboard.image.tiles import TileGrid

_DEEP, _WIDE = 4, 8
"""Pixels across a border, and along it, of which a mean is taken."""
_MOST = 1.7
"""Times what means differ across a border over what they differ beside it: few sound tiles pass."""

Plane = NDArray[np.float32]


def jumps(canvas: Canvas, index: int, sound: Collection[int]) -> bool:
    """Say whether a tile jumps against those around it, or has none to be compared with.

    Args:
        canvas: canvas on which it and the sound ones stand.
        index: number of the tile.
        sound: tiles that are believed.
    """
    across, beside, compared = 0.0, 1.0, False  # rounding makes that much
    for other, turned in _around(canvas.grid, index):
        if other not in sound:
            continue
        own, near = turned(canvas.pixels(index)), turned(canvas.pixels(other))
        if near.shape[1] >= 2 * _DEEP and near.shape[2] >= _WIDE:
            edge = _means(own[:, -_DEEP:])
            first, second = _means(near[:, :_DEEP]), _means(near[:, _DEEP : 2 * _DEEP])
            across += float(np.square(edge - first).sum())
            beside += float(np.square(first - second).sum())
            compared = True
    return not compared or across > _MOST**2 * beside


def _around(grid: TileGrid, index: int) -> Iterator[tuple[int, Callable[[Plane], Plane]]]:
    """Yield the tiles beside one, and how both are turned so that the other one is below."""
    row, col = divmod(index, grid.columns)
    across = col % grid.across
    if row + 1 < grid.rows:
        yield index + grid.columns, lambda plane: plane
    if row:
        yield index - grid.columns, lambda plane: plane[:, ::-1]
    if across + 1 < grid.across:
        yield index + 1, lambda plane: plane.swapaxes(1, 2)
    if across:
        yield index - 1, lambda plane: plane.swapaxes(1, 2)[:, ::-1]


def _means(strip: Plane) -> Plane:
    """Return means of strips (bands, deep, pixels) along their pixels."""
    bands, _, pixels = strip.shape
    whole = pixels - pixels % _WIDE
    means = strip[:, :, :whole].mean(axis=1).reshape(bands, -1, _WIDE).mean(axis=2)
    return np.asarray(means, np.float32)
