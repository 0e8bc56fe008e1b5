"""U-Net: a small reference network that says of each pixel whether it is what is looked for.

Source: Ronneberger, Fischer, Brox, U-Net, MICCAI 2015, with padded convolutions, group norms and a
third of its depth.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.reproduce.segmentation.tasks import UNKNOWN, Sample

WIDTHS = (16, 32, 64)
CROP, BATCH, RATE = 64, 8, 3e-3
_GROUPS = 8


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.GroupNorm(_GROUPS, outputs)]
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Images (batch, bands, rows, cols), sides multiples of 4 -> logits (batch, rows, cols)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, images: Sequence[NDArray[np.uint16]]) -> None:
        """Take the normalisation of bands from the images that will be trained on."""
        super().__init__()
        samples = np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)
        shape = (1, len(samples), 1, 1)
        for name, value in (("mean", samples.mean(axis=1)), ("deviation", samples.std(axis=1) + 1)):
            self.register_buffer(name, torch.from_numpy(value.astype(np.float32)).reshape(shape))
        self.down = nn.ModuleList(
            _block(i, o) for i, o in zip((len(samples), *WIDTHS), WIDTHS, strict=False)
        )
        self.up = nn.ModuleList(_block(a + b, a) for a, b in pairwise(WIDTHS))
        self.head = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        maps, kept = (images - self.mean) / self.deviation, []
        for number, block in enumerate(self.down):
            maps = block(functional.max_pool2d(maps, 2) if number else maps)
            kept.append(maps)
        for block, beside in zip(reversed(self.up), reversed(kept[:-1]), strict=True):
            wide = functional.interpolate(maps, scale_factor=2, mode="nearest")
            maps = block(torch.cat([beside, wide], 1))
        found: Tensor = self.head(maps)[:, 0]
        return found


def train(samples: Sequence[Sample], steps: int, seed: int) -> UNet:
    """Train on random crops of originals, turned and mirrored; one seed gives one result."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = UNet([sample.image for sample in samples])
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        drawn = [crop(samples[i], rng) for i in rng.integers(len(samples), size=BATCH)]
        images = torch.from_numpy(np.stack([image for image, _ in drawn]).astype(np.float32))
        masks = torch.from_numpy(np.stack([mask for _, mask in drawn]))
        loss = cross_entropy(network(images), masks)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network.eval()


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the mean of what is known of masks, uint8 (batch, rows, cols), in nats."""
    known = masks != UNKNOWN
    losses = functional.binary_cross_entropy_with_logits(
        logits, (masks == 1).float(), reduction="none"
    )
    found: Tensor = (losses * known).sum() / known.sum().clamp_min(1)
    return found


def crop(sample: Sample, rng: np.random.Generator) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return a random crop; what a small image lacks is mirrored, and not known."""
    short = [max(CROP - side, 0) for side in sample.mask.shape]
    image = np.pad(sample.image, [(0, 0), *((0, n) for n in short)], "symmetric")
    mask = np.pad(sample.mask, [(0, n) for n in short], constant_values=UNKNOWN)
    row, col = (int(rng.integers(side - CROP + 1)) for side in mask.shape)
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    cut = np.s_[..., row : row + CROP, col : col + CROP]
    image, mask = (np.rot90(image[cut], turns, (1, 2)), np.rot90(mask[cut], turns))
    return (image[..., ::-1], mask[..., ::-1]) if mirrored else (image, mask)


@torch.no_grad()
def predict(network: UNet, image: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return where a network finds what it was trained to find, (rows, cols)."""
    rows, cols = image.shape[1:]
    step = 2 ** (len(WIDTHS) - 1)
    padded = np.pad(image, [(0, 0), (0, -rows % step), (0, -cols % step)], "symmetric")
    logits = network(torch.from_numpy(padded.astype(np.float32))[None])[0, :rows, :cols]
    found: NDArray[np.bool_] = logits.numpy() > 0
    return found
