"""Recipe of the bounded codec."""

from collections.abc import Mapping
from dataclasses import dataclass

from ground.train.recipe import TomlRecipe


@dataclass(frozen=True)
class BoundedRecipe(TomlRecipe):
    """All that decides a fit, as a TOML file holds it (recipes/skybook-bounded.toml)."""

    kind: str
    name: str
    tile: int
    tiles_per_scene: int
    seed: int

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and most of entries."""
        return {"tile": (16, 128), "tiles_per_scene": (1, 1000), "seed": (0, 2**32 - 1)}
