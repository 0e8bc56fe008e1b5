"""Recipe of the lapped codec: all that decides a training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ground.train.recipe import TomlRecipe
from onboard.errors import UsageError

WINDOW = 128
"""Rows and columns that are trained on together."""


@dataclass(frozen=True)
class LappedRecipe(TomlRecipe):
    """All that decides a training run, as a TOML file holds it (recipes/skybook-s2.toml)."""

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
    draws: int
    loss_share: float
    border_weight: float
    batch: int
    seed: int

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a recipe; `changes` replace single entries.

        Raises:
            UsageError: no such file, not TOML, an unknown or a missing key, a tile that does not
                divide what is trained on together.
        """
        recipe = super().read(path, **changes)
        if WINDOW % recipe.tile:
            raise UsageError(f"recipe {path}: tile: expected a divisor of {WINDOW}")
        return recipe
