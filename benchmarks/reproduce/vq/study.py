"""Study: a network for each kind of quantizer, size of codebook and number of dimensions."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.codecs.codec import round_trip
from benchmarks.codecs.skybook import BUNDLE, bundle_codecs
from benchmarks.reproduce.patches import Patches
from benchmarks.reproduce.table import Figures
from benchmarks.reproduce.vq.adversary import went_on
from benchmarks.reproduce.vq.critic import told_apart
from benchmarks.reproduce.vq.networks import recipe, trained
from benchmarks.reproduce.vq.scores import decoded, patch_bytes, quality, scores
from benchmarks.reproduce.vq.setting import Effort
from ground.scene import Scene
from ground.train.corsa.model import SAMPLE_SCALE, VqvaeFpn
from ground.train.corsa.quantizers.kinds import FREE, KINDS
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import TileSet
from onboard.errors import LimitError

Report = Callable[[str], None]
_WIDE = ("scalar",)
"""Kinds that use some axes of however many dimensions there are."""


def recipes(effort: Effort) -> Iterator[tuple[str, Recipe]]:
    """Yield the name in results and the recipe of each network: `KIND/CODEWORDS` of all sizes, then
    `KIND-dims/DIMENSIONS`.
    """
    for size in effort.sizes:
        for kind in KINDS:
            yield f"{kind}/{size}", recipe(effort, kind, size, effort.dims)
    for dims in effort.wide:
        for kind in KINDS:
            if kind not in _WIDE:
                yield f"{kind}-dims/{dims}", recipe(effort, kind, effort.codewords, dims)


def study(effort: Effort, patches: Patches, report: Report) -> dict[str, Figures]:
    """Return the figures of all networks, and of the flagship in as many bytes."""
    found: dict[Recipe, Figures] = {}
    named = dict(recipes(effort))
    for settings in named.values():
        if settings not in found:
            model = trained(settings, patches, effort.start, report)
            found[settings] = scores(model, settings, patches.test)
    figures = {name: found[settings] for name, settings in named.items()}
    for size in effort.sizes:
        report(f"{BUNDLE}: {size}")
        budget = patch_bytes(recipe(effort, FREE, size, effort.dims))
        if (of_flagship := _flagship(patches, budget)) is not None:
            figures[f"{BUNDLE}/{size}"] = of_flagship
    return figures


def _flagship(patches: Patches, budget: int) -> Figures | None:
    """Return the figures of the flagship in a budget, headers included; None if that is too few."""
    codec = bundle_codecs(BUNDLE)[0]
    try:
        images = [
            round_trip(codec, Scene(patch), budget)[1].astype(np.uint16)
            for _, patch in patches.test
        ]
    except LimitError:
        return None
    return {"bytes": float(budget), **quality(patches.test, images)}


def adversaries(effort: Effort, patches: Patches, report: Report) -> dict[str, Figures]:
    """Return the figures of one network, and of what it becomes with a discriminator or without."""
    settings = recipe(effort, FREE, effort.codewords, effort.dims)
    tiles = TileSet.of(np.stack(patches.training), settings)
    start = trained(settings, patches, effort.start, report)
    models = {"before": start}
    names = {weight: f"weight {weight:g}" if weight else "without" for weight in effort.weights}
    for weight in effort.weights:

        def tell(step: int, weight: float = weight) -> None:
            report(f"discriminator, weight {weight:g}: step {step} of {effort.adversary}")

        models[names[weight]] = went_on(start, settings, tiles, effort.adversary, weight, tell)
    found: dict[str, Figures] = {}
    for name, model in models.items():
        report(f"{name}: critic")
        figures = scores(model, settings, patches.test)
        pairs = [
            _as_seen(model, settings, np.stack(part))
            for part in (patches.training, [patch for _, patch in patches.test])
        ]
        found[name] = {**figures, "told": told_apart(pairs[0], pairs[1], effort.critic)}
    return found


def _as_seen(
    model: VqvaeFpn, settings: Recipe, originals: NDArray[np.uint16]
) -> tuple[Tensor, Tensor]:
    """Return originals and what they decode to, in whole DN, as a discriminator sees both."""
    images, _ = decoded(model, settings, originals)
    tiles = TileSet.of(originals, settings)
    error = images.astype(np.float32) - originals
    made = tiles.targets + error / tiles.steps[:, None, None, None]
    return torch.from_numpy(tiles.targets) * SAMPLE_SCALE, torch.from_numpy(made) * SAMPLE_SCALE
