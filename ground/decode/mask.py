"""Mask: every rule by which a pixel of a product gets its value.

Families of codecs hand facts to these functions; none decides on its own.

1. A pixel begins with what arrived of its tile. Layers come coarse to fine, and the first ones are
   the base, without which what stands there is carried in from around: CONCEALED. With the base
   alone it is FINE_MISSING, with all layers COMPLETE. (`LOST`, `of_tile`, `of_positions`.)
2. A tile known to be all nodata misses nothing, but the network sees what stands in for it, which
   depends on the tiles around: as long as one of those is lost, it counts as INFLUENCED.
   (`of_empty_tile`.)
3. Where the network sees a pixel that is not COMPLETE, a COMPLETE one becomes INFLUENCED: that is
   the halo around each loss (`with_halo`), also around rows that may be lost below a scene whose
   height nobody told (`open_below`).
4. Where it is not known whether there are data, a pixel is CONCEALED (`conceal_untold`); where it
   is known that there are none, it is NODATA, whatever else was lost (`restore_nodata` of
   `ground.decode.nodata`).
5. A tile of which anything comes of a damaged segment is SALVAGED wherever something stands in it
   that is not carried in from around (`salvaged`). Nothing salvaged tells of nodata.
6. Where no scene header came, and tiles of several sizes agree with what did, nothing is COMPLETE
   or NODATA (`unplaced`).

So a pixel of COMPLETE is that of a stream without loss, and one of NODATA has no data.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import scipy
from numpy.typing import NDArray


class Mask(IntEnum):
    """What a pixel of the mask band says."""

    COMPLETE = 0
    INFLUENCED = 1
    FINE_MISSING = 2
    CONCEALED = 3
    NODATA = 4
    SALVAGED = 5


_BEST_FIRST = (
    Mask.COMPLETE,
    Mask.INFLUENCED,
    Mask.FINE_MISSING,
    Mask.SALVAGED,
    Mask.CONCEALED,
    Mask.NODATA,
)
_RANKS = np.argsort(_BEST_FIRST).astype(np.uint8)
LOST = Mask.CONCEALED
"""Value of a tile whose side information is lost, whatever else arrived of it."""


def of_tile(whole: int, layers: int, base: int) -> Mask:
    """Return the value of a tile, all of whose pixels need the same layers.

    Args:
        whole: layers that arrived, from the first on; layer 0, the side information, left aside.
        layers: layers there are.
        base: layers without which nothing can be rebuilt.
    """
    if whole < base:
        return Mask.CONCEALED
    return Mask.COMPLETE if whole == layers else Mask.FINE_MISSING


def of_positions(lost: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Return the mask of a tile whose layers may have arrived in part.

    Args:
        lost: (rows, cols) of each layer, coarse to fine: pixels that it is lost for. The first
            layer is the base.
    """
    mask = np.zeros(lost[0].shape, np.uint8)
    for fine in lost[1:]:
        mask[fine] = Mask.FINE_MISSING
    mask[lost[0]] = Mask.CONCEALED
    return mask


def worse(mask: NDArray[np.uint8], other: NDArray[np.uint8] | Mask) -> NDArray[np.uint8]:
    """Return of each pixel the worse of two values."""
    return np.where(_RANKS[other] > _RANKS[mask], other, mask).astype(np.uint8)


def salvaged(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mask of a tile of which anything comes of a damaged segment."""
    return worse(mask, Mask.SALVAGED)


def of_empty_tile(certain: bool) -> Mask:
    """Return the value of a tile that is all nodata, as the network sees it.

    Args:
        certain: whether what stands in for it is the same as in a stream without loss.
    """
    return Mask.COMPLETE if certain else Mask.INFLUENCED


def with_halo(mask: NDArray[np.uint8], halo: int) -> NDArray[np.uint8]:
    """Mark the pixels within `halo` of any that the mask marks."""
    if not mask.any():
        return mask
    near = scipy.ndimage.maximum_filter(mask > 0, size=2 * halo + 1, mode="constant", cval=0)
    around = near.astype(np.uint8) * np.uint8(Mask.INFLUENCED)
    return worse(mask, around)


def open_below(mask: NDArray[np.uint8], halo: int) -> None:
    """Mark, in place, the lower rows that what may be lost below them reaches."""
    below = mask[max(len(mask) - halo, 0) :]
    below[below == Mask.COMPLETE] = Mask.INFLUENCED


def unplaced(mask: NDArray[np.uint8]) -> None:
    """Mark, in place, a scene whose tiles may stand elsewhere: nobody told how large they are."""
    mask[mask == Mask.COMPLETE] = Mask.INFLUENCED
    mask[mask == Mask.NODATA] = Mask.CONCEALED


def conceal_untold(mask: NDArray[np.uint8], told: NDArray[np.bool_]) -> None:
    """Mark, in place, pixels of which nobody told whether there are data."""
    mask[~told] = worse(mask[~told], Mask.CONCEALED)


def is_whole(mask: NDArray[np.uint8]) -> bool:
    """Return whether no pixel misses anything."""
    if not mask.any():  # the usual case takes a fraction of the time
        return True
    return not ((mask != Mask.COMPLETE) & (mask != Mask.NODATA)).any()
