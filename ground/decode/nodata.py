"""Nodata: what a segment of kind 2 says, put back into decoded samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.mask import Mask
from ground.decode.rebuilder import Product
from ground.decode.tile import TileReception
from onboard.codec.tile import ALL_NODATA, SOME_NODATA
from onboard.link.header import SceneHeader


def restore_nodata(
    pixels: NDArray[Any],
    mask: NDArray[np.uint8],
    tile: TileReception[Any],
    header: SceneHeader,
    highest: int,
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Put nodata back, keep valid samples off that value, mark what cannot be known.

    The value is 0 where no scene header told it.
    """
    pixels = keep_off_nodata(pixels, header, highest)
    if tile.state == SOME_NODATA:
        mask = np.where(tile.mask_known, mask, np.maximum(mask, Mask.CONCEALED)).astype(np.uint8)
    pixels = np.where(tile.nodata, header.nodata or 0, pixels)
    return pixels, np.where(tile.nodata, Mask.NODATA, mask).astype(np.uint8)


def restore_tile(tile: TileReception[Any], product: Product, index: int) -> None:
    """Put nodata back into a tile of a product, in place; see `restore_nodata`.

    Args:
        tile: what arrived of it.
        product: image and mask, the tile's part filled.
        index: number of the tile.
    """
    here, header = product.area(index), product.header
    image, mask = product.image, product.mask
    if tile.state == ALL_NODATA:
        image[:, *here], mask[here] = header.nodata or 0, Mask.NODATA
    elif tile.state == SOME_NODATA or tile.nodata.any():
        image[:, *here], mask[here] = restore_nodata(
            image[:, *here], mask[here], tile, header, header.sample_range[1]
        )


def keep_off_nodata(pixels: NDArray[Any], header: SceneHeader, highest: int) -> NDArray[Any]:
    """Return samples of which none has the value of nodata."""
    if header.nodata is None:
        return pixels
    taken = pixels == header.nodata
    if not taken.any():
        return pixels
    step = -1 if header.nodata == highest else 1
    return np.where(taken, header.nodata + step, pixels)
