"""DINO: pre-training of an encoder without labels, a student that agrees with its own past.

Source: Caron and others, Emerging properties in self-supervised vision transformers, 2021: the
teacher is the moving average of the student, sees global crops alone, and is centred and sharpened.
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.reproduce.classification.backbone import Pooled
from ground.train.corsa.model import VqvaeFpn

GLOBAL, LOCAL = 2, 6
_GLOBAL_SIDE, _LOCAL_SIDE = 48, 24
_OUTPUTS, _HIDDEN, _RATE, _BATCH = 128, 128, 5e-4, 8
_MOMENTUM, _CENTRE = 0.99, 0.9
_STUDENT_HEAT, _TEACHER_HEAT = 0.1, 0.04


def _network(model: VqvaeFpn) -> nn.Sequential:
    dims = model.shape.dims[-1]
    return nn.Sequential(
        Pooled(model), nn.Linear(dims, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, _OUTPUTS)
    )


def pretrain(model: VqvaeFpn, samples: Tensor, steps: int, seed: int) -> list[float]:
    """Train the encoder of a model in place on samples; return the loss of each step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    student = _network(model)
    teacher = copy.deepcopy(student).requires_grad_(requires_grad=False)
    centre = torch.zeros(_OUTPUTS)
    optimiser = torch.optim.Adam(student.parameters(), lr=_RATE)
    losses = []
    for _ in range(steps):
        batch = samples[torch.from_numpy(rng.integers(len(samples), size=_BATCH))]
        wide = [_crop(batch, _GLOBAL_SIDE, rng) for _ in range(GLOBAL)]
        small = [_crop(batch, _LOCAL_SIDE, rng) for _ in range(LOCAL)]
        with torch.no_grad():
            taught = teacher(torch.cat(wide))
            targets = functional.softmax((taught - centre) / _TEACHER_HEAT, dim=1).chunk(GLOBAL)
            centre = _CENTRE * centre + (1 - _CENTRE) * taught.mean(dim=0)
        said = [*student(torch.cat(wide)).chunk(GLOBAL), *student(torch.cat(small)).chunk(LOCAL)]
        logs = [functional.log_softmax(one / _STUDENT_HEAT, dim=1) for one in said]
        pairs = [
            -(target * log).sum(dim=1).mean()
            for i, target in enumerate(targets)
            for j, log in enumerate(logs)
            if i != j
        ]
        loss = torch.stack(pairs).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
                old.mul_(_MOMENTUM).add_(new, alpha=1 - _MOMENTUM)
        losses.append(float(loss.detach()))
    return losses


def _crop(batch: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """Return a crop of each sample, turned or mirrored, brighter or darker, the same of all."""
    row, col = (int(rng.integers(length - side + 1)) for length in batch.shape[2:])
    found = batch[..., row : row + side, col : col + side]
    found = torch.rot90(found, int(rng.integers(4)), (2, 3))
    found = found.flip(3) if rng.integers(2) else found
    return found * float(rng.uniform(0.8, 1.2)) + float(rng.normal(0, 0.1))
