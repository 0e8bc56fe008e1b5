"""Demosaicing: the one door to OpenCV."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import EngineError

_AROUND = 2
"""Samples that a mosaic is reflected by, as OpenCV copies the colours of the border from within."""


def demosaic(mosaic: NDArray[Any], pattern: str) -> NDArray[Any]:
    """Return red, green and blue (3, rows, cols) of a Bayer mosaic (1, rows, cols), edge-aware.

    Args:
        mosaic: samples of 8 or 16 bits.
        pattern: one of `onboard.image.bayer.PATTERNS`.

    Raises:
        EngineError: OpenCV is not installed.
    """
    try:
        library = import_module("cv2")
    except ImportError as error:
        raise EngineError(
            "demosaicing: OpenCV is not installed: pip install 'skybook[bayer]'"
        ) from error
    unsigned = np.dtype(f"u{mosaic.dtype.itemsize}")
    low = np.iinfo(mosaic.dtype).min
    samples = (mosaic[0].astype(np.int32) - low).astype(unsigned)
    wide = np.pad(samples, _AROUND, mode="reflect")  # keeps rows and columns of a colour
    kind = getattr(library, f"COLOR_Bayer{pattern.upper()}2RGB_EA")
    found = library.cvtColor(wide, kind)[_AROUND:-_AROUND, _AROUND:-_AROUND]
    return np.ascontiguousarray((found.astype(np.int32) + low).transpose(2, 0, 1), mosaic.dtype)
