"""Recipe of the lapped codec: all that decides a training run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ground.train.recipe import MOST_STEPS, TomlRecipe
from onboard.codec.lapped.context import BLOCK, LEVELS
from onboard.codec.lapped.part import MAX_BANDS, MOST_CUTS
from onboard.errors import UsageError

WINDOW = 128
"""Rows and columns that are trained on together."""


@dataclass(frozen=True)
class LappedRecipe(TomlRecipe):
    """All that decides a training run, as a TOML file holds it (recipes/skybook.toml)."""

    kind: str
    name: str
    bands: int
    tile: int
    layers: int
    transform_steps: int
    transform_rate: float
    context_steps: int
    context_rate: float
    fit_tiles: int
    rate_weight: float
    skip: int
    depth: int
    blocks: int
    refinement_steps: int
    refinement_rate: float
    polish_steps: int
    polish_rate: float
    seam_steps: int
    seam_rate: float
    seam_weight: float
    draws: int
    loss_share: float
    border_weight: float
    batch: int
    seed: int

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a recipe; `changes` replace single entries.

        Raises:
            UsageError: as of every recipe; options of other recipes; a tile that does not divide
                what is trained on together.
        """
        if foreign := sorted({"steps", "codewords", "start_from"} & changes.keys()):
            options = ", ".join("--" + key.replace("_", "-") for key in foreign)
            raise UsageError(
                f"{options}: not of a lapped codec; its steps are transform_steps, context_steps, "
                f"refinement_steps, polish_steps and seam_steps of the recipe {path}"
            )
        recipe = super().read(path, **changes)
        if WINDOW % recipe.tile or recipe.tile % BLOCK:
            raise UsageError(
                f"recipe {path}: tile: expected a multiple of {BLOCK} that divides {WINDOW}, found "
                f"{recipe.tile}"
            )
        return recipe

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and most of entries."""
        some = dict.fromkeys(("fit_tiles", "depth", "blocks", "draws"), (1, 1 << 20))
        stages = ("transform", "context", "refinement", "polish", "seam")
        steps = tuple(f"{stage}_steps" for stage in stages)
        rates = (*(f"{stage}_rate" for stage in stages), "rate_weight")
        return {
            "bands": (2, MAX_BANDS),
            "layers": (1, MOST_CUTS - 1),
            "skip": (-1, LEVELS - 2),
            "batch": (3, 1 << 20),
            "loss_share": (0, 1),
            "border_weight": (1e-9, 1e9),
            "seam_weight": (1e-9, 1e9),
            "seed": (0, 1 << 32),
            **some,
            **dict.fromkeys(steps, (0, MOST_STEPS)),
            **dict.fromkeys(rates, (1e-9, 1e9)),
        }
