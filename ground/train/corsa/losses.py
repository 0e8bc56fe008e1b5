"""Training losses."""

import torch
from torch import Tensor
from torch.nn import functional

STRUCTURE_DN = 300.0
"""Square root of SSIM's second constant for a range of 10000 DN (K2 = 0.03)."""
FLOOR_DN = 2.0
"""Errors below this (RMSE in DN) are not worth more effort: it keeps flat tiles from ruling."""


def log_mse(decoded: Tensor, target: Tensor, steps: Tensor, coarse: int = 0) -> Tensor:
    """Return the mean over tiles of 10 log10 of the squared error: minus the mean PSNR, in dB.

    Reported is the mean PSNR over scenes, so each tile counts by its logarithm, bright or dark.

    Args:
        decoded: decoded tiles (batch, bands, rows, cols) in int8 units.
        target: tiles of the shape of `decoded`, in int8 units, not rounded or clipped.
        steps: steps (batch,), DN per int8 unit.
        coarse: how many bands, the last ones, have pixels of twice the size, each repeated 2x2;
            such a pixel counts once, and is decoded as the mean of the four.
    """
    squared = _mean_square(decoded - target, coarse) * steps.square()
    return 10 * torch.log10(squared + FLOOR_DN**2).mean()


def _mean_square(error: Tensor, coarse: int) -> Tensor:
    """Return the mean square over the samples of each tile (batch,); `coarse` as `log_mse` has."""
    if not coarse:
        return error.square().mean((1, 2, 3))
    sums = error[:, :-coarse].square().sum((1, 2, 3))
    sums = sums + functional.avg_pool2d(error[:, -coarse:], 2).square().sum((1, 2, 3))
    return sums / (error[0, :-coarse].numel() + error[0, -coarse:].numel() / 4)


def structure_loss(decoded: Tensor, target: Tensor, steps: Tensor) -> Tensor:
    """Return one minus the contrast and structure part of SSIM, mean over bands and tiles.

    The luminance part, which alone depends on absolute DN, is within 1e-4 of one on this data.
    Source: Wang et al. 2004, eq. 9 and 10, Gaussian window 11x11 of sigma 1.5.

    Args:
        decoded: decoded tiles (batch, bands, rows, cols) in int8 units.
        target: tiles of the shape of `decoded`, in int8 units.
        steps: steps (batch,), DN per int8 unit.
    """
    scale = steps[:, None, None, None]
    x, y = decoded * scale, target * scale
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x.square()
    variance_y = _blur(y * y) - mean_y.square()
    covariance = _blur(x * y) - mean_x * mean_y
    constant = STRUCTURE_DN**2
    structure = (2 * covariance + constant) / (variance_x + variance_y + constant)
    return 1 - structure.mean()


def _blur(maps: Tensor) -> Tensor:
    """Return maps under SSIM's Gaussian window, without the border it does not fit into."""
    offsets = torch.arange(-5.0, 6.0)
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    window = window / window.sum()
    bands = maps.shape[1]
    down = functional.conv2d(maps, window.view(1, 1, 11, 1).repeat(bands, 1, 1, 1), groups=bands)
    return functional.conv2d(down, window.view(1, 1, 1, 11).repeat(bands, 1, 1, 1), groups=bands)
