"""Exact: samples of bounded tiles in a scene that has others, too."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ground.decode.mask import Mask
from ground.decode.rebuilder import Product


class Exact(NamedTuple):
    """What arrived of a bounded tile.

    Attributes:
        samples: int64 (bands, rows, cols), DN.
        known: bool (rows, cols), pixels of which all bands arrived, or that are nodata.
    """

    samples: NDArray[np.int64]
    known: NDArray[np.bool_]


def put_exact(product: Product, index: int, found: Mapping[int, Exact]) -> None:
    """Put the samples of a tile within a bound that arrived into a product: they are final."""
    here, grid, exact = product.area(index), product.grid, found[index]
    own = product.image[grid.bands(index, len(product.image)), *here]
    samples = np.clip(exact.samples, *product.header.sample_range)[: len(own)]
    own[:] = np.where(exact.known, samples, own)
    groups = range(grid.first(index), grid.first(index) + grid.columns, grid.across)
    known = [found[number].known for number in groups if number in found]
    whole = np.logical_and.reduce(known) & (len(known) == grid.groups)
    product.mask[here] = np.where(whole, Mask.COMPLETE, product.mask[here])
