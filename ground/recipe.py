"""Recipe: all that decides a training run, as a TOML file holds it (recipes/*.toml)."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ground.model import Architecture
from onboard.codec.corsa.frontend import AffineFrontEnd
from onboard.errors import UsageError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run, as a TOML file holds it (recipes/*.toml)."""

    name: str
    bands: int
    tile: int
    target_rms: int
    depths: tuple[int, ...]
    dims: tuple[int, ...]
    codewords: int
    residual_blocks: int
    residual_depth: int
    decoder_depth: int
    decoder_blocks: int
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
    def read(cls, path: Path, **changes: Any) -> "Recipe":
        """Read a recipe; `changes` replace single entries.

        Raises:
            UsageError: no such file, not TOML, an unknown or a missing key.
        """
        entries = recipe_entries(path, [f.name for f in fields(cls)], changes)
        entries |= {key: tuple(entries[key]) for key in ("depths", "dims")}
        return cls(**entries)

    @property
    def architecture(self) -> Architecture:
        """The part of the recipe that shapes the network."""
        return Architecture(**{f.name: getattr(self, f.name) for f in fields(Architecture)})

    @property
    def front_end(self) -> AffineFrontEnd:
        """The front end, the very code that flies."""
        return AffineFrontEnd(self.bands, self.target_rms)


def find_recipe(name: str) -> Path:
    """Return the path of a recipe: a path as it is, else a name from `ground/recipes`."""
    return Path(name) if "/" in name or name.endswith(".toml") else RECIPES / f"{name}.toml"


def recipe_entries(path: Path, known: Sequence[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a recipe, `changes` in place of single ones.

    Raises:
        UsageError: no such file, not TOML, an unknown or a missing key.
    """
    try:
        entries = {**tomllib.loads(path.read_text()), **changes}
    except (OSError, ValueError) as error:
        raise UsageError(f"recipe {path}: {error}") from error
    for key in entries:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0)[0]
            raise UsageError(f"recipe {path}: unknown key {key!r}; the nearest is {near!r}")
    if missing := [key for key in known if key not in entries]:
        raise UsageError(f"recipe {path}: missing {', '.join(missing)}")
    return entries


def kind_of(path: Path) -> str:
    """Return the kind of codec that a recipe trains: 'pyramid' unless it says otherwise.

    Raises:
        UsageError: no such file, or not TOML.
    """
    try:
        return str(tomllib.loads(path.read_text()).get("kind", "pyramid"))
    except (OSError, ValueError) as error:
        raise UsageError(f"recipe {path}: {error}") from error
