"""CRC-32C (Castagnoli) without a C extension: table look-ups by position, folded with XOR.

A CRC is linear: that of a block is the XOR of one table entry per byte, chosen by the byte's value
and its distance from the end of the block.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F6_3B78
_BLOCK = 128
_ONES = 0xFFFF_FFFF


@cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.intp], list[list[int]]]:
    """Return what a byte adds to the CRC of a block, by place in the block and value.

    The table is flat; with it come where each place begins in it, and its first four places as
    lists, in which a carried CRC is looked up.
    """
    table: NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ ((table & np.uint32(1)) * np.uint32(POLYNOMIAL))
    rows = [table]
    for _ in range(_BLOCK - 1):
        rows.append((rows[-1] >> np.uint32(8)) ^ table[rows[-1] & 0xFF])
    rows.reverse()
    starts = np.arange(_BLOCK, dtype=np.intp) * 256
    return np.concatenate(rows), starts, [row.tolist() for row in rows[:4]]


def crc32c(message: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Return the CRC-32C of a message, 0..2^32 - 1.

    Args:
        message: the bytes.
        start: CRC of the bytes before them, if the message comes in parts.
    """
    table, starts, (first, second, third, fourth) = _tables()
    length = len(message)
    # Zeros in front leave a CRC that begins with 0 as it is, so whole blocks can be made.
    blocks = np.zeros((-(-length // _BLOCK), _BLOCK), np.uint8)
    values = blocks.reshape(-1)[blocks.size - length :]
    values[:] = np.frombuffer(message, np.uint8)
    head = min(4, length)
    carried = start ^ _ONES
    values[:head] ^= np.frombuffer(carried.to_bytes(4, "little"), np.uint8)[:head]
    crc = 0
    for folded in np.bitwise_xor.reduce(table[blocks + starts], axis=1).tolist():
        near = first[crc & 255] ^ second[crc >> 8 & 255]
        crc = folded ^ near ^ third[crc >> 16 & 255] ^ fourth[crc >> 24]
    return crc ^ (carried >> 8 * head) ^ _ONES
