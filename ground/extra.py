"""Extras: libraries that not every ground station needs, loaded where they are used."""

from importlib import import_module
from typing import Any

from onboard.errors import EngineError


def load(extra: str, name: str) -> Any:
    """Return a library of an extra of skybook.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise EngineError(
            f"{name}: expected it to be installed: pip install 'skybook[{extra}]' ({error})"
        ) from error
