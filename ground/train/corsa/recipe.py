"""Recipe of CORSA: all that decides a training run."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from ground.train.corsa.model import Architecture
from ground.train.corsa.quantizers.kinds import COMPOSED, FREE, KINDS
from ground.train.recipe import MOST_STEPS, TomlRecipe
from onboard.codec.corsa.codebook import MAX_DIMS
from onboard.codec.corsa.frontend import AffineFrontEnd
from onboard.errors import UsageError

MOST_LEVELS = 3
"""Levels of the network's pyramid."""


@dataclass(frozen=True)
class Recipe(TomlRecipe, Architecture):
    """All that decides a training run, as a TOML file holds it (recipes/corsa-*.toml)."""

    name: str
    coarse_bands: int
    target_rms: int
    stride: int
    steps: int
    batch: int
    decoder_steps: int
    decoder_rate: float
    encoder_rate: float
    linear_rate: float
    commitment: float
    structure: float
    validate_every: int
    seed: int
    start_from: str

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a recipe; `changes` replace single entries.

        One number of codewords is that of every level.

        Raises:
            UsageError: as of every recipe; levels that no bundle can have.
        """
        recipe = super().read(path, **changes)
        levels = len(recipe.depths)
        if len(recipe.codewords) == 1:
            recipe = replace(recipe, codewords=recipe.codewords * levels)
        found = levels, len(recipe.dims), len(recipe.codewords)
        if not 1 <= levels <= MOST_LEVELS or set(found) != {levels}:
            raise UsageError(
                f"recipe {path}: depths, dims, codewords: expected 1 to {MOST_LEVELS} of each, as "
                f"many of the one as of the others, found {found}"
            )
        if recipe.coarse_bands >= recipe.bands:
            raise UsageError(
                f"recipe {path}: coarse_bands: expected less than the {recipe.bands} bands, found "
                f"{recipe.coarse_bands}"
            )
        recipe._check_quantizer(path)
        if recipe.tile % 2**levels:
            raise UsageError(
                f"recipe {path}: tile: expected a multiple of {2**levels} for {levels} levels, "
                f"found {recipe.tile}"
            )
        return recipe

    def _check_quantizer(self, path: Path) -> None:
        if self.quantizer not in KINDS:
            kinds = ", ".join(KINDS)
            raise UsageError(
                f"recipe {path}: quantizer: expected one of {kinds}, found {self.quantizer!r:.40}"
            )
        for size, dims in zip(self.codewords, self.dims, strict=True):
            if self.quantizer != FREE and size & (size - 1):
                raise UsageError(
                    f"recipe {path}: codewords: expected a power of two for quantizer "
                    f"{self.quantizer}, found {size}"
                )
            if self.quantizer in COMPOSED and self.books > min(dims, size.bit_length() - 1):
                raise UsageError(
                    f"recipe {path}: books: expected one for each dimension and bit at most, found "
                    f"{self.books} for {dims} dims and {size} codewords"
                )

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and most of entries."""
        some = ("depths", "stride", "batch", "validate_every", "decoder_depth")
        rates = ("decoder_rate", "encoder_rate", "linear_rate", "commitment", "structure")
        return {
            "bands": (1, 65_535),
            "coarse_bands": (0, 65_534),
            "tile": (8, 256),
            "target_rms": (1, 127),
            "dims": (1, MAX_DIMS),
            "codewords": (1, 65_536),
            "books": (1, 16),
            "steps": (1, MOST_STEPS),
            "decoder_steps": (0, MOST_STEPS),
            "seed": (0, 1 << 32),
            **dict.fromkeys(some, (1, 1 << 20)),
            **dict.fromkeys(rates, (0, 1e9)),
        }

    @property
    def architecture(self) -> Architecture:
        """The part of the recipe that shapes the network."""
        return Architecture(**{f.name: getattr(self, f.name) for f in fields(Architecture)})

    @property
    def front_end(self) -> AffineFrontEnd:
        """The front end, the very code that flies."""
        return AffineFrontEnd(self.bands, self.target_rms)
