"""Nodata masks of a tile as bodies of mask segments, both directions (SPEC.md, kind 2)."""

import numpy as np
from bitarray import bitarray
from numpy.typing import NDArray

from onboard.errors import StreamError

_RUNS, _BITMAP = b"\0", b"\1"
_MAX_RUN_BYTES = 3


def pack_mask(nodata: NDArray[np.bool_], room: int) -> list[tuple[int, bytes]]:
    """Pack a mask, as run lengths or as a bitmap, whichever is shorter.

    Args:
        nodata: mask (rows, cols), True where there are no data.
        room: most bytes of a body, 8 or more.

    Returns:
        First pixel and body of each piece.
    """
    flat = nodata.reshape(-1)
    runs = _pack_runs(flat, room)
    bitmap = _pack_bitmap(flat, room)
    return min(runs, bitmap, key=lambda pieces: sum(len(body) for _, body in pieces))


def _pack_runs(flat: NDArray[np.bool_], room: int) -> list[tuple[int, bytes]]:
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = [0, *edges.tolist()]
    lengths = np.diff([*starts, flat.size]).tolist()
    pieces: list[tuple[int, bytearray]] = []
    for start, length in zip(starts, lengths, strict=True):
        packed = _pack_number(length)
        if not pieces or len(pieces[-1][1]) + len(packed) > room:
            # Each piece begins with a valid run, of length 0 if need be.
            pieces.append((start, bytearray(_RUNS + (b"\0" if flat[start] else b""))))
        pieces[-1][1].extend(packed)
    return [(first, bytes(body)) for first, body in pieces]


def _pack_bitmap(flat: NDArray[np.bool_], room: int) -> list[tuple[int, bytes]]:
    pixels = 8 * (room - 1)
    return [
        (first, _BITMAP + np.packbits(flat[first : first + pixels]).tobytes())
        for first in range(0, flat.size, pixels)
    ]


def _pack_number(number: int) -> bytes:
    packed = bytearray()
    while number > 127:
        packed.append(number & 127 | 128)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def unpack_mask(body: bytes, first: int, pixels: int) -> NDArray[np.bool_]:
    """Return the mask (n,) of the pixels from `first` on.

    Args:
        body: body of the segment, edge fields left out.
        first: first pixel of the piece.
        pixels: number of valid pixels of the tile.

    Raises:
        StreamError: an unknown form, runs beyond the tile, or padding that is not zero.
    """
    left = pixels - first
    if left <= 0 or len(body) < 2:
        raise StreamError(f"nodata mask: {len(body)} bytes from pixel {first} of {pixels}")
    if body[:1] == _RUNS:
        return _unpack_runs(body[1:], left)
    if body[:1] == _BITMAP:
        return _unpack_bitmap(body[1:], left)
    raise StreamError(f"nodata mask: expected form 0 or 1, found {body[0]}")


def _unpack_runs(packed: bytes, left: int) -> NDArray[np.bool_]:
    lengths = _unpack_numbers(packed)
    if 0 in lengths[1:] or sum(lengths) > left:
        raise StreamError(f"nodata mask: {sum(lengths)} pixels in runs, {left} are left")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths)


def _unpack_numbers(packed: bytes) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in packed:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number = shift = 0
        elif shift >= 7 * _MAX_RUN_BYTES:
            raise StreamError(f"nodata mask: a run of more than {_MAX_RUN_BYTES} bytes")
    if shift:
        raise StreamError("nodata mask: a run is cut short")
    return numbers


def _unpack_bitmap(packed: bytes, left: int) -> NDArray[np.bool_]:
    bits = bitarray(endian="big")
    bits.frombytes(packed)
    if len(bits) - left >= 8 or bits[left:].any():
        raise StreamError(f"nodata mask: a bitmap of {len(bits)} bits, {left} pixels are left")
    return np.frombuffer(bits[:left].unpack(), np.uint8).astype(np.bool_)
