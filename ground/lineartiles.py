"""Linear tiles: what was read of a batch of tiles to digital numbers, before refinement."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ground.projection import LARGEST_STEP, project
from ground.synthesis import TILES_AT_ONCE, linear_bands, reconstruct
from onboard.adaptive import AdaptiveSide
from onboard.contexts import Ints
from onboard.lappedcoder import LappedCoder
from onboard.lappedreader import Read


def linear_tiles(
    coder: LappedCoder, found: Read, sides: Sequence[AdaptiveSide]
) -> Iterator[NDArray[np.float32]]:
    """Yield tile by tile float32 (bands, rows, cols) in DN, whole positions.

    Args:
        coder: the codec.
        found: symbols of the tiles.
        sides: their side information.
    """
    values = np.zeros((*found.state.shape, coder.contexts.cuts[-1]), np.float32)
    for number, layer in enumerate(found.layers, 1):
        value = reconstruct(coder.quantizer, layer.residual, layer.level, layer.mean)
        found.state.set(values, number, value)
    steps = np.array([side.step for side in sides], np.float32)
    angles = np.array([side.angles for side in sides], np.uint8)
    means = np.array([side.means for side in sides], np.int64)
    fine = (steps <= LARGEST_STEP) & (found.complete == coder.contexts.layers)
    symbols, levels = _symbols(found, values.shape) if fine.any() else (None, None)
    for first in range(0, len(sides), TILES_AT_ONCE):
        part = np.arange(first, min(first + TILES_AT_ONCE, len(sides)))
        bands = linear_bands(coder, values[part], steps[part], angles[part], means[part])
        held = part[fine[part]]
        if symbols is not None and levels is not None and len(held):
            bands[held - first] = project(
                coder,
                bands[held - first],
                symbols[held],
                levels[held],
                steps[held],
                angles[held],
                means[held],
            )
        yield from bands


def _symbols(found: Read, shape: tuple[int, ...]) -> tuple[Ints, Ints]:
    """Return whole symbols and their levels, (tiles, rows, cols, channels)."""
    symbols, levels = (np.zeros(shape, np.int32) for _ in range(2))
    for number, layer in enumerate(found.layers, 1):
        found.state.set(symbols, number, layer.residual + layer.mean)
        found.state.set(levels, number, layer.level)
    return symbols, levels
