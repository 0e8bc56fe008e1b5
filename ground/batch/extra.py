"""Extra: libraries that only a cluster needs, loaded where they are used."""

from importlib import import_module
from typing import Any

from onboard.errors import EngineError


def library(name: str) -> Any:
    """Return a library of the extra `cluster`.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise EngineError(
            f"{name}: expected it to be installed: pip install 'skybook[cluster]' ({error})"
        ) from error
