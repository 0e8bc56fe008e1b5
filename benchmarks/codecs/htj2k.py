"""HTJ2K (JPEG 2000 part 15) codestreams at a number of bytes."""

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
    """Code an image into at most `budget` bytes, see `htj2k_step`."""
    return htj2k_encode(image, htj2k_step(image, budget))


def htj2k_step(image: NDArray[np.uint16], budget: int) -> float:
    """Return the step that codes into at most `budget` bytes, as near below as 0.2 % where it can.

    HTJ2K has no rate control of its own: its length follows the step, which is bisected.

    Raises:
        LimitError: the coarsest encoding is longer than the budget.
    """
    length = len(htj2k_encode(image, COARSEST))
    if length > budget:
        raise LimitError(f"HTJ2K: expected to fit {budget} bytes, found the coarsest {length}")
    best = (length, COARSEST)
    fine, coarse = FINEST, COARSEST
    for _ in range(SEARCH_STEPS):
        step = math.sqrt(fine * coarse)
        length = len(htj2k_encode(image, step))
        if length > budget:
            fine = step
        else:
            coarse, best = step, max(best, (length, step))
        if best[0] >= CLOSE_ENOUGH * budget:
            break
    return best[1]
