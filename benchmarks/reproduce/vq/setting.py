"""Setting: what is trained on, what is measured on, and how long."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.patches import Patch, Patches, read_patches
from ground.scenes.spyndex import spyndex_scene

SEED = 1
BANDS = ("B02", "B03", "B04", "B08")
WHERE = "spyndex"


@dataclass(frozen=True)
class Effort:
    """How much is trained and measured.

    Attributes:
        side: rows and columns of a patch.
        training: most patches to train on.
        test: most patches to measure on.
        start: most patches that codebooks start from.
        steps: of each network.
        batch: patches a step.
        depths: feature maps of each level, finest first; as many go through the decoder as through
            the finest.
        sizes: codewords of each level that are tried, with `dims` dimensions.
        wide: dimensions that are tried, with `codewords` codewords.
        adversary: steps that follow with and without a discriminator.
        weights: of the discriminator that are tried.
        critic: steps of the network that tells what was decoded from originals.
    """

    side: int = 64
    training: int = 2_000
    test: int = 100
    start: int = 300
    steps: int = 1_500
    batch: int = 8
    depths: tuple[int, ...] = (64, 128)
    sizes: tuple[int, ...] = (256, 1024, 4096, 16_384)
    wide: tuple[int, ...] = (4, 16, 64, 256)
    dims: int = 16
    codewords: int = 1024
    adversary: int = 1_000
    weights: tuple[float, ...] = (0.0, 0.1, 0.8)
    critic: int = 500


FULL = Effort()
QUICK = replace(
    FULL,
    training=400,
    test=32,
    start=96,
    steps=150,
    depths=(32, 64),
    sizes=(256, 1024, 16_384),
    wide=(4, 16, 64),
    adversary=400,
    critic=300,
)


def patches(folder: Path | None, effort: Effort) -> Patches:
    """Return patches to train and to measure on, of places that never meet.

    Without a folder both are of the one scene of spyndex, its left and its right half.
    """
    if folder is not None:
        return read_patches(folder, effort.side, effort.training, effort.test)
    image = spyndex_scene().image.astype(np.uint16)
    half = image.shape[2] // 2
    training = _cut(image[:, :, :half], effort.side, effort.side // 4)
    test = [(WHERE, patch) for patch in _cut(image[:, :, half:], effort.side, effort.side)]
    words = f"{len(test)} patches of the right half of the spyndex scene, trained on the left one"
    return Patches(training[: effort.training], test[: effort.test], words)


def _cut(image: NDArray[np.uint16], side: int, stride: int) -> Sequence[Patch]:
    return [
        np.ascontiguousarray(image[:, row : row + side, col : col + side])
        for row in range(0, image.shape[1] - side + 1, stride)
        for col in range(0, image.shape[2] - side + 1, stride)
    ]
