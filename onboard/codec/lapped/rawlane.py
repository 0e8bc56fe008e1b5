"""Raw lanes: residuals of fixed width, where the entropy coder would take more (SPEC.md, 11)."""

import numpy as np
from numpy.typing import NDArray

from onboard.codec import bitpack

MARK = bytes(2)
LEAST_WIDTH = 8
HEAD_BYTES = 3


def pack(residuals: NDArray[np.int32]) -> bytes | None:
    """Return the raw lane of residuals, None if one takes more than 16 bits."""
    largest = int(np.maximum(residuals, ~residuals).max(initial=0))
    width = max(LEAST_WIDTH, largest.bit_length() + 1)
    if width > bitpack.MAX_WIDTH:
        return None
    indices = (residuals & ((1 << width) - 1)).astype(np.uint16)
    return MARK + bytes([width]) + bitpack.pack(indices, width)


def unpack(lane: bytes) -> NDArray[np.int32] | None:
    """Return the residuals of a raw lane; None for a lane that is not raw, or not a proper one."""
    if lane[:2] != MARK or len(lane) < HEAD_BYTES:
        return None
    width = lane[2]
    if not LEAST_WIDTH <= width <= bitpack.MAX_WIDTH:
        return None
    count = 8 * (len(lane) - HEAD_BYTES) // width
    if HEAD_BYTES + bitpack.packed_bytes(count, width) != len(lane):
        return None
    if lane[-1] & ((1 << (8 * (len(lane) - HEAD_BYTES) - count * width)) - 1):
        return None  # not filled with zero bits
    indices = bitpack.unpack(lane[HEAD_BYTES:], width, count).astype(np.int32)
    sign = np.int32(1) << (width - 1)
    found: NDArray[np.int32] = (indices ^ sign) - sign
    return found
