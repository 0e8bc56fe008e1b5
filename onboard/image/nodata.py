"""Nodata: which pixels have data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def has_data(samples: NDArray[Any], nodata: int | None, bands: int = 0) -> NDArray[np.bool_]:
    """Return where there is data: a pixel all of whose bands are `nodata` has none.

    Args:
        samples: image or images in DN.
        nodata: value that means no data; None: all pixels have data.
        bands: axis of the bands, which the result lacks.
    """
    if nodata is None:
        return np.ones(samples.shape[:bands] + samples.shape[bands + 1 :], np.bool_)
    return np.asarray((samples != nodata).any(axis=bands))
