"""Networks of the study: how they are shaped and trained."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.reproduce.patches import Patches
from benchmarks.reproduce.vq.setting import SEED, Effort
from ground.train.corsa.model import VqvaeFpn
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import TileSet
from ground.train.corsa.train import fit
from ground.train.recipe import find_recipe


def recipe(effort: Effort, kind: str, codewords: int, dims: int) -> Recipe:
    """Return the recipe of a network: that of CORSA, but smaller; all of it learns at once."""
    base = Recipe.read(find_recipe("corsa-2level"))
    return replace(
        base,
        name=f"{kind}-{codewords}-{dims}",
        tile=effort.side,
        quantizer=kind,
        codewords=(codewords,) * len(effort.depths),
        dims=(dims,) * len(effort.depths),
        depths=effort.depths,
        decoder_depth=effort.depths[0],
        residual_blocks=1,
        residual_depth=effort.depths[0] // 2,
        decoder_blocks=1,
        steps=effort.steps,
        batch=effort.batch,
        decoder_steps=0,
        decoder_rate=1e-3,
        encoder_rate=3e-4,
        validate_every=effort.steps,
        seed=SEED,
    )


def trained(
    settings: Recipe, patches: Patches, start: int, report: Callable[[str], None]
) -> VqvaeFpn:
    """Return a network of a recipe, trained from the block transform, `start` patches for books."""
    tiles = TileSet.of(np.stack(patches.training), settings)
    some = TileSet(tiles.samples[:8], tiles.targets[:8], tiles.steps[:8])

    def tell(step: int, _line: object) -> None:
        if step % 10 == 0:
            report(f"{settings.name}: step {step} of {settings.steps}")

    with tempfile.TemporaryDirectory() as folder:
        return fit(settings, tiles, some, Path(folder), tell, start)
