"""The table of products: what a decoded scene can be written as, by the suffix of the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products import geotiff
from ground.scene import Scene
from onboard.errors import UsageError

Write = Callable[[Path, Scene, NDArray[np.uint8]], list[str]]
"""Writes a scene and its mask (rows, cols) of `Mask`; returns what was left out, and why."""

PRODUCTS: dict[str, Write] = {
    ".tif": geotiff.write_product,
    ".tiff": geotiff.write_product,
}


def product_of(path: Path) -> Write:
    """Return what writes a product of a path.

    Raises:
        UsageError: no product has the path's suffix.
    """
    write = PRODUCTS.get(path.suffix.lower())
    if write is None:
        known = " or ".join(PRODUCTS)
        raise UsageError(f"-o {path}: expected {known}, found {path.suffix or 'no suffix'}")
    return write
