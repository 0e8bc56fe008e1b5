"""CRC-32C (Castagnoli) without a C extension: table look-ups by position, folded with XOR.

A CRC is linear: that of a block is the XOR of one table entry per byte, chosen by the byte's value
and its distance from the end of the block. Where there is compiled code, that does it.
"""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F6_3B78
_BLOCK = 128
_AT_ONCE = 32
"""Messages of which tables are looked up together, for memory."""
_ONES = 0xFFFF_FFFF
_OF_DIGITS = 0xE306_9283

Message = bytes | bytearray | memoryview


class Compiled(Protocol):
    """What does it in compiled code."""

    def crc32c(self, message: Message, start: int) -> int:
        """Return what `crc32c` does."""

    def crc32c_of_each(self, messages: Sequence[Message]) -> list[int]:
        """Return what `crc32c_of_each` does."""


_compiled: list[Compiled] = []


def use_compiled(code: Compiled) -> None:
    """Have compiled code do it from now on, if it is right of a message known (RFC 3720, B.4)."""
    digits = b"123456789"
    found = code.crc32c(digits[2:], code.crc32c(digits[:2], 0)), *code.crc32c_of_each([b"", digits])
    if not _compiled and found == (_OF_DIGITS, 0, _OF_DIGITS):
        _compiled.append(code)


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


def crc32c(message: Message, start: int = 0) -> int:
    """Return the CRC-32C of a message, 0..2^32 - 1.

    Args:
        message: bytes of the message, or of the next part of it.
        start: CRC of the parts before.
    """
    return _compiled[0].crc32c(message, start) if _compiled else in_numpy([message], start)[0]


def crc32c_of_each(messages: Sequence[Message]) -> list[int]:
    """Return the CRC-32C of several messages, see `crc32c`: together they take less time."""
    if _compiled:
        return _compiled[0].crc32c_of_each(messages)
    parts = (messages[n : n + _AT_ONCE] for n in range(0, len(messages), _AT_ONCE))
    return [crc for part in parts for crc in in_numpy(part)]


def in_numpy(messages: Sequence[Message], start: int = 0) -> list[int]:
    """Return the same by numpy."""
    table, starts, (first, second, third, fourth) = _tables()
    stops = list(accumulate(-(-len(message) // _BLOCK) for message in messages))
    # Zeros in front leave a CRC that begins with 0 as it is, so whole blocks can be made.
    blocks = np.zeros((stops[-1] if stops else 0, _BLOCK), np.uint8)
    flat = blocks.reshape(-1)
    carried = start ^ _ONES
    begin = np.frombuffer(carried.to_bytes(4, "little"), np.uint8)
    for message, stop in zip(messages, stops, strict=True):
        values = flat[_BLOCK * stop - len(message) : _BLOCK * stop]
        values[:] = np.frombuffer(message, np.uint8)
        values[:4] ^= begin[: len(message)]
    folded = np.bitwise_xor.reduce(table[blocks + starts], axis=1).tolist()
    found = []
    for message, (stop, after) in zip(messages, pairwise([0, *stops]), strict=True):
        crc = 0
        for fold in folded[stop:after]:
            near = first[crc & 255] ^ second[crc >> 8 & 255]
            crc = fold ^ near ^ third[crc >> 16 & 255] ^ fourth[crc >> 24]
        found.append(crc ^ (carried >> 8 * min(4, len(message))) ^ _ONES)
    return found
