"""Training losses."""

import torch
from torch import Tensor

FLOOR_DN = 2.0
"""Errors below this (RMSE in DN) are not worth more effort: it keeps flat tiles from ruling."""


def log_mse(decoded: Tensor, target: Tensor, steps: Tensor) -> Tensor:
    """Return the mean over tiles of 10 log10 of the squared error: minus the mean PSNR, in dB.

    Reported is the mean PSNR over scenes, so each tile counts by its logarithm, bright or dark.

    Args:
        decoded: (batch, bands, rows, cols) in int8 units.
        target: as `decoded`, not rounded or clipped.
        steps: (batch,) DN per int8 unit.
    """
    squared = (decoded - target).square().mean((1, 2, 3)) * steps.square()
    return 10 * torch.log10(squared + FLOOR_DN**2).mean()
