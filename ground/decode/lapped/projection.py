"""Projection: what a linearly rebuilt tile says of its latents is held to what was sent.

The inverse transform is learned for coarse steps and not exact, so at fine steps latents of the
rebuilt tile leave the cells that their symbols stand for; the excess is taken back out. It
depends on the tile alone.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.synthesis import LinearTiles, Real, linear_bands, settled
from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.context import FREQUENCIES, LATTICES, LEVELS, Ints
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.points import Points
from onboard.codec.lapped.read.layers import Read

_SURE_STEP = 64.0
"""DN; tiles of at most this step are always held to their symbols."""
_MEAN_SYMBOL = 0.5
"""Steps; where symbols are smaller on average, as in most tiles at coarse steps, what the inverse
lacks is little beside what rounding took away."""
_HALF = 0.1
"""Half a cell in steps. Quantisation leaves more, but a latent that is farther from its symbol is
so, at these steps, rather because the inverse is not exact: found on training scenes."""
_FREE = 1e9
ANALYSIS_UNIT = 1 << 20
"""Latents times the first mantissa over this are DN (SPEC.md, section 12)."""


def pays(found: Read, steps: Real) -> NDArray[np.bool_]:
    """Return which tiles are held to their symbols, whose steps in DN are given."""
    total, count = np.zeros(len(steps)), 0
    for layer in found.layers[LATTICES:]:
        total += np.abs(layer.values).sum(axis=(1, 2))
        count += layer.values[0].size
    busy = total * found.points.in_steps >= _MEAN_SYMBOL * count
    return np.asarray(busy | (steps <= _SURE_STEP))


def half_cells(
    coder: LappedModel, symbols: NDArray[np.float32], rows: Ints, points: Points
) -> NDArray[np.float32]:
    """Return half the cell of each symbol, in steps; what is not coded has none.

    Args:
        coder: lapped codec.
        symbols: symbols in steps, predictions included.
        rows: row of the tables for each symbol.
        points: what indices stand for; where they are plain, 0 has its dead zone.
    """
    half = np.full(symbols.shape, _HALF, np.float32)
    if not points.steered:
        dead = np.maximum(coder.quantisation.dead / np.float32(64), 0.5).astype(np.float32)
        half = np.where(symbols == 0, dead[rows], half)
    half[rows % LEVELS <= coder.quantisation.skip] = _FREE
    return half


def project(coder: LappedModel, bands: Real, sent: LinearTiles, cells: NDArray[np.float32]) -> Real:
    """Return tiles whose latents are in their cells, nearly.

    Args:
        coder: lapped codec.
        bands: (tiles, bands, rows, cols) DN, from `linear_bands`.
        sent: symbols of the tiles, predictions included, without codewords.
        cells: float32 (tiles, rows / 8, cols / 8, channels), half the cell of each symbol, see
            `half_cells`.
    """
    count, depth, rows, cols = bands.shape
    kind = bands.dtype
    matrix = bandtransform.matrix(sent.angles, depth).astype(kind)
    matrix /= 1 << bandtransform.SHIFT
    flat = bands.reshape(count, depth, -1) - sent.means[:, :, None].astype(kind)
    planes = settled(matrix @ flat).reshape(-1, rows, cols)
    latents = coder.transform.analyse(planes)
    latents = latents.reshape(count, depth, *latents.shape[1:]).transpose(0, 2, 3, 1, 4)
    latents = latents.reshape(*cells.shape[:3], depth * FREQUENCIES)[..., coder.contexts.order]
    unit = kind.type(coder.transform.mantissas[0] / ANALYSIS_UNIT)
    latents *= unit / sent.steps
    excess = sent.values - latents
    excess -= np.clip(excess, -cells, cells)
    away = replace(sent, values=excess, means=np.zeros_like(sent.means))
    moved: Real = bands + linear_bands(coder, away)
    return moved
