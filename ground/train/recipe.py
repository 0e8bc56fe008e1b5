"""Recipes: TOML files that say how a model is trained; what all kinds share."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from onboard.errors import UsageError

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class TomlRecipe:
    """What a TOML file says, entry by entry; a kind of recipe adds its entries as fields."""

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a recipe; `changes` replace single entries.

        Raises:
            UsageError: no such file, not TOML, an unknown or a missing key.
        """
        entries = _entries(path, [f.name for f in fields(cls)], changes)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()})


def find_recipe(name: str) -> Path:
    """Return the path of a recipe: a path as it is, else a name from `ground/recipes`."""
    return Path(name) if "/" in name or name.endswith(".toml") else RECIPES / f"{name}.toml"


def kind_of(path: Path) -> str:
    """Return the kind of codec that a recipe trains: 'pyramid' unless it says otherwise.

    Raises:
        UsageError: no such file, or not TOML.
    """
    return str(_document(path).get("kind", "pyramid"))


def _entries(path: Path, known: Sequence[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a recipe, `changes` in place of single ones."""
    entries = {**_document(path), **changes}
    for key in entries:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0)[0]
            raise UsageError(f"recipe {path}: unknown key {key!r}; the nearest is {near!r}")
    if missing := [key for key in known if key not in entries]:
        raise UsageError(f"recipe {path}: missing {', '.join(missing)}")
    return entries


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"recipe {path}: {error}") from error
