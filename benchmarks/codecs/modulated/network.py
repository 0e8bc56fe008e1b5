"""Network of the modulated hyperprior, in torch, as it is trained.

Four convolutions of 5 x 5 and stride 2 with generalised divisive normalisation (GDN) make latents
of an image; a mask that depends on lambda multiplies them before they are rounded, and divides
them on the ground. A second, smaller autoencoder tells how large each of them is expected to be.

Source: S. Mijares i Verdu, M. Chabert, T. Oberlin, J. Serra-Sagrista, Fixed-quality compression of
remote sensing images with neural networks, JSTARS 2024, figure 1; its network is that of their
Reduced-complexity multirate remote sensing data compression with neural networks, GRSL 2023.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.codecs.modulated.layout import SCALES, SIGMA_LEAST, SIGMA_STEP, Layout

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


class Modulated(nn.Module):
    """An autoencoder of images (batch, bands, rows, cols), normalised.

    Its latents are multiplied by a mask that depends on lambda before they are rounded.
    """

    analysis: nn.Sequential
    synthesis: nn.Sequential

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.modulation = nn.Sequential(
            nn.Linear(1, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, latents), nn.Softplus()
        )

    def hyper(self, latents: Tensor) -> Tensor:
        """Return the side information of modulated latents, not rounded."""
        raise NotImplementedError

    def bits(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Return about how many bits modulated latents take, side information too, (batch,)."""
        raise NotImplementedError

    def mask(self, share: Tensor) -> Tensor:
        """Return masks (..., latents) of shares (...), 0 for the least lambda, 1 for the most."""
        found: Tensor = self.modulation(share[..., None])
        return found

    def forward(self, images: Tensor, share: Tensor) -> Passed:
        """Code images, each at its share of the range of lambda; noise stands for rounding."""
        latents, mask = self.modulated(images, share)
        return Passed(self.synthesis(rounded(latents) / mask), self.bits(latents, mask))

    def modulated(self, images: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return the modulated latents of images, and their masks."""
        mask = self.mask(share)[:, :, None, None].float()
        return self.analysis(images).float() * mask, mask


class ModulatedHyperprior(Modulated):
    """The network of the paper: images of one band, sides multiples of 64."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.latents)
        self.layout = layout
        n, m = layout.maps, layout.latents
        self.analysis = nn.Sequential(
            down(1, n), Gdn(n), down(n, n), Gdn(n), down(n, n), Gdn(n), down(n, m)
        )
        self.synthesis = nn.Sequential(
            *(up(m, n), Gdn(n, inverse=True), up(n, n), Gdn(n, inverse=True)),
            *(up(n, n), Gdn(n, inverse=True), up(n, 1)),
        )
        self.hyper_analysis, self.hyper_synthesis = hyper_parts(n, m)
        self.hyper_spread = nn.Parameter(torch.zeros(n))

    def hyper(self, latents: Tensor) -> Tensor:
        """Return the side information of modulated latents, not rounded."""
        found: Tensor = self.hyper_analysis(latents.abs())
        return found

    def bits(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Return about how many bits modulated latents take, side information too, (batch,)."""
        # Chances of wide distributions are differences that bfloat16 is too coarse for.
        hyper = self.hyper(latents).float()
        sigma = deviation(self.hyper_synthesis(rounded(hyper)).float())
        return -log2_sum(gaussian(noisy(latents), sigma)) + hyper_bits(hyper, self.hyper_spread)


def hyper_parts(maps: int, latents: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the way to side information from magnitudes of latents, and that to their scales.

    Side information has a place for 4 x 4 of theirs.
    """
    analysis = nn.Sequential(
        nn.Conv2d(latents, maps, 3, padding=1),
        *(nn.ReLU(), down(maps, maps), nn.ReLU(), down(maps, maps)),
    )
    last = nn.Conv2d(maps, latents, 3, padding=1)
    assert last.bias is not None
    nn.init.constant_(last.bias, SCALES / 3)
    return analysis, nn.Sequential(up(maps, maps), nn.ReLU(), up(maps, maps), nn.ReLU(), last)


def hyper_bits(hyper: Tensor, spread: Tensor) -> Tensor:
    """Return about how many bits side information takes, given the spread of each of its maps."""
    return -log2_sum(logistic(noisy(hyper), spread.exp()[:, None, None]))


def deviation(scales: Tensor) -> Tensor:
    """Return the deviation at a scale, 0 to 63; beyond is taken for the last."""
    within = Within.apply(scales, 0.0, SCALES - 1.0)  # type: ignore[no-untyped-call]
    found: Tensor = SIGMA_LEAST * torch.exp(SIGMA_STEP * within)
    return found


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


def down(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a convolution that halves the grid."""
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Return its transpose, which doubles the grid."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def noisy(values: Tensor) -> Tensor:
    """Add what rounding might, even over an interval of 1."""
    return values + torch.rand_like(values) - 0.5


def rounded(values: Tensor) -> Tensor:
    """Round; the gradient passes as if they were not."""
    return values + (values.round() - values).detach()


def log2_sum(chances: Tensor) -> Tensor:
    """Return the sum of binary logarithms of each image, (batch,)."""
    return chances.clamp_min(_LEAST_PROBABILITY).log2().flatten(1).sum(1)
