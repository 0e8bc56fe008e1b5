"""Joint study: what pairs of codec and network make of places that they were not trained on."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.codecs.learned.network import LearnedNetwork
from benchmarks.codecs.modulated.frames import SENTINEL
from benchmarks.quality.figures import mean_over_places
from benchmarks.reproduce.segmentation.joint import (
    APART,
    IN_TURN,
    LAYOUT,
    Pair,
    means_of,
    passed,
    ways,
)
from benchmarks.reproduce.segmentation.scores import Counts, figures
from benchmarks.reproduce.segmentation.study import Effort, folds
from benchmarks.reproduce.segmentation.tasks import Sample
from benchmarks.reproduce.segmentation.unet import UNet, predict
from benchmarks.reproduce.segmentation.ways import ORIGINAL, Image
from ground.metrics import PEAK_16_BIT, psnr

_KEPT = ("accuracy", "iou", "iou_lost", "iou_lost_low", "iou_lost_high")


@torch.no_grad()
def decode(codec: LearnedNetwork, image: Image) -> tuple[Image, float]:
    """Return what a codec leaves of an image, latents rounded, and bits by its likelihoods.

    These are of latents with noise, as in training, and of the image filled to whole places.
    """
    torch.manual_seed(0)
    rows, cols = image.shape[1:]
    fill = [(0, 0), *((0, -side % LAYOUT.multiple) for side in (rows, cols))]
    means = means_of(image)
    filled = (np.pad(image, fill, "symmetric") - means) / np.float32(SENTINEL.scale)
    found = passed(codec, torch.from_numpy(filled)[None])
    decoded = found.decoded[0, :, :rows, :cols].numpy() * SENTINEL.scale + means
    return np.rint(decoded).clip(0, 65_535).astype(np.uint16), float(found.bits)


def study(
    samples: Sequence[Sample], effort: Effort, report: Callable[[str], None]
) -> dict[str, dict[str, float | None]]:
    """Return the figures of each way and of originals, scored on places not trained on.

    Raises:
        UsageError: samples of one place.
    """
    chosen = effort.chosen(samples)
    parts = folds([sample.place for sample in chosen])
    scored = _Scored()
    for number, part in enumerate(parts):
        training = [sample for sample in chosen if sample.place not in part]
        for seed in range(effort.seeds):
            report(f"fold {number + 1} of {len(parts)}, seed {seed}")
            pairs = ways(training, effort.steps, seed)
            for sample in chosen:
                if sample.place in part:
                    scored.add(sample, pairs)
    return scored.figures()


class _Scored:
    """What is known of ways so far."""

    def __init__(self) -> None:
        self.places: list[str] = []
        self.counts: dict[str, list[Counts]] = {}
        self.bits: dict[str, list[float]] = {}
        self.psnr: dict[str, list[float | None]] = {}

    def add(self, sample: Sample, pairs: dict[str, Pair]) -> None:
        """Score a sample."""
        self.places.append(sample.place)
        self._count(ORIGINAL, sample, pairs[APART].network, sample.image)
        for name, pair in pairs.items():
            decoded, bits = decode(pair.codec, sample.image)
            self._count(name, sample, pair.network, decoded)
            self.bits.setdefault(name, []).append(bits / sample.image.size)
            self.psnr.setdefault(name, []).append(psnr(sample.image, decoded, PEAK_16_BIT))

    def _count(self, name: str, sample: Sample, network: UNet, image: Image) -> None:
        self.counts.setdefault(name, []).append(Counts.of(sample.mask, predict(network, image)))

    def figures(self) -> dict[str, dict[str, float | None]]:
        """Return the figures by way."""
        lost = figures(self.counts, self.places, ORIGINAL)
        against = figures(self.counts, self.places, IN_TURN)
        found: dict[str, dict[str, float | None]] = {}
        for name in self.counts:
            gain = against[name]
            found[name] = {
                **{key: lost[name][key] for key in _KEPT},
                "gain": -gain["iou_lost"],
                "gain_low": -gain["iou_lost_high"],
                "gain_high": -gain["iou_lost_low"],
            }
            if name in self.bits:
                for key, values in (("bpppb", self.bits[name]), ("psnr", self.psnr[name])):
                    found[name][key] = mean_over_places(zip(self.places, values, strict=True))
        return found
