"""HTJ2K (JPEG 2000 part 15) codestreams at a number of bytes: the only door to imagecodecs."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import LimitError

FINEST, COARSEST = 1e-6, 1.0
"""Quantisation steps, relative to the range of the samples."""
SEARCH_STEPS = 24
CLOSE_ENOUGH = 0.998


def htj2k_encode(image: NDArray[np.uint16], step: float) -> bytes:
    """Code (bands, rows, cols) with the 9/7 wavelet, bands independent, at a quantisation step."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    planes = image[0] if len(image) == 1 else image
    layout: dict[str, Any] = {} if len(image) == 1 else {"planar": True}
    return bytes(imagecodecs.htj2k_encode(planes, step, reversible=False, rgb=False, **layout))


def htj2k_decode(stream: bytes, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Decode a codestream of an image of a known shape (bands, rows, cols)."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    decoded: NDArray[np.uint16] = imagecodecs.htj2k_decode(stream).reshape(shape)
    return decoded


def htj2k_at_bytes(image: NDArray[np.uint16], budget: int) -> bytes:
    """Code an image into at most `budget` bytes, as near below it as 0.2 % where it can be.

    HTJ2K has no rate control of its own: its length follows the step, which is bisected.

    Raises:
        LimitError: the coarsest encoding is longer than the budget.
    """
    best = htj2k_encode(image, COARSEST)
    if len(best) > budget:
        raise LimitError(f"HTJ2K: expected to fit {budget} bytes, found the coarsest {len(best)}")
    fine, coarse = FINEST, COARSEST
    for _ in range(SEARCH_STEPS):
        step = math.sqrt(fine * coarse)
        stream = htj2k_encode(image, step)
        if len(stream) > budget:
            fine = step
        else:
            coarse, best = step, max(best, stream, key=len)
        if len(best) >= CLOSE_ENOUGH * budget:
            break
    return best
