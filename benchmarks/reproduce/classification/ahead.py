"""How much more features of streams tell than a random encoder does of decoded tiles."""

from dataclasses import dataclass

import numpy as np

from benchmarks.reproduce.classification import backbone
from benchmarks.reproduce.classification.head import rightly
from benchmarks.reproduce.classification.samples import Tiles
from benchmarks.reproduce.classification.streams import Streamed
from benchmarks.reproduce.segmentation.scores import DRAWS, INTERVAL
from ground.train.corsa.model import Architecture

SEEDS = (1, 2, 3)
"""Of heads, and of encoders before them."""


@dataclass(frozen=True)
class Ahead:
    """Accuracies of a task, means over `SEEDS`.

    Attributes:
        ours: from features of streams.
        theirs: from what random encoders make of decoded tiles.
        low: by how much ours is ahead at least, in 95 of 100 draws of as many sites as there are.
        high: likewise at most.
    """

    ours: float
    theirs: float
    low: float
    high: float


def ahead(tiles: Tiles, stream: Streamed, shape: Architecture, steps: int) -> Ahead:
    """Compare both by heads of so many steps, which never saw the places that they are told of."""
    came = backbone.standardised(stream.pixels, tiles.cut(tiles.scenes))
    told = tiles.labels, tiles.places, steps
    ours, theirs = np.zeros((2, len(tiles.labels)))
    for seed in SEEDS:
        ours += rightly(stream.features, *told, seed) / len(SEEDS)
        latents = backbone.pooled_features(backbone.random_model(shape, seed), came)["latents"]
        theirs += rightly(latents, *told, seed) / len(SEEDS)
    names, site = np.unique(tiles.sites, return_inverse=True)
    drawn = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    gain, count = np.bincount(site, ours - theirs), np.bincount(site)
    low, high = np.percentile(gain[drawn].sum(axis=1) / count[drawn].sum(axis=1), INTERVAL)
    return Ahead(float(ours.mean()), float(theirs.mean()), float(low), float(high))
