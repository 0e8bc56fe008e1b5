"""Blocks: whether a cloud-optimised GeoTIFF that GDAL wrote holds every block it tells of.

GDAL does not tell of all that it cannot write. Around each block of such a file stand its length
and, once more, its last four bytes; where both are there, the block is. Those bytes are a checksum
(DEFLATE), which is never 0, so zeros in their place are none. Overviews and masks have directories
and blocks of their own.

Source: TIFF 6.0, section 2; BigTIFF; GDAL, COG driver: "header ghost area".
"""

from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CLASSIC, _BIG = 42, 43
_OFFSETS, _COUNTS = 324, 325
_TYPES = {3: "<u2", 4: "<u4", 13: "<u4", 16: "<u8"}
"""Types of the fields that tell where blocks are: SHORT, LONG, IFD, LONG8."""
_MOST_DIRECTORIES = 1 << 10
_WORD = 4
Blocks = NDArray[np.int64]


def has_all_blocks(path: Path) -> bool:
    """Return whether all blocks of a file that GDAL's COG driver wrote are there."""
    with path.open("rb") as file:
        try:
            whole = mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError:
            return False  # it is empty
        with whole:
            try:
                return all(_are_there(whole, *blocks) for blocks in _directories(whole))
            except (IndexError, KeyError, ValueError):
                return False  # it breaks off within a directory


def _are_there(whole: mmap, offsets: Blocks, counts: Blocks) -> bool:
    """Return whether the blocks of a directory have their lengths and last bytes around them."""
    stops = offsets + counts
    if not len(offsets) or offsets.min() < _WORD or stops.max() + _WORD > len(whole):
        return False
    return all(
        int.from_bytes(whole[offset - _WORD : offset], "little") == stop - offset
        and bytes(_WORD) != whole[stop - _WORD : stop] == whole[stop : stop + _WORD]
        for offset, stop in zip(offsets.tolist(), stops.tolist(), strict=True)
    )


def _directories(whole: mmap) -> Iterator[tuple[Blocks, Blocks]]:
    """Yield places and lengths of the blocks of each directory of a file.

    Raises:
        KeyError, ValueError, IndexError: it is no such file.
    """
    is_big = {_CLASSIC: False, _BIG: True}[_number(whole, 2, 2)]
    size, entry, wide = (8, 20, 8) if is_big else (2, 12, 4)
    place = _number(whole, 8 if is_big else 4, wide)
    for _ in range(_MOST_DIRECTORIES):
        count = _number(whole, place, size)
        found = {}
        for first in range(place + size, place + size + count * entry, entry):
            tag, kind = _number(whole, first, 2), _number(whole, first + 2, 2)
            if tag in (_OFFSETS, _COUNTS):
                found[tag] = _values(whole, first + 4, np.dtype(_TYPES[kind]), wide)
        yield found[_OFFSETS], found[_COUNTS]
        place = _number(whole, place + size + count * entry, wide)
        if not place:
            return
    raise ValueError("directories: expected an end of them")


def _values(whole: mmap, first: int, dtype: "np.dtype[np.unsignedinteger]", wide: int) -> Blocks:
    """Return the values of a field, which stand in it, or where it says."""
    count = _number(whole, first, wide)
    place = first + wide
    if count * dtype.itemsize > wide:
        place = _number(whole, place, wide)
    return np.frombuffer(bytes(whole[place : place + count * dtype.itemsize]), dtype, count).astype(
        np.int64
    )


def _number(whole: mmap, first: int, size: int) -> int:
    if first + size > len(whole):
        raise IndexError("file: expected more of it")
    return int.from_bytes(whole[first : first + size], "little")
