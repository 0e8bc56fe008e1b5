"""Networks of the learned codecs, in torch, as they are trained.

Residual blocks, each halving of the grid with generalised divisive normalisation (GDN), make
latents of all bands together, and their mirror image makes bands of latents. One network has all
rates, as its latents are modulated.

Source: Z. Cheng, H. Sun, M. Takeuchi, J. Katto, Learned image compression with discretized
Gaussian mixture likelihoods and attention modules, CVPR 2020, figures 4 and 5. Its last halving is
left out where a layout has two widths: of 16 bits in several bands there is more to say of a place.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.codecs.learned.layout import FACTORISED, Layout
from benchmarks.codecs.learned.prior import Conditional, Factorised
from benchmarks.codecs.modulated.network import Gdn, Modulated, down, up


class LearnedNetwork(Modulated):
    """Images (batch, bands, rows, cols), normalised, sides multiples of that of the layout."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout.latents)
        self.layout = layout
        widths, attention = layout.maps, layout.attention
        inner: list[nn.Module] = []
        outer: list[nn.Module] = []
        for wide, deep in pairwise(widths):
            inner += [ResidualDown(wide, deep), Residual(deep), *_attention(deep, attention)]
            outer = [*_attention(deep, attention), Residual(deep), ResidualUp(deep, wide), *outer]
        first, last = widths[0], widths[-1]
        self.analysis = nn.Sequential(
            down(layout.bands, first), Residual(first), *inner, down(last, layout.latents)
        )
        self.synthesis = nn.Sequential(
            up(layout.latents, last), *outer, Residual(first), up(first, layout.bands)
        )
        self.prior: Factorised | Conditional = (
            Factorised(layout) if layout.prior == FACTORISED else Conditional(layout)
        )

    def hyper(self, latents: Tensor) -> Tensor:
        """Return the side information of modulated latents, not rounded."""
        prior: Factorised | Conditional = self.prior
        return prior.hyper(latents)

    def bits(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Return about how many bits modulated latents take, side information too, (batch,)."""
        # Chances are differences, and means are sums, that bfloat16 is too coarse for.
        with torch.autocast("cpu", enabled=False):
            prior: Factorised | Conditional = self.prior
            found: Tensor = prior(latents.float(), mask.float())
        return found


class Residual(nn.Module):
    """Two convolutions beside what they leave as it is."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(maps, maps), nn.LeakyReLU(), conv(maps, maps))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        found: Tensor = maps + self.branch(maps)
        return found


class ResidualDown(nn.Module):
    """Halves the grid: two convolutions with GDN beside one of 2 x 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            *(nn.LeakyReLU(), conv(outputs, outputs), Gdn(outputs)),
        )
        self.skip = nn.Conv2d(inputs, outputs, 2, stride=2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the rows and columns."""
        found: Tensor = self.skip(maps) + self.branch(maps)
        return found


class ResidualUp(nn.Module):
    """Doubles the grid: a subpixel convolution, and another with inverse GDN, beside 2 x 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *(conv(inputs, 4 * outputs), nn.PixelShuffle(2), nn.LeakyReLU()),
            *(conv(outputs, outputs), Gdn(outputs, inverse=True)),
        )
        self.skip = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of twice the rows and columns."""
        found: Tensor = self.skip(maps) + self.branch(maps)
        return found


class Attention(nn.Module):
    """What is added where a gate between 0 and 1 lets it, both learned."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(*(Residual(maps) for _ in range(3)), conv(maps, maps))
        self.gate = nn.Sequential(*(Residual(maps) for _ in range(3)), nn.Conv2d(maps, maps, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        found: Tensor = maps + self.branch(maps) * torch.sigmoid(self.gate(maps))
        return found


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a convolution of 3 x 3 that keeps the grid."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _attention(maps: int, wanted: bool) -> list[nn.Module]:
    return [Attention(maps)] if wanted else []
