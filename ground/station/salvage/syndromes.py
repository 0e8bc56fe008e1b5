"""Syndromes: which wrong bits a check of a segment tells of that does not match.

A CRC is linear: what the CRC of a segment tells, XORed with what it should, depends on the wrong
bits alone. Of one wrong bit it tells which; of two, or of some in a few bytes that touch, which of
few possible ones. CRC-32C tells up to three wrong bits from none in whatever a segment may have, so
of two wrong bits none looks like one.
Source: Koopman, 32-bit cyclic redundancy codes for internet applications, 2002 (distances); Rudolph
and Mitchell, Implementation of decoders for cyclic codes, 1964 (error trapping).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from onboard.link.crc import crc32c_of_each
from onboard.link.segment import CRC_BYTES

WINDOW = 3
"""Bytes in a row that may be wrong anyhow: any 17 bits in a row are within as many."""
_BITS = 8
_STEP = 128


@dataclass(frozen=True)
class Syndromes:
    """What each bit of segments of so many bytes does to what their check tells.

    Attributes:
        size: bytes of the segments, CRC included.
        of_bits: u32 (8 * size,), for each bit in the order of sending.
        order: the numbers of the bits in the order of their syndromes.
    """

    size: int
    of_bits: NDArray[np.uint32]
    order: NDArray[np.intp]

    def single(self, told: int) -> int | None:
        """Return the one wrong bit that tells this; None if none does."""
        found = self._bits_of(np.array([told], np.uint32))[0]
        return None if found < 0 else int(found)

    def pairs(self, told: int) -> Iterator[tuple[int, int]]:
        """Yield each two wrong bits that together tell this."""
        other = self._bits_of(self.of_bits ^ np.uint32(told))
        for first in np.flatnonzero(other > np.arange(len(other))).tolist():
            yield first, int(other[first])

    def windows(self, told: int) -> Iterator[tuple[int, bytes]]:
        """Yield where `WINDOW` bytes before the CRC may be wrong, and by what: byte and pattern."""
        table, numbers = _tables()
        for _ in range(CRC_BYTES):  # the last wrong byte would be the last before the CRC
            number = numbers[told >> 24]
            told = (told ^ table[number]) << 8 & 0xFFFF_FFFF | number
        for last in range(self.size - CRC_BYTES - 1, WINDOW - 2, -1):
            # As of four bytes, the first of which is right; one that ends in a right byte comes
            # again further on.
            if not told & 0xFF and told >> 24:
                yield last - WINDOW + 1, (told >> 8).to_bytes(WINDOW, "little")
            number = numbers[told >> 24]
            told = (told ^ table[number]) << 8 & 0xFFFF_FFFF | number

    def _bits_of(self, told: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return the bit that tells each number, -1 where none does."""
        ranked = self.of_bits[self.order]
        place = np.minimum(np.searchsorted(ranked, told), len(ranked) - 1)
        return np.where(ranked[place] == told, self.order[place], -1)


@lru_cache(maxsize=8)
def _of_last_bytes(count: int) -> NDArray[np.uint32]:
    """Return what each bit of the last bytes before the CRC does, (count, 8), the last byte first.

    Bits from the most significant on.
    """
    table = np.array(_tables()[0], np.uint32)
    found = np.empty((count, _BITS), np.uint32)
    found[0] = table[1 << np.arange(_BITS - 1, -1, -1)]
    for byte in range(1, count):
        found[byte] = (found[byte - 1] >> np.uint32(8)) ^ table[found[byte - 1] & 0xFF]
    return found


@lru_cache(maxsize=64)
def syndromes_of(size: int) -> Syndromes:
    """Return the syndromes of segments of so many bytes."""
    before = size - CRC_BYTES
    of_bytes = _of_last_bytes(-(-before // _STEP) * _STEP)[before - 1 :: -1]
    of_crc = np.uint32(1) << np.arange(8 * CRC_BYTES - 1, -1, -1, dtype=np.uint32)
    of_bits = np.concatenate([of_bytes.reshape(-1), of_crc])
    return Syndromes(size, of_bits, np.argsort(of_bits))


@lru_cache(maxsize=1)
def _tables() -> tuple[list[int], list[int]]:
    """Return the table of the CRC by byte, and the byte by the top byte of its entry."""
    zero, *ones = crc32c_of_each([bytes([0]), *(bytes([value]) for value in range(256))])
    table = [crc ^ zero for crc in ones]
    numbers = [0] * 256
    for number, entry in enumerate(table):
        numbers[entry >> 24] = number
    return table, numbers
