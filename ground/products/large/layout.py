"""Layout: a cloud-optimised GeoTIFF, of which GDAL made the directories, and the blocks are ours.

Directories come first, then the blocks, of the coarsest overview first, each followed by that of
its mask. Around each stand its length and, once more, its last four bytes.

Source: TIFF 6.0, section 2; BigTIFF; GDAL, COG driver: "header ghost area".
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ground.products.large.block import SIDE, crc32
from ground.products.large.pyramid import Place, sizes_of
from onboard.errors import EngineError, UsageError

_CLASSIC, _BIG = 42, 43
_KIND, _COLS, _ROWS, _BITS, _OFFSETS, _COUNTS = 254, 256, 257, 258, 324, 325
_TYPES = {3: "<u2", 4: "<u4", 13: "<u4", 16: "<u8"}
"""Types of the fields that are looked at: SHORT, LONG, IFD, LONG8."""
_IS_MASK = 4
_MOST_DIRECTORIES = 1 << 10
_WORD = 4
_AT_ONCE = 1 << 20
Read = Callable[[Place, bool], bytes]
"""Returns the bytes of a block, or of that of its mask."""


class Field(NamedTuple):
    """Where the values of a field stand."""

    first: int
    dtype: "np.dtype[np.unsignedinteger]"
    length: int


@dataclass(frozen=True)
class Directory:
    """A directory of a file: its fields by their tags."""

    fields: dict[int, Field]

    def value(self, file: bytes | bytearray, tag: int) -> int:
        """Return the first value of a field; 0 where there is none."""
        if tag not in self.fields:
            return 0
        first, dtype, _ = self.fields[tag]
        return int(np.frombuffer(file, dtype, 1, first)[0])

    def fill(self, file: bytearray, tag: int, values: Sequence[int]) -> None:
        """Write all values of a field.

        Raises:
            EngineError: there is no room for one of them, or for as many.
        """
        first, dtype, length = self.fields[tag]
        if len(values) != length or max(values) > np.iinfo(dtype).max:
            raise EngineError(f"GDAL: expected {len(values)} values of field {tag}, found {length}")
        np.frombuffer(file, dtype, length, first)[:] = values


def directories(file: bytes | bytearray) -> Iterator[Directory]:
    """Yield the directories of a file.

    Raises:
        KeyError, ValueError, struct.error: it is no such file.
    """
    is_big = {_CLASSIC: False, _BIG: True}[struct.unpack_from("<H", file, 2)[0]]
    number, count, size = ("<Q", "<Q", 8) if is_big else ("<I", "<H", 2)
    wide = struct.calcsize(number)
    entry = 4 + 2 * wide
    (place,) = struct.unpack_from(number, file, 8 if is_big else 4)
    for _ in range(_MOST_DIRECTORIES):
        (fields,) = struct.unpack_from(count, file, place)
        found = {}
        for first in range(place + size, place + size + fields * entry, entry):
            tag, kind = struct.unpack_from("<HH", file, first)
            (values,) = struct.unpack_from(number, file, first + 4)
            if kind in _TYPES:
                dtype = np.dtype(_TYPES[kind])
                where = first + 4 + wide
                if values * dtype.itemsize > wide:
                    (where,) = struct.unpack_from(number, file, where)
                found[tag] = Field(where, dtype, values)
        yield Directory(found)
        (place,) = struct.unpack_from(number, file, place + size + fields * entry)
        if not place:
            return
    raise ValueError("directories: expected an end of them")


def assemble(empty: bytes, bits: int, read: Read, path: Path) -> None:
    """Write a file, and read it back.

    Args:
        empty: cloud-optimised GeoTIFF of its form, whose blocks are not there, or hold nothing.
        bits: bits of a sample of its image.
        read: returns blocks.
        path: path of the file.

    Raises:
        EngineError: that is not its form.
        UsageError: it does not hold what was written.
    """
    try:
        found = list(directories(empty))
        levels = [*_levels(empty, found)]
        head = bytearray(empty[: _stop(empty, found)])
    except (KeyError, ValueError, struct.error) as error:
        raise EngineError(f"GDAL: expected another form of GeoTIFF: {error}") from error
    with path.open("wb") as file:
        file.write(head)
        check = 0
        for level, (size, parts) in reversed([*enumerate(levels)]):
            parts[0].fill(head, _BITS, [bits] * parts[0].fields[_BITS].length)
            places: list[list[tuple[int, int]]] = [[] for _ in parts]
            for row, col in np.ndindex(*(-(-side // SIDE) for side in size)):
                for number, known in enumerate(places):
                    block = read(Place(level, row, col), number == 1)
                    known.append((file.tell() + _WORD, len(block)))
                    whole = struct.pack("<I", len(block)) + block + block[-_WORD:]
                    check = crc32(whole, check)
                    file.write(whole)
            for part, known in zip(parts, places, strict=True):
                for tag, values in zip((_OFFSETS, _COUNTS), zip(*known, strict=True), strict=True):
                    part.fill(head, tag, values)
        file.seek(0)
        file.write(head)
    _read_back(path, head, check)


def _levels(
    file: bytes, found: list[Directory]
) -> Iterator[tuple[tuple[int, int], list[Directory]]]:
    """Yield rows and columns of an image and its overviews, their directories and their masks'.

    Raises:
        ValueError: some are missing.
    """
    images, masks = (
        {
            (d.value(file, _ROWS), d.value(file, _COLS)): d
            for d in found
            if bool(d.value(file, _KIND) & _IS_MASK) == is_mask
        }
        for is_mask in (False, True)
    )
    sizes = sizes_of(*max(images))
    if {*sizes} != images.keys() or (masks and {*sizes} != masks.keys()):
        raise ValueError(f"directories of {sizes}, found {[*images]}, masks {[*masks]}")
    for size in sizes:
        yield size, [images[size], *([masks[size]] if masks else [])]


def _stop(file: bytes, found: list[Directory]) -> int:
    """Return where the directories of a file end, and its blocks begin, if it has any."""
    stop = len(file)
    for directory in found:
        first, dtype, length = directory.fields[_OFFSETS]
        places = np.frombuffer(file, dtype, length, first)
        stop = min([stop, *(places[places > 0] - _WORD).tolist()])
    return stop


def _read_back(path: Path, head: bytes | bytearray, check: int) -> None:
    """Refuse a file that does not hold what was written.

    Raises:
        UsageError: saying so.
    """
    with path.open("rb") as file:
        same, found = file.read(len(head)) == head, 0
        while part := file.read(_AT_ONCE):
            found = crc32(part, found)
    if not same or found != check:
        raise UsageError(f"{path}: expected room for it, found it damaged once written")
