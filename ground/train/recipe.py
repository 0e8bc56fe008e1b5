"""Recipes: TOML files that say how a model is trained; what all kinds share."""

import difflib
import math
import tomllib
from collections.abc import Container, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Self

from onboard.errors import UsageError

RECIPES = Path(__file__).parents[1] / "recipes"
MOST_STEPS = 10**9
_TYPES: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
}


@dataclass(frozen=True)
class TomlRecipe:
    """What a TOML file says, entry by entry; a kind of recipe adds its entries as fields.

    An entry may lack where its field has a default.
    """

    @classmethod
    def read(cls, path: Path, **changes: Any) -> Self:
        """Read a recipe; `changes` replace single entries.

        Raises:
            UsageError: no such file, not TOML, an unknown or a missing key, or a value of another
                type or out of its range.
        """
        defaults = {f.name: f.default for f in fields(cls) if f.default is not MISSING}
        entries = defaults | _entries(path, [f.name for f in fields(cls)], changes, defaults)
        found = {k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()}
        for field in fields(cls):
            value = found[field.name]
            if field.type is float and type(value) is int:
                found[field.name] = value = float(value)
            if not _is_of(value, field.type):
                kind = _TYPES[field.type]
                raise UsageError(
                    f"recipe {path}: {field.name}: expected {kind}, found {value!r:.60}"
                )
        recipe = cls(**found)
        for key, (least, most) in recipe.limits.items():
            values = found[key] if isinstance(found[key], tuple) else (found[key],)
            for value in values:
                if not least <= value <= most:
                    raise UsageError(
                        f"recipe {path}: {key}: expected {least}..{most}, found {value}"
                    )
        return recipe

    @property
    def limits(self) -> Mapping[str, tuple[float, float]]:
        """Least and most of entries: what a bundle may have, and what training can do."""
        return {}


def _is_of(value: object, kind: object) -> bool:
    if kind == tuple[int, ...]:
        return isinstance(value, tuple) and all(type(entry) is int for entry in value)
    return type(value) is kind and (kind is not float or math.isfinite(value))  # type: ignore[arg-type]


def find_recipe(name: str) -> Path:
    """Return the path of a recipe: a path as it is, else a name from `ground/recipes`."""
    return Path(name) if "/" in name or name.endswith(".toml") else RECIPES / f"{name}.toml"


def kind_of(path: Path) -> str:
    """Return the kind of codec that a recipe trains: 'pyramid' unless it says otherwise.

    Raises:
        UsageError: no such file, or not TOML.
    """
    return str(_document(path).get("kind", "pyramid"))


def _entries(
    path: Path, known: Sequence[str], changes: Mapping[str, Any], optional: Container[str]
) -> dict[str, Any]:
    """Return the entries of a recipe, `changes` in place of single ones."""
    entries = {**_document(path), **changes}
    for key in entries:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0)[0]
            raise UsageError(f"recipe {path}: unknown key {key!r}; the nearest is {near!r}")
    if missing := [key for key in known if key not in entries and key not in optional]:
        raise UsageError(f"recipe {path}: missing {', '.join(missing)}")
    return entries


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"recipe {path}: {error}") from error
