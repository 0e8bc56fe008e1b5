"""The real Sentinel-2 scene of the `spyndex` package."""

import importlib.util
import json
from pathlib import Path

import numpy as np

from ground.scene import Scene
from ground.scenes.procedural import BAND_IDS
from onboard.errors import InputError, UsageError


def spyndex_scene() -> Scene:
    """Return the real Sentinel-2 scene of the `spyndex` wheel: B02 B03 B04 B08, 300x300, uint16.

    The file is read from the installed package without importing that, as its import needs more.

    Raises:
        UsageError: spyndex is not installed.
        InputError: its file is missing, damaged or of another shape.
    """
    spec = importlib.util.find_spec("spyndex")
    if spec is None or not spec.submodule_search_locations:
        hint = "pip install --no-deps spyndex"
        raise UsageError(f"spyndex scene: expected the package spyndex, found none; {hint}")
    path = Path(spec.submodule_search_locations[0]) / "data" / "S2_10m.json"
    try:
        image = np.array(json.loads(path.read_text()), np.uint16)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: expected digital numbers: {error}") from error
    if image.shape != (4, 300, 300):
        raise InputError(f"{path}: expected (4, 300, 300), found {image.shape}")
    return Scene(image, band_ids=BAND_IDS[:4])
