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
def _tables() -> NDArray[np.uint32]:
    """Return (128, 256): what a byte adds to the CRC of a block, by its distance from the end."""
    table: NDArray[np.uint32] = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ ((table & np.uint32(1)) * np.uint32(POLYNOMIAL))
    rows = [table]
    for _ in range(_BLOCK - 1):
        rows.append((rows[-1] >> np.uint32(8)) ^ table[rows[-1] & 0xFF])
    return np.array(rows)


def crc32c(message: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32C of a message, 0..2^32 - 1."""
    tables = _tables()
    values = np.frombuffer(message, np.uint8)
    crc = _ONES
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].copy()
        head = min(4, len(block))
        block[:head] ^= np.frombuffer(crc.to_bytes(4, "little"), np.uint8)[:head]
        places = np.arange(len(block) - 1, -1, -1)
        folded = int(np.bitwise_xor.reduce(tables[places, block]))
        crc = folded ^ (crc >> (8 * head) if head < 4 else 0)
    return crc ^ _ONES
