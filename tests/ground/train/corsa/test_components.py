"""The start of bands of two resolutions: what few components hold comes back as it was."""

import numpy as np
import pytest
import torch

from ground.train.corsa.components import start_linear_path
from ground.train.corsa.losses import log_mse
from ground.train.corsa.model import VqvaeFpn
from tests.networks import TWO_LEVELS


def tiles_of(components: int, count: int) -> torch.Tensor:
    """Tiles (count, bands, 24, 24) of blocks of 4 x 4 that few components hold; 2 bands coarse."""
    rng = np.random.default_rng(1)
    bands = TWO_LEVELS.bands
    patterns = rng.normal(size=(components, bands, 4, 4))
    patterns[:, -2:] = patterns[:, -2:, ::2, ::2].repeat(2, 2).repeat(2, 3)
    size = rng.normal(size=(count, components, 6, 6))
    tiles = np.einsum("nkrc,kbij->nbricj", size, patterns).reshape(count, bands, 24, 24)
    return torch.from_numpy(tiles).float()


def test_blocks_of_few_components_need_the_coarsest_level_alone() -> None:
    torch.manual_seed(0)
    model = VqvaeFpn(TWO_LEVELS).eval()
    tiles = tiles_of(TWO_LEVELS.dims[1], 4)
    start_linear_path(model, tiles, coarse=2)
    skip, linear = model.encoder.skips[1], model.decoder.linear[1]
    with torch.no_grad():
        assert (linear(skip(tiles)) - tiles).abs().max() < 1e-3 * tiles.abs().max()


def test_a_closed_loop_predicts_the_finer_level() -> None:
    """Both levels together are no worse than the coarse one alone, and codebooks are in use."""
    torch.manual_seed(0)
    model = VqvaeFpn(TWO_LEVELS).eval()
    tiles = tiles_of(TWO_LEVELS.dims[1] + 4, 8)
    start_linear_path(model, tiles, coarse=2)
    with torch.no_grad():
        made = model.quantise(model.encoder(tiles))
        coarse = model.decoder.linear[1](made[1].codewords)
        both = coarse + model.decoder.linear[0](made[0].codewords)
    alone, together = ((decoded - tiles).square().mean() for decoded in (coarse, both))
    assert together < 0.9 * alone
    assert len(made[0].indices.unique()) > TWO_LEVELS.codewords[0] / 2


def test_a_coarse_pixel_counts_once() -> None:
    target = torch.zeros(1, 3, 4, 4)
    decoded = target.clone()
    decoded[:, 2] = 2.0
    decoded[:, 2, ::2] = 6.0  # mean of each 2x2: 4
    found = log_mse(decoded, target, torch.tensor([10.0]), coarse=1)
    samples, error = 2 * 16 + 4, 4 * 16.0
    assert float(found) == pytest.approx(10 * np.log10(error / samples * 100 + 4), abs=1e-4)
