"""Priors: what latents are expected to be, in torch, as it is learned.

Each latent is expected to be a mixture of Gaussians, of which the chance of the interval of 1
around its value counts. A factorised prior knows its map and lambda. A conditional one makes the
mixture of side information; of neighbours in the same map, as places are coded in two turns, like
the fields of a checkerboard; and of all maps of earlier groups.

Sources: Cheng and others, CVPR 2020, equations 6 to 9 (mixtures); D. He, Y. Zheng, B. Sun, Y. Wang,
H. Qin, Checkerboard context model for efficient learned image compression, CVPR 2021; D. He and
others, ELIC, CVPR 2022 (groups). The factorised one is that of Balle and others, ICLR 2017, with a
mixture for its spline.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.codecs.learned.layout import (
    FAR,
    FAR_BITS,
    FEATURE_BITS,
    NEAR,
    NEAR_BITS,
    Layout,
)
from benchmarks.codecs.modulated.layout import SCALES, SIGMA_STEP
from benchmarks.codecs.modulated.network import (
    Within,
    deviation,
    gaussian,
    hyper_bits,
    hyper_parts,
    log2_sum,
    noisy,
    rounded,
)

_APART = 8.0
"""Scales from one component to the next, at first."""


class Factorised(nn.Module):
    """A mixture for each map, as wide as lambda makes its latents."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        shape = layout.components, layout.latents
        self.logits = nn.Parameter(torch.zeros(shape))
        self.scales = nn.Parameter(_spread(layout.components)[:, None].repeat(1, layout.latents))

    def forward(self, latents: Tensor, mask: Tensor) -> Tensor:
        """Return about how many bits modulated latents take, (batch,)."""
        logits, scales = self.logits[None, ..., None, None], self.scales[..., None, None]
        modulated = scales + mask[:, None].log() / SIGMA_STEP
        return -log2_sum(mixed(noisy(latents), logits, torch.zeros(()), modulated))

    def hyper(self, latents: Tensor) -> Tensor:
        """Return no side information, (batch, 0, rows, cols)."""
        return latents[:, :0]


class Conditional(nn.Module):
    """Side information, and layers for each group of latents."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.slices = layout.slices
        self.hyper_analysis, self.hyper_synthesis = hyper_parts(layout.hyper, layout.latents)
        self.hyper_spread = nn.Parameter(torch.zeros(layout.hyper))
        self.groups = nn.ModuleList(Group(layout, of) for of in layout.slices)

    def forward(self, latents: Tensor, _mask: Tensor) -> Tensor:
        """Return about how many bits modulated latents take, side information too, (batch,)."""
        hyper = self.hyper(latents)
        told = Within.apply(  # type: ignore[no-untyped-call]
            self.hyper_synthesis(rounded(hyper)), 0.0, SCALES - 1.0
        )
        known, values = seen(rounded(latents)), noisy(latents)
        bits = hyper_bits(hyper, self.hyper_spread)
        for of, group in zip(self.slices, self.groups, strict=True):
            logits, means, above = group(told / (1 << FEATURE_BITS), known)
            scales = told[:, None, of] + above
            bits = bits - log2_sum(mixed(values[:, of], logits, means, scales))
        return bits

    def hyper(self, latents: Tensor) -> Tensor:
        """Return the side information of modulated latents, not rounded."""
        found: Tensor = self.hyper_analysis(latents.abs())
        return found


class Group(nn.Module):
    """What is expected of a group of latents."""

    def __init__(self, layout: Layout, of: slice) -> None:
        super().__init__()
        self.of = of
        size, units, mixture = of.stop - of.start, layout.hidden, layout.components
        self.told = nn.Conv2d(layout.latents, units, 1)
        self.around = nn.Conv2d(size, units, 3, padding=1, bias=False)
        self.before = nn.Conv2d(of.start, units, 3, padding=1, bias=False) if of.start else None
        self.inner = nn.Conv2d(units, units, 1)
        self.last = nn.Conv2d(units, 3 * mixture * size, 1)
        begin = torch.zeros(3, mixture, size)
        begin[2] = _spread(mixture)[:, None]
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            assert self.last.bias is not None
            self.last.bias.copy_(begin.flatten())

    def forward(self, told: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Expect latents.

        Args:
            told: features of side information.
            known: all latents, as they are `seen`; of this group only its neighbours are looked at.

        Returns:
            Logits, means and scales above those that are told, of the components, (batch,
            components, latents, rows, cols) each.
        """
        kernel = self.around.weight * checkerboard(3)
        near = functional.conv2d(known[:, self.of], kernel, padding=1)
        # Fields of the first turn, of even row + column, are coded before their neighbours.
        turns = checkerboard(2).repeat(near.shape[2] // 2, near.shape[3] // 2)
        hidden = self.told(told) + near * turns
        if self.before is not None:
            hidden = hidden + self.before(known[:, : self.of.start])
        found = self.last(torch.relu(self.inner(torch.relu(hidden))))
        logits, means, above = found.unflatten(1, (3, -1, self.of.stop - self.of.start)).unbind(1)
        return logits, means, above


def checkerboard(side: int) -> Tensor:
    """Return 1 where row + column is odd, of side x side, else 0."""
    counted = torch.arange(side)
    return (counted[:, None] + counted).remainder(2).float()


def seen(latents: Tensor) -> Tensor:
    """Return known latents as layers see them: small ones as they are, large ones smaller."""
    near, far = latents.clamp(-NEAR, NEAR), latents.clamp(-FAR, FAR)
    return near + far / (1 << NEAR_BITS) + latents / (1 << FAR_BITS)


def mixed(values: Tensor, logits: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """Return the chance of an interval of 1 around values (batch, latents, rows, cols)."""
    chances = gaussian(values[:, None] - means, deviation(scales))
    found: Tensor = (torch.softmax(logits, dim=1) * chances).sum(1)
    return found


def _spread(components: int) -> Tensor:
    """Return how far the scales of components lie apart at first."""
    return _APART * (torch.arange(components) - (components - 1) / 2)
