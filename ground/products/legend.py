"""Legend: what the values of a mask mean, in words and colours, in every product."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Entry(NamedTuple):
    """One value of a mask.

    Attributes:
        value: as `ground.decode.mask.Mask` has it.
        name: one word, or some with `_` between them.
        colour: red, green and blue, 0 to 255.
        meaning: in a few words.
        hidden: whether what stands in the image there is no measurement.
        lacks: whether anything of it is lost or not proven, which may come yet.
    """

    value: int
    name: str
    colour: tuple[int, int, int]
    meaning: str
    hidden: bool
    lacks: bool = False


LEGEND = (
    Entry(0, "complete", (38, 110, 62), "complete", False),
    Entry(1, "influenced", (132, 186, 91), "refinement influenced", False),
    Entry(2, "fine_missing", (244, 196, 66), "fine layers missing", False, True),
    Entry(3, "concealed", (200, 52, 44), "concealed", True, True),
    Entry(4, "nodata", (120, 120, 120), "nodata", True),
    Entry(5, "salvaged", (74, 111, 186), "salvaged from damaged segments", False, True),
)
CONCEALED, NODATA = 3, 4
NOT_WRITTEN = 255
"""Value of pixels of a mask that was never written, as of a chunk that is missing."""
_HIDDEN = np.isin(np.arange(256), [entry.value for entry in LEGEND if entry.hidden])


def hidden(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where an image holds no measurement: what was lost, and what has no data."""
    found: NDArray[np.bool_] = _HIDDEN[mask]
    return found
