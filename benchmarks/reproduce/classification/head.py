"""Head: what the paper puts on pooled features to tell two classes apart.

Source: Beusen and others, section 3.2: global average pooling, two dense layers of 512 ReLU, each
with dropout, layer normalisation, one neuron with a sigmoid; Adam, binary cross-entropy.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.reproduce.segmentation.study import folds

_WIDTH, _DROPOUT, _RATE, _BATCH = 512, 0.2, 1e-3, 32
Real = NDArray[np.float32]


class Head(nn.Sequential):
    """Pooled features (batch, features) -> logits (batch, 1)."""

    def __init__(self, features: int) -> None:
        super().__init__(
            nn.Linear(features, _WIDTH),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_WIDTH, _WIDTH),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.LayerNorm(_WIDTH),
            nn.Linear(_WIDTH, 1),
        )


def rightly(
    inputs: Real,
    labels: NDArray[np.bool_],
    places: Sequence[str],
    steps: int,
    seed: int,
    backbone: Callable[[], nn.Module] = nn.Identity,
) -> NDArray[np.bool_]:
    """Return which inputs are told rightly by networks that never saw their place.

    Args:
        inputs: pooled features (n, features), or maps that a backbone pools.
        labels: (n,).
        places: of each input; each third of them is scored by a network trained on the others.
        steps: steps of training.
        seed: of what is drawn by chance.
        backbone: makes what is trained before the head, end to end.
    """
    right = np.zeros(len(labels), np.bool_)
    of_place = np.array(places)
    for part in folds(places):
        out = np.isin(of_place, sorted(part))
        network = _trained(inputs[~out], labels[~out], steps, seed, backbone)
        held = _scaled(inputs, inputs[~out])[torch.from_numpy(out)]
        with torch.no_grad():
            found = torch.cat([network(batch) for batch in torch.split(held, 64)])
        right[out] = (found[:, 0].numpy() > 0) == labels[out]
    return right


def _scaled(inputs: Real, training: Real) -> Tensor:
    """Return inputs, standardised as those trained on have it; what is not known is the mean."""
    axes = (0, *range(2, inputs.ndim))
    mean = np.nanmean(training, axis=axes, keepdims=True)
    deviation = np.nanstd(training, axis=axes, keepdims=True)
    scaled = (inputs - mean) / np.maximum(deviation, 1e-6)
    return torch.from_numpy(np.nan_to_num(scaled).clip(-10, 10).astype(np.float32))


def _trained(
    inputs: Real,
    labels: NDArray[np.bool_],
    steps: int,
    seed: int,
    backbone: Callable[[], nn.Module],
) -> nn.Module:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    scaled, wanted = _scaled(inputs, inputs), torch.from_numpy(labels.astype(np.float32))
    before = backbone()
    with torch.no_grad():
        features = before(scaled[:1]).shape[1]
    network = nn.Sequential(before, Head(features))
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    for _ in range(steps):
        drawn = torch.from_numpy(rng.integers(len(labels), size=_BATCH))
        logits = network(scaled[drawn])[:, 0]
        loss = functional.binary_cross_entropy_with_logits(logits, wanted[drawn])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return network.eval()
