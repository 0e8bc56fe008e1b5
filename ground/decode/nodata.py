"""Nodata: what a segment of kind 2 says, put back into decoded samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.mask import Mask, conceal_untold
from ground.decode.rebuilder import Product
from ground.decode.tile import TileReception
from onboard.codec.tile import ALL_NODATA, SOME_NODATA
from onboard.link.header import SceneHeader


def restore_nodata(tile: TileReception[Any], product: Product, index: int) -> None:
    """Put nodata back into a tile of a product, in place, and mark what cannot be known.

    The value is 0 where no scene header told it.

    Args:
        tile: what arrived of the tile.
        product: image and mask, the tile's area filled, its samples kept off nodata.
        index: number of the tile.
    """
    here, value = product.area(index), product.header.nodata or 0
    image, mask = product.image[:, *here], product.mask[here]
    if tile.state == ALL_NODATA:
        image[:], mask[:] = value, Mask.NODATA
        return
    if tile.state == SOME_NODATA:
        conceal_untold(mask, tile.mask_known)
    if tile.nodata.any():
        image[:, tile.nodata], mask[tile.nodata] = value, Mask.NODATA


def keep_off_nodata(samples: NDArray[Any], header: SceneHeader) -> NDArray[Any]:
    """Return samples of which none has the value of nodata."""
    if header.nodata is None:
        return samples
    taken = samples == header.nodata
    if not taken.any():
        return samples
    step = -1 if header.nodata == header.sample_range[1] else 1
    return np.where(taken, header.nodata + step, samples)
