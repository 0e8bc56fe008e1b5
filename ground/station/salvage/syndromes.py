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
        of_bits: u32 (bits,), for each bit in the order of sending; of longer ones, too, first.
        ranked: the same, rising.
        order: the numbers of the bits in the order of `ranked`.
    """

    size: int
    of_bits: NDArray[np.uint32]
    ranked: NDArray[np.uint32]
    order: NDArray[np.intp]

    def single(self, told: int) -> int | None:
        """Return the one wrong bit that tells this; None if none does."""
        found = self._bits_of(np.array([told], np.uint32))[0]
        return None if found < 0 else int(found)

    def pairs(self, told: int) -> Iterator[tuple[int, int]]:
        """Yield each two wrong bits that together tell this."""
        own = self.of_bits[-_BITS * self.size :]
        other = self._bits_of(own ^ np.uint32(told))
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
        """Return the bit that tells each number, below 0 where none does."""
        place = np.minimum(np.searchsorted(self.ranked, told), len(self.ranked) - 1)
        beyond = len(self.of_bits) - _BITS * self.size
        return np.where(self.ranked[place] == told, self.order[place] - beyond, -1)


def syndromes_of(size: int) -> Syndromes:
    """Return the syndromes of segments of so many bytes."""
    return Syndromes(size, *_of_longer(-(-size // _STEP) * _STEP))


@lru_cache(maxsize=16)
def _of_longer(size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.intp]]:
    """Return the syndromes of all bits of so many bytes, the same rising, and their order."""
    table = np.array(_tables()[0], np.uint32)
    of_bytes = np.empty((size - CRC_BYTES, _BITS), np.uint32)
    of_bytes[-1] = table[1 << np.arange(_BITS - 1, -1, -1)]
    for byte in range(len(of_bytes) - 2, -1, -1):
        of_bytes[byte] = (of_bytes[byte + 1] >> np.uint32(8)) ^ table[of_bytes[byte + 1] & 0xFF]
    of_crc = np.uint32(1) << np.arange(_BITS * CRC_BYTES - 1, -1, -1, dtype=np.uint32)
    of_bits = np.concatenate([of_bytes.reshape(-1), of_crc])
    order = np.argsort(of_bits)
    return of_bits, of_bits[order], order


@lru_cache(maxsize=1)
def _tables() -> tuple[list[int], list[int]]:
    """Return the table of the CRC by byte, and the byte by the top byte of its entry."""
    zero, *ones = crc32c_of_each([bytes([0]), *(bytes([value]) for value in range(256))])
    table = [crc ^ zero for crc in ones]
    numbers = [0] * 256
    for number, entry in enumerate(table):
        numbers[entry >> 24] = number
    return table, numbers
