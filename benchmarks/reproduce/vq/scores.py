"""Scores: what a network makes of patches, and how it uses its codewords."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.quality.figures import mean_over_places
from benchmarks.reproduce.patches import Patch
from benchmarks.reproduce.vq.setting import BANDS
from ground import metrics
from ground.train.corsa.model import VqvaeFpn
from ground.train.corsa.quantizers.quantizer import perplexity
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import TileSet
from onboard.codec.bitpack import packed_bytes

LEVELS = ("fine", "coarse")
_BATCH = 16


@torch.no_grad()
def decoded(
    model: VqvaeFpn, recipe: Recipe, originals: NDArray[np.uint16]
) -> tuple[NDArray[np.uint16], list[Tensor]]:
    """Return what a network makes of patches (n, bands, side, side), and its indices by level."""
    model.eval()
    tiles = TileSet.of(originals, recipe)
    images, indices = [], []
    for batch in np.array_split(np.arange(len(originals)), -(-len(originals) // _BATCH)):
        samples, targets, steps = tiles.batch(batch)
        made, quantised = model(samples)
        images.append(originals[batch] + ((made - targets) * steps[:, None, None, None]).numpy())
        indices.append([level.indices.flatten() for level in quantised])
    whole = np.rint(np.concatenate(images)).clip(0, 65_535).astype(np.uint16)
    return whole, [torch.cat(level) for level in zip(*indices, strict=True)]


def quality(test: Sequence[tuple[str, Patch]], images: Sequence[Patch]) -> dict[str, float | None]:
    """Return the figures of decoded patches, means over places.

    `detail` is the energy of differences between neighbours, over that of the original: below 1
    what was decoded is smoother, above it has detail that was not there.
    """
    rows = [dict(_of_patch(patch, image)) for (_, patch), image in zip(test, images, strict=True)]
    places = [place for place, _ in test]
    return {
        name: mean_over_places(zip(places, (row[name] for row in rows), strict=True))
        for name in rows[0]
    }


def _of_patch(original: Patch, image: Patch) -> Iterator[tuple[str, float | None]]:
    yield "psnr", metrics.psnr(original, image, metrics.PEAK_16_BIT)
    yield "ssim", metrics.ssim(original, image)
    yield "angle", metrics.spectral_angle(original, image)
    for band, distance in zip(BANDS, metrics.histogram_distance(original, image), strict=True):
        yield f"histogram.{band}", distance
    yield "ndvi", metrics.ndvi_error(original, image)
    yield "detail", _energy(image) / max(_energy(original), 1e-9)


def _energy(image: Patch) -> float:
    real = image.astype(np.float64)
    return float(sum(np.square(np.diff(real, axis=axis)).mean() for axis in (1, 2)))


def usage(model: VqvaeFpn, indices: Sequence[Tensor]) -> dict[str, float]:
    """Return the share of codewords that test patches chose, and how many they are worth."""
    found = {}
    for level, name in enumerate(LEVELS[: len(indices)]):
        counts = torch.bincount(indices[level], minlength=model.shape.codewords[level]).float()
        possible = min(len(counts), int(counts.sum()))
        found[f"used.{name}"] = float((counts > 0).sum()) / possible
        found[f"perplexity.{name}"] = perplexity(counts)
    return found


def patch_bytes(recipe: Recipe) -> int:
    """Return the bytes of the packed indices of a patch (CORSA paper, equation 1)."""
    return sum(
        packed_bytes((recipe.tile >> level + 1) ** 2, (codewords - 1).bit_length())
        for level, codewords in enumerate(recipe.codewords)
    )


def scores(
    model: VqvaeFpn, recipe: Recipe, test: Sequence[tuple[str, Patch]]
) -> Mapping[str, float | None]:
    """Return all figures of a network."""
    images, indices = decoded(model, recipe, np.stack([patch for _, patch in test]))
    size = {"bytes": float(patch_bytes(recipe))}
    return {**size, **quality(test, list(images)), **usage(model, indices)}
