"""Rate: what a scene's bytes bring, and what JPEG 2000 makes of the original at as many."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.windows import Window, Windows
from ground.metrics import psnr
from ground.products.jpeg2000 import jpeg2000_at_bytes, jpeg2000_decode
from ground.products.legend import NODATA
from onboard.errors import LimitError, UsageError

_MOST_SIDE = 512
"""Pixels of a side of what is compared: JPEG 2000 is encoded several times for each point."""
_TIMES = (0.5, 1, 2)
"""Bytes of JPEG 2000, over ours."""


def compared(windows: Windows) -> tuple[range, range]:
    """Return the rows and columns of pixels that are compared: whole tiles in the middle."""
    side = windows.cell * windows.grid.tile
    parts = []
    for length in windows.shape[1:]:
        most = max(_MOST_SIDE // side, 1) * side
        first = max(length - most, 0) // 2 // side * side
        parts.append(range(first, min(first + most, length)))
    return parts[0], parts[1]


def rate(ours: Window, original: NDArray[Any], size: int, peak: int) -> dict[str, Any]:
    """Return points of rate and distortion of a part of a scene.

    Args:
        ours: image and mask, as they came down.
        original: the same part of the original.
        size: bytes that arrived of its tiles.
        peak: peak of the PSNR.

    Returns:
        Bytes, bits a sample and PSNR of ours and, by growing bytes, of JPEG 2000.

    Raises:
        UsageError: samples are signed, or nothing is to be compared.
    """
    if original.dtype.kind == "i":
        raise UsageError("rate: expected no signed samples, which JPEG 2000 is not given here")
    image, mask = ours
    valid = mask != NODATA
    if not valid.any() or not size:
        raise UsageError("rate: expected pixels that arrived, found none")
    wanted = np.ascontiguousarray(original, np.uint16)

    def point(found: NDArray[Any], length: int) -> dict[str, float | None]:
        reached = psnr(wanted, found, float(peak), valid)
        bits = 8 * length / image.size
        return {"bytes": length, "bits": bits, "psnr": None if math.isinf(reached) else reached}

    rivals = []
    for times in _TIMES:
        try:
            stream = jpeg2000_at_bytes(wanted, int(times * size))
        except LimitError:
            continue  # JPEG 2000 cannot do with so few
        rivals.append(point(jpeg2000_decode(stream), len(stream)))
    return {
        "shape": list(image.shape),
        "peak": peak,
        "own": point(image, size),
        "jpeg2000": rivals,
    }
