"""Small networks with random weights, and tiles for them."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.corsa.quantise import QuantisedEncoder, quantise
from ground.train.corsa.model import Architecture, VqvaeFpn

TWO_LEVELS = Architecture(
    bands=4,
    tile=24,
    depths=(16, 32),
    dims=(8, 8),
    codewords=(16, 16),
    residual_blocks=2,
    residual_depth=8,
    decoder_depth=16,
    decoder_blocks=2,
)
THREE_LEVELS = Architecture(
    bands=3,
    tile=24,
    depths=(16, 16, 32),
    dims=(8, 8, 16),
    codewords=(16, 16, 16),
    residual_blocks=1,
    residual_depth=8,
    decoder_depth=16,
    decoder_blocks=1,
)


def network(shape: Architecture) -> VqvaeFpn:
    """Return a network none of whose layers is zero, as it is after training."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = VqvaeFpn(shape).eval()
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not module.weight.any():
                nn.init.normal_(module.weight, std=0.1)
    return model


def tiles(shape: Architecture, count: int, seed: int = 0) -> NDArray[np.int8]:
    """Return int8 tiles (count, bands, tile, tile): smooth areas with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, shape.bands, shape.tile // 6, shape.tile // 6)) * 24
    smooth = coarse.repeat(6, axis=2).repeat(6, axis=3)
    return np.clip(np.rint(smooth + rng.normal(size=smooth.shape) * 6), -128, 127).astype(np.int8)


@functools.cache
def quantised(shape: Architecture) -> QuantisedEncoder:
    """Return the quantised encoder of `network(shape)`."""
    return quantise(network(shape).encoder, tiles(shape, 16))
