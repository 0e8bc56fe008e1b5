"""Initial weights: untrained, the network is a Karhunen-Loeve transform (KLT) of 16 x 16 blocks.

Training from weights drawn by chance spends most of its first hours on what is known: that a smooth
transform packs an image into few latents. Here the four convolutions begin as cosine transforms of
2 x 2, 4 x 4 and 8 x 8 pixels and the KLT of 16 x 16, each made of four of the one before, with the
synthesis their transpose; GDN divides by next to nothing; masks grow with the root of lambda, as
the step of a uniform quantizer should; and each latent is expected to be as large as it is.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor, nn

from benchmarks.codecs.modulated.layout import (
    LAMBDA_LEAST,
    LAMBDA_MOST,
    SCALES,
    SIGMA_LEAST,
    SIGMA_MOST,
    STRIDE,
)
from benchmarks.codecs.modulated.network import Gdn, ModulatedHyperprior

Floats = NDArray[np.float64]
Layer = nn.Conv2d | nn.ConvTranspose2d
_CHANCE = 0.01
"""Of the weights drawn by chance that is left beside."""
_GAMMA, _OTHERS = 1e-5, 1e-7
"""Of GDN, for a map itself and for the others: so little that its inverse undoes it."""
_FRAMES = 40
"""Of each scale as many at most, of whose blocks the KLT is."""
_LEAST_VARIANCE = 1e-6
_UNIT = 4.0
"""Of side information, for magnitudes as they are expected."""
_MAGNITUDE = 0.8
"""Mean magnitude of a Gaussian of deviation 1."""
_ABOVE, _BELOW = 4.0, 16.0
"""Scales that latents are larger for magnitudes as large again, and smaller for none at all."""
_STEP = np.sqrt(12 / (2 * np.log(2)))
"""Step of a uniform quantizer at a lambda of 1, where rate + lambda x error is least."""


class Hyperprior(Protocol):
    """Parts that send side information and read it."""

    @property
    def hyper_analysis(self) -> nn.Sequential:
        """Of latents."""

    @property
    def hyper_synthesis(self) -> nn.Sequential:
        """Scales of latents."""

    @property
    def hyper_spread(self) -> nn.Parameter:
        """Of each map of side information."""


@torch.no_grad()
def begin(network: ModulatedHyperprior, frames: Sequence[tuple[float, NDArray[np.uint16]]]) -> None:
    """Set the weights of a network.

    Args:
        network: the network, as it was drawn.
        frames: scale of the sensor and image (rows, cols) of each frame.
    """
    variances, vectors = np.linalg.eigh(_covariance(frames))
    order = np.argsort(-variances)[: network.layout.latents]
    bases = [np.ones((1, 1)), *(_cosines(side) for side in (2, 4, 8)), vectors.T[order]]
    ways = zip(layers_of(network.analysis), reversed(layers_of(network.synthesis)), strict=True)
    for way, fine, coarse in zip(ways, bases, bases[1:], strict=False):
        set_step(way, coarse @ placed(fine).T, _CHANCE)
    hush(network)
    set_masks(network.modulation)
    set_hyper(network, expected(variances[order]))


@torch.no_grad()
def hush(network: nn.Module) -> None:
    """Let GDN divide by next to nothing."""
    for module in network.modules():
        if isinstance(module, Gdn):
            itself = torch.eye(len(module.root_gamma))
            module.root_gamma.copy_(_OTHERS**0.5 + (_GAMMA**0.5 - _OTHERS**0.5) * itself)


def expected(variances: Floats) -> Floats:
    """Return the deviations of latents of such variances, modulated in the middle of lambda."""
    middle = np.sqrt(LAMBDA_LEAST * LAMBDA_MOST) ** 0.5 / _STEP
    return np.asarray(np.sqrt(variances.clip(_LEAST_VARIANCE)) * middle, np.float64)


def scales_of(sigma: Floats) -> Floats:
    """Return the scales of deviations; those of tables are 0 to 63."""
    found = np.log(sigma / SIGMA_LEAST) / np.log(SIGMA_MOST / SIGMA_LEAST) * (SCALES - 1)
    return np.asarray(found, np.float64)


def _covariance(frames: Sequence[tuple[float, NDArray[np.uint16]]]) -> Floats:
    """Return the covariance of blocks of 16 x 16 pixels, those of each scale counting alike."""
    total = np.zeros((STRIDE**2, STRIDE**2))
    for scale in {scale for scale, _ in frames}:
        images = [image for each, image in frames if each == scale]
        every = -(-len(images) // _FRAMES)
        blocks = np.concatenate([_blocks(image) for image in images[::every]]) / scale
        total += blocks.T @ blocks / max(len(blocks), 1)
    return total


def _blocks(image: NDArray[np.uint16]) -> Floats:
    """Return the blocks of an image about its mean, (n, 256)."""
    rows, cols = (length // STRIDE for length in image.shape)
    cut = image[: rows * STRIDE, : cols * STRIDE] - np.rint(image.mean())
    squares = cut.reshape(rows, STRIDE, cols, STRIDE).swapaxes(1, 2)
    return np.asarray(squares.reshape(-1, STRIDE**2), np.float64)


def layers_of(part: nn.Sequential) -> list[Layer]:
    return [module for module in part if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def bias_of(layer: Layer) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _cosines(side: int) -> Floats:
    """Return the cosine transform of side x side pixels, (side^2, side^2)."""
    one = dct(np.eye(side), axis=0, norm="ortho")
    return np.asarray(np.kron(one, one), np.float64)


def placed(basis: Floats, bands: int = 1) -> Floats:
    """Return a basis (n, bands side^2) at all four quarters of a square of twice the side.

    Row 4c + 2a + b is vector c at quarter (a, b).
    """
    count, side = len(basis), int(np.sqrt(basis.shape[1] // bands))
    found = np.zeros((count, 2, 2, bands, 2, side, 2, side))
    for a, b in np.ndindex(2, 2):
        found[:, a, b, :, a, :, b] = basis.reshape(count, bands, side, side)
    return found.reshape(4 * count, -1)


@torch.no_grad()
def set_step(way: tuple[Layer, Layer], step: Floats, chance: float = 0) -> None:
    """Put a step of the way down (outputs, 4 inputs) into a convolution and its transpose.

    Weights of the one are (outputs, inputs, taps, taps), those of the other, which leads back, are
    named alike; a step is of the 2 x 2 taps in the middle. The share `chance` of the weights
    that were drawn is left beside.
    """
    outputs, inputs = len(step), step.shape[1] // 4
    middle = torch.from_numpy(step.reshape(outputs, inputs, 2, 2)).float()
    for layer in way:
        first = (layer.weight.shape[-1] - 1) // 2
        taps = slice(first, first + 2)
        layer.weight.mul_(chance)
        layer.weight[:outputs, :inputs, taps, taps] += middle
        bias_of(layer).zero_()


@torch.no_grad()
def set_hyper(network: Hyperprior, sigma: Floats) -> None:
    """Let the hyperprior send how much larger latents are than the deviations of all, in groups.

    A number is the mean of a group of them over 4 x 4 places, over what is expected, in quarters; 0
    where it is that. One unit of the hyper synthesis passes what is above, another what is below,
    as the logarithm that an index is grows faster there.
    """
    groups = len(network.hyper_spread) // 2
    group_of = np.arange(len(sigma)) * groups // len(sigma)
    first, *halvings = layers_of(network.hyper_analysis)
    *doublings, last = layers_of(network.hyper_synthesis)
    for layer in (first, *halvings, *doublings, last):
        layer.weight.mul_(_CHANCE)
        bias_of(layer).zero_()
    for latent, group in enumerate(group_of.tolist()):
        share = _UNIT / (sigma[latent] * np.count_nonzero(group_of == group))
        first.weight[group, latent, 1, 1] += share
        last.weight[latent, 2 * group, 1, 1] += _ABOVE / _UNIT
        last.weight[latent, 2 * group + 1, 1, 1] -= _BELOW / _UNIT
    for group in range(groups):
        for layer in halvings:
            layer.weight[group, group, 2:4, 2:4] += 0.25
        doublings[0].weight[group, 2 * group, 2:4, 2:4] += 1
        doublings[0].weight[group, 2 * group + 1, 2:4, 2:4] -= 1
    for unit in range(2 * groups):
        doublings[1].weight[unit, unit, 2:4, 2:4] += 1
    bias_of(halvings[1])[:groups] = -_UNIT * _MAGNITUDE
    bias_of(last).copy_(torch.from_numpy(scales_of(sigma).clip(0, SCALES - 1)).float())


@torch.no_grad()
def set_masks(modulation: nn.Sequential) -> None:
    """Let masks be the root of lambda over the step, between knots that are even in its log."""
    inner, outer = (m for m in modulation if isinstance(m, nn.Linear))
    lambdas = LAMBDA_LEAST * (LAMBDA_MOST / LAMBDA_LEAST) ** np.linspace(0, 1, inner.out_features)
    shares = (lambdas - LAMBDA_LEAST) / (LAMBDA_MOST - LAMBDA_LEAST)
    masks = np.sqrt(lambdas) / _STEP
    values = masks + np.log(-np.expm1(-masks))  # which softplus makes masks
    slopes = np.diff(values) / np.diff(shares)
    inner.weight.fill_(1)
    inner.bias.copy_(torch.from_numpy(-shares))
    outer.weight.copy_(torch.from_numpy(np.append(np.diff(slopes, prepend=0), 0)).float())
    outer.bias.fill_(float(values[0]))
