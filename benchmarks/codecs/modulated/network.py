"""Network of the modulated hyperprior, in torch, as it is trained.

Four convolutions of 5 x 5 and stride 2 with generalised divisive normalisation (GDN) make latents
of an image; a mask that depends on lambda multiplies them before they are rounded, and divides
them on the ground. A second, smaller autoencoder tells how large each of them is expected to be.

Source: S. Mijares i Verdu, M. Chabert, T. Oberlin, J. Serra-Sagrista, Fixed-quality compression of
remote sensing images with neural networks, JSTARS 2024, figure 1; its network is that of their
Reduced-complexity multirate remote sensing data compression with neural networks, GRSL 2023.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.codecs.modulated.layout import SCALES, SIGMA_LEAST, SIGMA_MOST, Layout

SIGMA_STEP = math.log(SIGMA_MOST / SIGMA_LEAST) / (SCALES - 1)
"""Of the logarithm of the deviation, from one scale to the next."""
_LEAST_PROBABILITY = 1e-9
_HIDDEN = 64
"""Units of the network that makes masks."""


class Gdn(nn.Module):
    """Generalised divisive normalisation: each map over the root of a mix of all their squares.

    Its inverse multiplies instead.

    Source: J. Balle, V. Laparra, E. Simoncelli, End-to-end optimized image compression, ICLR 2017.
    """

    def __init__(self, maps: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        # Squared where they are used, so that they never are negative.
        self.root_beta = nn.Parameter(torch.ones(maps))
        self.root_gamma = nn.Parameter(0.3 * torch.eye(maps) + 0.01)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the normalised maps (batch, maps, rows, cols)."""
        gamma = self.root_gamma.square()[:, :, None, None]
        energy = functional.conv2d(maps.square(), gamma, self.root_beta.square() + 1e-6)
        scaled: Tensor = maps * (energy.sqrt() if self.inverse else energy.rsqrt())
        return scaled


class Within(torch.autograd.Function):
    """A clamp that lets those gradients pass that lead back inside."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, least: float, most: float) -> Tensor:
        """Clamp."""
        ctx.save_for_backward(values)
        ctx.range = least, most
        return values.clamp(least, most)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Pass on what does not lead further outside."""
        (values,), (gradient,), (least, most) = ctx.saved_tensors, gradients, ctx.range
        outward = ((values < least) & (gradient > 0)) | ((values > most) & (gradient < 0))
        return gradient.masked_fill(outward, 0), None, None


@dataclass(frozen=True)
class Passed:
    """What a training step sees.

    Attributes:
        decoded: images (batch, 1, rows, cols), normalised.
        bits: of each image, (batch,).
    """

    decoded: Tensor
    bits: Tensor


class ModulatedHyperprior(nn.Module):
    """Images (batch, 1, rows, cols), normalised, sides multiples of 64."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        n, m = layout.maps, layout.latents
        self.analysis = nn.Sequential(
            _down(1, n), Gdn(n), _down(n, n), Gdn(n), _down(n, n), Gdn(n), _down(n, m)
        )
        self.synthesis = nn.Sequential(
            *(_up(m, n), Gdn(n, inverse=True), _up(n, n), Gdn(n, inverse=True)),
            *(_up(n, n), Gdn(n, inverse=True), _up(n, 1)),
        )
        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(m, n, 3, padding=1), nn.ReLU(), _down(n, n), nn.ReLU(), _down(n, n)
        )
        self.hyper_synthesis = nn.Sequential(
            _up(n, n), nn.ReLU(), _up(n, n), nn.ReLU(), nn.Conv2d(n, m, 3, padding=1)
        )
        self.modulation = nn.Sequential(
            nn.Linear(1, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, m), nn.Softplus()
        )
        self.hyper_spread = nn.Parameter(torch.zeros(n))
        nn.init.constant_(self.hyper_synthesis[-1].bias, SCALES / 3)  # type: ignore[arg-type]

    def mask(self, share: Tensor) -> Tensor:
        """Return masks (..., latents) of shares (...), 0 for the least lambda, 1 for the most."""
        found: Tensor = self.modulation(share[..., None])
        return found

    def forward(self, images: Tensor, share: Tensor) -> Passed:
        """Code images, each at its share of the range of lambda; noise stands for rounding."""
        latents, mask = self.modulated(images, share)
        return Passed(self.synthesis(_rounded(latents) / mask), self.bits(latents))

    def modulated(self, images: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return the modulated latents of images, and their masks."""
        mask = self.mask(share)[:, :, None, None].float()
        return self.analysis(images).float() * mask, mask

    def bits(self, latents: Tensor) -> Tensor:
        """Return about how many bits modulated latents take, side information too, (batch,)."""
        # Chances of wide distributions are differences that bfloat16 is too coarse for.
        hyper = self.hyper_analysis(latents.abs()).float()
        indices = self.hyper_synthesis(_rounded(hyper)).float()
        sigma = SIGMA_LEAST * torch.exp(
            SIGMA_STEP * Within.apply(indices, 0.0, SCALES - 1.0)  # type: ignore[no-untyped-call]
        )
        chances = gaussian(_noisy(latents), sigma)
        hyper_chances = logistic(_noisy(hyper), self.hyper_spread.exp()[:, None, None])
        return -_log2_sum(chances) - _log2_sum(hyper_chances)


def gaussian(values: Tensor, sigma: Tensor) -> Tensor:
    """Return the chance of an interval of 1 around values, their mean being 0."""
    away = values.abs()
    upper, lower = (0.5 - away) / sigma, (-0.5 - away) / sigma
    chances: Tensor = torch.special.ndtr(upper) - torch.special.ndtr(lower)
    return chances


def logistic(values: Tensor, spread: Tensor) -> Tensor:
    """Return the chance of an interval of 1 around values, their mean being 0."""
    away = values.abs()
    return torch.sigmoid((0.5 - away) / spread) - torch.sigmoid((-0.5 - away) / spread)


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def _noisy(values: Tensor) -> Tensor:
    return values + torch.rand_like(values) - 0.5


def _rounded(values: Tensor) -> Tensor:
    """Round; the gradient passes as if they were not."""
    return values + (values.round() - values).detach()


def _log2_sum(chances: Tensor) -> Tensor:
    """Return the sum of binary logarithms of each image, (batch,)."""
    return chances.clamp_min(_LEAST_PROBABILITY).log2().flatten(1).sum(1)
