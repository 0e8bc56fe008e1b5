"""Joint: a learned codec and a network of segmentation, each trained alone or both together.

The codec starts from a KLT of blocks, see `codecs/learned/initial.py`, and has one lambda. Both are
trained alone first; what follows is of as many steps again, from copies of the same weights.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.codecs.learned.initial import begun
from benchmarks.codecs.learned.layout import FACTORISED, Layout
from benchmarks.codecs.learned.network import LearnedNetwork
from benchmarks.codecs.modulated.frames import SENTINEL
from benchmarks.codecs.modulated.layout import LAMBDA_LEAST, LAMBDA_MOST
from benchmarks.codecs.modulated.network import Passed
from benchmarks.reproduce.segmentation.tasks import Sample
from benchmarks.reproduce.segmentation.unet import BATCH, RATE, UNet, crop, cross_entropy
from benchmarks.reproduce.segmentation.ways import Image

APART, IN_TURN, TOGETHER = "apart", "in-turn", "together"
LAYOUT = Layout(
    bands=4,
    maps=(16, 32),
    latents=96,
    prior=FACTORISED,
    groups=(96,),
    components=3,
    hyper=0,
    hidden=0,
)
LAMBDA = 15.0
"""Of the squared error of samples over the scale of the sensor; of DN it is over that squared."""
WEIGHT = 1.0
"""Of the cross-entropy, in nats a pixel, beside rate in bits a sample and distortion."""
_CODEC_RATE, _CLIP = 4e-4, 1.0


@dataclass(frozen=True)
class Pair:
    """A codec and the network that sees what it leaves.

    Attributes:
        codec: of images about their means, over the scale of the sensor.
        network: of images in DN.
    """

    codec: LearnedNetwork
    network: UNet


@dataclass(frozen=True)
class Batch:
    """What a step sees.

    Attributes:
        images: float32 (batch, bands, rows, cols), DN.
        means: float32 (batch, bands, 1, 1), DN, of the images that crops are of.
        masks: uint8 (batch, rows, cols).
    """

    images: Tensor
    means: Tensor
    masks: Tensor

    @classmethod
    def drawn(cls, samples: Sequence[Sample], rng: np.random.Generator) -> "Batch":
        """Draw random crops, turned and mirrored."""
        chosen = [samples[i] for i in rng.integers(len(samples), size=BATCH)]
        images, masks = zip(*(crop(sample, rng) for sample in chosen), strict=True)
        means = [means_of(sample.image) for sample in chosen]
        return cls(
            torch.from_numpy(np.stack(images).astype(np.float32)),
            torch.from_numpy(np.stack(means)),
            torch.from_numpy(np.stack(masks)),
        )


Loss = Callable[[Pair, Batch], Tensor]
"""What is minimised; networks that it has no gradient of stay as they are."""


def apart(pair: Pair, batch: Batch) -> Tensor:
    """Return rate + lambda x distortion, plus the cross-entropy on originals: neither sees both."""
    return _coded(pair, batch)[0] + cross_entropy(pair.network(batch.images), batch.masks)


def in_turn(pair: Pair, batch: Batch) -> Tensor:
    """Return the cross-entropy on what a codec leaves that stays as it is."""
    with torch.no_grad():
        decoded = _coded(pair, batch)[1]
    return cross_entropy(pair.network(decoded), batch.masks)


def together(pair: Pair, batch: Batch) -> Tensor:
    """Return rate + lambda x distortion + weight x cross-entropy on what the codec leaves."""
    coding, decoded = _coded(pair, batch)
    return coding + WEIGHT * cross_entropy(pair.network(decoded), batch.masks)


def _coded(pair: Pair, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return rate + lambda x distortion, and decoded images in DN."""
    images = (batch.images - batch.means) / SENTINEL.scale
    found = passed(pair.codec, images)
    errors = (found.decoded - images).square().mean()
    coding = found.bits.mean() / images[0].numel() + LAMBDA * errors
    return coding, found.decoded * SENTINEL.scale + batch.means


def passed(codec: LearnedNetwork, images: Tensor) -> Passed:
    """Code images (batch, bands, rows, cols), normalised, at the lambda of all."""
    share = (LAMBDA - LAMBDA_LEAST) / (LAMBDA_MOST - LAMBDA_LEAST)
    found: Passed = codec(images, torch.full((len(images),), share))
    return found


def means_of(image: Image) -> NDArray[np.float32]:
    """Return the means of bands (bands, 1, 1), whole numbers, that are sent beside."""
    means: NDArray[np.float32] = np.rint(image.mean((1, 2), np.float64)).astype(np.float32)
    return means[:, None, None]


def started(samples: Sequence[Sample], seed: int) -> Pair:
    """Return what training starts from: a codec that is a KLT, a network drawn by chance."""
    images = [sample.image for sample in samples]
    return Pair(begun(LAYOUT, seed, SENTINEL.scale, images), UNet(images))


def trained(pair: Pair, samples: Sequence[Sample], steps: int, seed: int, loss: Loss) -> Pair:
    """Return copies after more steps on crops of samples; one seed gives one result."""
    pair = deepcopy(pair)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    codec = list(pair.codec.parameters())
    groups = [
        {"params": codec, "lr": _CODEC_RATE},
        {"params": list(pair.network.parameters()), "lr": RATE},
    ]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(pair, Batch.drawn(samples, rng)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(codec, _CLIP)
        optimiser.step()
        schedule.step()
    return pair


def ways(samples: Sequence[Sample], steps: int, seed: int) -> dict[str, Pair]:
    """Return the pairs of each way; that in turn has the codec that was trained apart."""
    begin = trained(started(samples, seed), samples, steps, seed, apart)
    further = seed + 1_000
    alone = trained(begin, samples, steps, further, apart)
    turn = Pair(alone.codec, begin.network)
    return {
        APART: alone,
        IN_TURN: trained(turn, samples, steps, further, in_turn),
        TOGETHER: trained(begin, samples, steps, further, together),
    }
