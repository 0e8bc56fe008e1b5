"""The table of products: what a decoded scene can be written as, by the suffix of its name."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ground.products import decoded, geozarr, netcdf
from ground.products.large import blockwise
from ground.products.origin import Origin
from ground.scene import Scene
from onboard.errors import UsageError

Write = Callable[[Path, Scene, NDArray[np.uint8], Origin | None], list[str]]
"""Writes a scene, its mask (rows, cols) of `Mask` and where it comes from.

Returns what was left out, and why.
"""


WriteBlocks = Callable[
    [Path, Scene, Iterable[blockwise.Block], Callable[[], Mapping[str, str]], int],
    tuple[dict[int, int], list[str]],
]


class Product(NamedTuple):
    """One kind of product.

    Attributes:
        write: writes it.
        files_of: files beside the one of its name, by what they are; its mask is `mask`.
        check_place: refuses (UsageError) a name at which something lies that is no product.
        write_blocks: writes it from blocks, see `ground.products.large.blockwise`; None where it
            needs all of it.
    """

    write: Write
    files_of: Callable[[Path], dict[str, Path]]
    check_place: Callable[[Path], None]
    write_blocks: WriteBlocks | None = None


def _nothing_beside(path: Path) -> dict[str, Path]:
    """Return no files: the mask is inside."""
    return {}


def _any_place(path: Path) -> None:
    """Refuse no name: a file is replaced."""


_GEOTIFF = Product(
    decoded.write_product, decoded.files_of, decoded.check_place, blockwise.write_blocks
)
PRODUCTS: dict[str, Product] = {
    ".tif": _GEOTIFF,
    ".tiff": _GEOTIFF,
    ".nc": Product(netcdf.write_product, _nothing_beside, _any_place),
    ".zarr": Product(geozarr.write_product, _nothing_beside, geozarr.check_place),
}


def product_of(path: Path) -> Product:
    """Return the kind of product of a path.

    Raises:
        UsageError: no product has the path's suffix.
    """
    found = PRODUCTS.get(path.suffix.lower())
    if found is None:
        *first, last = PRODUCTS
        known = f"{', '.join(first)} or {last}"
        raise UsageError(f"-o {path}: expected {known}, found {path.suffix or 'no suffix'}")
    return found
