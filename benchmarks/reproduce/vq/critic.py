"""Critic: a network that learns to tell decoded patches from originals, and how well it can.

Source: Lopez-Paz, Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.reproduce.vq.adversary import Discriminator
from benchmarks.reproduce.vq.setting import SEED

_RATE, _BATCH = 1e-3, 16


def told_apart(training: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], steps: int) -> float:
    """Return the share of test patches that are told rightly: 0.5 is chance.

    Args:
        training: originals and what they decode to, (n, bands, side, side) each.
        test: the same of other places.
        steps: of training.
    """
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    critic = Discriminator(training[0].shape[1])
    optimiser = torch.optim.Adam(critic.parameters(), _RATE)
    for _ in range(steps):
        chosen = torch.from_numpy(rng.integers(len(training[0]), size=_BATCH // 2))
        both = torch.cat([part[chosen] for part in training])
        wanted = torch.repeat_interleave(torch.tensor([1.0, 0.0]), _BATCH // 2)
        said = critic(both).mean((1, 2, 3))
        loss = functional.binary_cross_entropy_with_logits(said, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    critic.eval()
    with torch.no_grad():
        original, made = (critic(part).mean((1, 2, 3)) for part in test)
    return float(((original > 0).float().mean() + (made < 0).float().mean()) / 2)
