"""Recipe of a decoder network that is trained on streams of its bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ground.decode.lapped.synthesis import CELL
from ground.train.recipe import MOST_STEPS, TomlRecipe
from onboard.errors import UsageError

_MOST_RATIO = 1_000.0


@dataclass(frozen=True)
class RefinementRecipe(TomlRecipe):
    """All that decides a training, as a TOML file holds it (recipes/skybook-refinement.toml)."""

    kind: str
    name: str
    bundle: str
    steps: int
    rate: float
    half: bool
    batch: int
    crop: int
    pool: int
    least_ratio: float
    most_ratio: float
    trellis_share: float
    coarser_share: float
    other_bands_share: float
    loss_share: float
    border_weight: float
    validate_every: int
    seed: int

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a recipe; `changes` replace single entries.

        Raises:
            UsageError: as of every recipe; a crop that is not whole cells; ratios in wrong order.
        """
        recipe = super().read(path, **changes)
        if recipe.crop % CELL:
            raise UsageError(
                f"recipe {path}: crop: expected a multiple of {CELL}, found {recipe.crop}"
            )
        if recipe.least_ratio > recipe.most_ratio:
            raise UsageError(
                f"recipe {path}: least_ratio: expected at most most_ratio, {recipe.most_ratio}, "
                f"found {recipe.least_ratio}"
            )
        return recipe

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and most of entries."""
        return {
            "steps": (0, MOST_STEPS),
            "rate": (1e-9, 1e9),
            "batch": (1, 1 << 20),
            "crop": (64, 512),
            "pool": (1, 1 << 16),
            "least_ratio": (1, _MOST_RATIO),
            "most_ratio": (1, _MOST_RATIO),
            "trellis_share": (0, 1),
            "coarser_share": (0, 1),
            "other_bands_share": (0, 1),
            "loss_share": (0, 1),
            "border_weight": (1e-9, 1e9),
            "validate_every": (1, MOST_STEPS),
            "seed": (0, 1 << 32),
        }
