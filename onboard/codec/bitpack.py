"""Packed indices of fixed width, most significant bit first (SPEC.md, section 4)."""

import numpy as np
from bitarray import bitarray
from numpy.typing import NDArray

from onboard.errors import InputError, StreamError

MAX_WIDTH = 16


def packed_bytes(count: int, width: int) -> int:
    """Return the bytes that `count` indices of `width` bits take."""
    return (count * width + 7) // 8


def pack(indices: NDArray[np.uint16], width: int) -> bytes:
    """Pack indices in row-major order; the last byte is padded with zero bits.

    Raises:
        InputError: a width outside 1..16, or an index that does not fit in it.
    """
    _check_width(width)
    if indices.size and (int(indices.max()) >> width or int(indices.min()) < 0):
        raise InputError(
            f"index: expected 0 or more and below {1 << width}, "
            f"found {int(indices.min())}..{int(indices.max())}"
        )
    flat = np.ascontiguousarray(indices, np.uint16).reshape(-1)
    if width == 8:
        return flat.astype(np.uint8).tobytes()
    if width == 16:
        return flat.astype(">u2").tobytes()
    left = (flat << (16 - width)).astype(">u2").view(np.uint8).reshape(-1, 2)
    bits = np.unpackbits(left, axis=1)[:, :width]
    return np.packbits(bits).tobytes()


def unpack(packed: bytes | memoryview, width: int, count: int) -> NDArray[np.uint16]:
    """Unpack `count` indices.

    Raises:
        InputError: a width outside 1..16.
        StreamError: too few or too many bytes, or padding that is not zero.
    """
    _check_width(width)
    if len(packed) != packed_bytes(count, width):
        raise StreamError(
            f"packed indices: expected {packed_bytes(count, width)} bytes, found {len(packed)}"
        )
    if width in (8, 16):
        return np.frombuffer(packed, f">u{width // 8}").astype(np.uint16)
    stored = bitarray(endian="big")
    stored.frombytes(bytes(packed))
    if stored[count * width :].any():
        raise StreamError("packed indices: padding bits are not zero")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count * width)
    left = np.zeros((count, 16), np.uint8)
    left[:, 16 - width :] = bits.reshape(count, width)
    return np.packbits(left, axis=1).view(">u2").reshape(-1).astype(np.uint16)


def _check_width(width: int) -> None:
    if not 1 <= width <= MAX_WIDTH:
        raise InputError(f"index width: expected 1..{MAX_WIDTH}, found {width}")
