"""Mask: what a pixel of a product is worth, and what stands in for what was lost."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


class Mask(IntEnum):
    """What a pixel of the mask band says."""

    COMPLETE = 0
    INFLUENCED = 1
    FINE_MISSING = 2
    CONCEALED = 3
    NODATA = 4


def influenced(mask: NDArray[np.uint8], ring: int) -> NDArray[np.uint8]:
    """Mark the pixels within `ring` of any that the mask marks."""
    if not mask.any():
        return mask
    near = ndimage.maximum_filter(mask > 0, size=2 * ring + 1, mode="constant", cval=0)
    ring_mask = near.astype(np.uint8) * np.uint8(Mask.INFLUENCED)
    return np.asarray(np.maximum(mask, ring_mask), np.uint8)
