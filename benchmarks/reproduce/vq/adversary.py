"""Adversary: a network goes on learning, with a discriminator beside it or without.

Source: Esser, Rombach, Ommer, CVPR 2021 (arXiv:2012.09841), equations 4 to 7: a discriminator of
patches, a hinge loss, and a weight that makes its gradient at the last layer as large as that of
the reconstruction. Their perceptual loss is left out: it compares features of a network trained on
ImageNet, of three bands of 8 bits; there is none of four bands of reflectance.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.reproduce.vq.setting import SEED
from ground.train.corsa.losses import log_mse
from ground.train.corsa.model import SAMPLE_SCALE, VqvaeFpn
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import TileSet

_RATE, _BETAS, _LEAK = 3e-4, (0.5, 0.9), 0.2
_MOST_WEIGHT = 1e4


class Discriminator(nn.Module):
    """Says of each patch of 22 x 22 pixels how much it looks like an original.

    Source: Isola et al., CVPR 2017 (arXiv:1611.07004), section 3.2.2.
    """

    def __init__(self, bands: int, depth: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(bands, depth, 4, stride=2, padding=1),
            nn.LeakyReLU(_LEAK),
            nn.Conv2d(depth, 2 * depth, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * depth),
            nn.LeakyReLU(_LEAK),
            nn.Conv2d(2 * depth, 1, 4, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return (batch, 1, rows, cols): positive where it looks like an original."""
        found: Tensor = self.layers(images)
        return found


def hinge(original: Tensor, made: Tensor) -> Tensor:
    """Return the loss of a discriminator that said so of originals and of what was made."""
    return (functional.relu(1 - original).mean() + functional.relu(1 + made).mean()) / 2


def adaptive(error: Tensor, deceit: Tensor, last: Tensor) -> Tensor:
    """Return by how much the gradient of `error` at the last weights exceeds that of `deceit`."""
    wanted, found = (
        torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (error, deceit)
    )
    weight: Tensor = (wanted / (found + 1e-4)).clamp(0, _MOST_WEIGHT).detach()
    return weight


def went_on(
    start: VqvaeFpn,
    recipe: Recipe,
    tiles: TileSet,
    steps: int,
    weight: float,
    report: Callable[[int], None],
) -> VqvaeFpn:
    """Return a network that learned for some steps more, and leave the one it starts from.

    Args:
        start: trained network.
        recipe: of that network.
        tiles: to learn from.
        steps: how many.
        weight: of the discriminator, times the adaptive one; 0 for none.
        report: called with each step.
    """
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = copy.deepcopy(start).train().requires_grad_(True)
    judge = Discriminator(recipe.bands)
    learner = torch.optim.Adam(model.parameters(), _RATE, _BETAS)
    teacher = torch.optim.Adam(judge.parameters(), _RATE, _BETAS)
    last = model.decoder.up.weight
    for step in range(steps):
        report(step)
        for group in learner.param_groups:
            group["lr"] = _RATE * min(1, 2 - 2 * step / steps)  # down to 0 in the second half
        samples, targets, scales = tiles.batch(rng.integers(len(tiles.steps), size=recipe.batch))
        decoded, made = model(samples)
        loss = log_mse(decoded, targets, scales)
        loss = loss + recipe.commitment * torch.stack([q.commitment for q in made]).sum()
        if weight:
            deceit = -judge(decoded * SAMPLE_SCALE).mean()
            loss = loss + weight * adaptive(loss, deceit, last) * deceit
        learner.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        learner.step()
        if weight:
            told = hinge(judge(targets * SAMPLE_SCALE), judge(decoded.detach() * SAMPLE_SCALE))
            teacher.zero_grad()
            told.backward()  # type: ignore[no-untyped-call]
            teacher.step()
    return model.eval()
