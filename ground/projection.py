"""Projection: what a linearly rebuilt tile says of its latents is held to what was sent.

The inverse transform is learned for coarse steps and not exact, so at fine steps latents of the
rebuilt tile leave the cells that their symbols stand for; the excess is taken back out. It hangs
on the tile alone.
"""

import numpy as np
from numpy.typing import NDArray

from ground.synthesis import linear_bands
from onboard import bandtransform
from onboard.contexts import FREQUENCIES, Ints
from onboard.lappedcoder import LappedCoder

LARGEST_STEP = 32.0
"""DN; with larger steps latents hardly ever leave their cells."""
_HALF = 0.6
"""Half a cell in steps, and a little for the rounding of the transform on board."""
_FREE = 1e9
_UNIT = 1 << 20
"""Latents times the first mantissa over this are DN (SPEC.md, section 10)."""


def project(
    coder: LappedCoder,
    bands: NDArray[np.float32],
    symbols: Ints,
    levels: Ints,
    steps: NDArray[np.float32],
    angles: NDArray[np.uint8],
    means: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return tiles whose latents are in their cells, nearly.

    Args:
        coder: the codec.
        bands: float32 (tiles, bands, rows, cols) DN, from `linear_bands`.
        symbols: (tiles, rows / 8, cols / 8, channels), whole symbols, prediction included.
        levels: the same, level of each symbol; those not coded have no cell.
        steps: (tiles,) DN.
        angles: (tiles, angles) of the band transforms.
        means: (tiles, bands) DN.
    """
    count, depth, rows, cols = bands.shape
    matrix = bandtransform.matrix(angles, depth).astype(np.float32)
    matrix /= np.float32(1 << bandtransform.SHIFT)
    flat = bands.reshape(count, depth, -1) - means[:, :, None].astype(np.float32)
    planes = (matrix @ flat).reshape(-1, rows, cols)
    latents = coder.transform.analyse(planes)
    latents = latents.reshape(count, depth, *latents.shape[1:]).transpose(0, 2, 3, 1, 4)
    latents = latents.reshape(*symbols.shape[:3], depth * FREQUENCIES)[..., coder.contexts.order]
    unit = np.float32(coder.transform.mantissas[0] / _UNIT)
    latents *= (unit / steps)[:, None, None, None]
    excess: NDArray[np.float32] = symbols.astype(np.float32) - latents
    dead = np.maximum(coder.quantizer.dead / np.float32(64), 0.5).astype(np.float32)
    dead[: coder.quantizer.skip + 1] = _FREE
    half = np.where(symbols == 0, dead[levels], np.float32(_HALF))
    half = np.where(levels > coder.quantizer.skip, half, np.float32(_FREE))
    excess -= np.clip(excess, -half, half)
    moved: NDArray[np.float32] = bands + linear_bands(
        coder, excess, steps, angles, np.zeros_like(means)
    )
    return moved
