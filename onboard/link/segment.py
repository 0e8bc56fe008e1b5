"""Segment: the envelope of everything that crosses the link (SPEC.md, section 2).

 byte 0        2    3    4        6                                                end - 4
     +--------+----+----+--------+--------------+-------+--------+----------+-------+
     | "SK"   | VK | EL | scene  | tile         | first | length | body     | check |
     +--------+----+----+--------+--------------+-------+--------+----------+-------+
       u16      u8   u8   u16      u16 or u32     u16,    u16      length B   u32
                                                  or none

VK: version << 4 | kind. EL: has edge << 7 | wide tile << 6 | has first << 5 | layer.
Body: the binding u32 unless the kind is bound by its check, valid rows and columns u16 if it has
an edge, and what is carried. Check: CRC-32C of all before, XORed with the binding if it is bound.
"""

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap
from typing import NamedTuple

from onboard.errors import StreamError, UsageError
from onboard.image.tiles import MAX_TILE
from onboard.link.crc import crc32c

SYNC = b"SK"
MAJOR = 1
MAX_NARROW_TILE = 65_535
"""Last tile whose index takes two bytes."""
LEAST_OVERHEAD = 14
"""Bytes around what a narrow tile's segment carries, if it starts at index 0, edge left out."""
SEGMENT_OVERHEAD = 16
"""Bytes around what a narrow tile's segment carries elsewhere: what is kept free for each."""
WIDE_BYTES = 2
"""Bytes that a wide tile takes more."""
DEFAULT_SEGMENT_BYTES = 1_088
"""What the usual packet has room for, if that ends in a CRC-16."""
MIN_SEGMENT_BYTES = 114
"""What a packet of 128 bytes with error control has room for."""
MAX_SEGMENT_BYTES = 65_535 + SEGMENT_OVERHEAD
MAX_LAYERS = 32
TAG_BYTES = 4
"""Bytes of the tag of a model, and of a binding."""
_EDGE_FLAG, _WIDE_FLAG, _FIRST_FLAG = 0x80, 0x40, 0x20
_START = struct.Struct(">2sBBH")
_REST = {  # tile, first unless it is 0, length
    0: struct.Struct(">HH"),
    _FIRST_FLAG: struct.Struct(">HHH"),
    _WIDE_FLAG: struct.Struct(">IH"),
    _WIDE_FLAG | _FIRST_FLAG: struct.Struct(">IHH"),
}
_WHOLE = {sizes: struct.Struct(_START.format + rest.format[1:]) for sizes, rest in _REST.items()}
CRC_BYTES = 4
_EDGE = struct.Struct(">HH")

Buffer = bytes | memoryview | mmap


class Kind(IntEnum):
    """Kinds of segments."""

    SCENE = 0
    TILE = 1
    MASK = 2
    END = 3
    REPAIR = 4


BOUND = (Kind.TILE, Kind.MASK)
"""Kinds that do not name their binding: their CRC is bound to it."""


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        kind: one of `Kind`; a reader also meets unknown ones, 5..15.
        scene_id: number of the scene, u16.
        binding: what model and encoding it is of, see `onboard.link.binding`, 4 bytes.
        tile: tile index, u32.
        layer: layer in which the body starts, 0..31.
        first: index in that layer, first pixel of a mask, or row of a repair segment, u16.
        edge: valid rows and columns of a border tile, else None.
        body: bytes that are carried, binding and edge fields left out.
    """

    kind: int
    scene_id: int
    binding: bytes
    tile: int
    layer: int
    first: int
    edge: tuple[int, int] | None
    body: bytes

    def pack(self) -> bytes:
        """Return the bytes, CRC included.

        Raises:
            UsageError: a field or the body does not fit the format.
        """
        message = self._message()
        bound_to = int.from_bytes(self.binding, "big") if self.kind in BOUND else 0
        return message + (crc32c(message) ^ bound_to).to_bytes(CRC_BYTES, "big")

    @property
    def size(self) -> int:
        """Bytes that it takes, CRC included."""
        around = (0 if self.kind in BOUND else TAG_BYTES) + (_EDGE.size if self.edge else 0)
        return overhead(self.tile, self.first) + around + len(self.body)

    def _message(self) -> bytes:
        """Return the bytes before the CRC."""
        self._check()
        named = b"" if self.kind in BOUND else self.binding
        body = named + edge_bytes(self.edge) + self.body
        head = heads_of(self.kind, self.scene_id, self.tile, self.edge)
        return head(self.layer, self.first, len(body)) + body

    def _check(self) -> None:
        rows, cols = self.edge or (1, 1)
        if (
            0 <= self.kind <= 15
            and 0 <= self.scene_id <= 65_535
            and len(self.binding) == TAG_BYTES
            and 0 <= self.tile < 1 << 32
            and 0 <= self.layer < MAX_LAYERS
            and 0 <= self.first <= 65_535
            and 1 <= rows <= MAX_TILE
            and 1 <= cols <= MAX_TILE
            and len(self.body) <= 65_535 - TAG_BYTES - _EDGE.size
        ):
            return  # what follows says what is wrong
        around = (0 if self.kind in BOUND else TAG_BYTES) + (_EDGE.size if self.edge else 0)
        for name, value, least, most in (
            ("kind", self.kind, 0, 15),
            ("scene id", self.scene_id, 0, 65_535),
            ("bytes of binding", len(self.binding), TAG_BYTES, TAG_BYTES),
            ("tile", self.tile, 0, (1 << 32) - 1),
            ("layer", self.layer, 0, MAX_LAYERS - 1),
            ("first", self.first, 0, 65_535),
            ("valid rows", rows, 1, MAX_TILE),
            ("valid columns", cols, 1, MAX_TILE),
            ("body bytes", len(self.body) + around, 0, 65_535),
        ):
            if not least <= value <= most:
                raise UsageError(f"segment {name}: expected {least}..{most}, found {value}")

    @classmethod
    def unpack(
        cls, buffer: Buffer, offset: int = 0, bindings: Collection[bytes] | None = None
    ) -> tuple["Segment", int]:
        """Read the segment at `offset`; return it and the offset after it.

        Args:
            buffer: bytes that hold the segment.
            offset: place of its first byte.
            bindings: those that tiles and masks may have. None takes any, for bytes that are known
                to be good: damage then shows as a binding that nobody has.

        Raises:
            StreamError: no sync mark, a newer version, cut short, not the one form that it has, a
                wrong CRC, or impossible edge fields.
        """
        head = Head.read(buffer, offset)
        return cls.of(head, buffer, offset, bindings), offset + head.size

    @classmethod
    def of(
        cls, head: "Head", buffer: Buffer, offset: int, bindings: Collection[bytes] | None
    ) -> "Segment":
        """Read a segment whose head is read already, see `unpack`."""
        packed = bytes(buffer[offset : offset + head.size])
        binding, body = told_binding(packed), packed[head.length : -CRC_BYTES]
        if head.kind in BOUND:
            if bindings is not None and binding not in bindings:
                one = len(bindings) == 1
                known = next(iter(bindings)).hex() if one else f"one of {len(bindings)}"
                raise StreamError(
                    f"segment: CRC does not match a known model and run: expected {known}, "
                    f"found {binding.hex()}"
                )
        elif any(binding):
            raise StreamError("segment: CRC does not match")
        else:
            binding, body = body[:TAG_BYTES], body[TAG_BYTES:]
            if len(binding) < TAG_BYTES:
                raise StreamError(f"segment: binding cut short: {len(binding)} bytes")
        edge = None
        if head.has_edge:
            if len(body) < _EDGE.size:
                raise StreamError(f"segment: edge fields cut short: {len(body)} bytes")
            edge, body = _EDGE.unpack_from(body), body[_EDGE.size :]
            if not (1 <= edge[0] <= MAX_TILE and 1 <= edge[1] <= MAX_TILE):
                raise StreamError(f"segment edge: expected 1..{MAX_TILE} pixels, found {edge}")
        place = head.tile, head.layer, head.first
        return cls(head.kind, head.scene_id, binding, *place, edge, body)


class Head(NamedTuple):
    """What stands before the body of a segment.

    Attributes:
        kind: kind of the segment.
        scene_id: number of the scene.
        tile: tile index.
        layer: layer in which the body starts.
        first: index in that layer, first pixel of a mask, or row of a repair segment.
        has_edge: whether edge fields are in the body.
        length: bytes of the head.
        size: bytes of the whole segment.
    """

    kind: int
    scene_id: int
    tile: int
    layer: int
    first: int
    has_edge: bool
    length: int
    size: int

    @classmethod
    def read(cls, buffer: Buffer, offset: int = 0) -> "Head":
        """Read a head and check that all of the segment is there, without a look at its body.

        Raises:
            StreamError: no sync mark, a newer version, a field that is there or longer without
                need, or cut short.
        """
        if len(buffer) - offset < LEAST_OVERHEAD:
            raise StreamError("segment: cut short in its header")
        sync, version, flags, scene_id = _START.unpack_from(buffer, offset)
        if sync != SYNC:
            raise StreamError(f"segment: expected {SYNC!r}, found {sync!r}")
        if version >> 4 != MAJOR:
            raise StreamError(f"segment: expected format {MAJOR}, found {version >> 4}")
        rest = _REST[flags & (_WIDE_FLAG | _FIRST_FLAG)]
        tile, *first, length = rest.unpack_from(buffer, offset + _START.size)
        if flags & _WIDE_FLAG and not is_wide(tile):
            raise StreamError(f"segment: tile {tile} in four bytes, expected two")
        if first == [0]:
            raise StreamError("segment: first is 0, expected it to be left out")
        head = _START.size + rest.size
        size = head + length + CRC_BYTES
        if (missing := offset + size - len(buffer)) > 0:
            raise StreamError(f"segment: cut short, {missing} bytes are missing")
        layer, has_edge = flags & MAX_LAYERS - 1, bool(flags & _EDGE_FLAG)
        return cls(version & 15, scene_id, tile, layer, sum(first), has_edge, head, size)


def is_wide(tile: int) -> bool:
    """Say whether the index of a tile takes four bytes."""
    return tile > MAX_NARROW_TILE


def overhead(tile: int, first: int) -> int:
    """Return the bytes around the body of a tile or mask segment, edge fields left out."""
    around = SEGMENT_OVERHEAD if first else LEAST_OVERHEAD
    return around + (WIDE_BYTES if is_wide(tile) else 0)


def told_binding(packed: bytes) -> bytes:
    """Return what CRC and check of a packed segment tell: a binding, zeros if bound to none."""
    check = int.from_bytes(packed[-CRC_BYTES:], "big")
    return (crc32c(packed[:-CRC_BYTES]) ^ check).to_bytes(TAG_BYTES, "big")


def edge_bytes(edge: tuple[int, int] | None) -> bytes:
    """Return valid rows and columns as they stand before a body; nothing of a whole tile."""
    return _EDGE.pack(*edge) if edge else b""


def heads_of(
    kind: int, scene_id: int, tile: int, edge: tuple[int, int] | None
) -> Callable[[int, int, int], bytes]:
    """Return what makes heads of a tile's segments, of layer, first and bytes that come behind."""
    version, wide = MAJOR << 4 | kind, _WIDE_FLAG if is_wide(tile) else 0
    flags = (_EDGE_FLAG if edge else 0) | wide
    begun, later = _WHOLE[wide].pack, _WHOLE[wide | _FIRST_FLAG].pack

    def head(layer: int, first: int, length: int) -> bytes:
        if first:
            return later(SYNC, version, flags | _FIRST_FLAG | layer, scene_id, tile, first, length)
        return begun(SYNC, version, flags | layer, scene_id, tile, length)

    return head


def unpack_segments(
    packed: Buffer, bindings: Collection[bytes] | None = None
) -> tuple[Segment, ...]:
    """Return the segments of a packet, all of which must be good; see `Segment.unpack`."""
    found, offset = [], 0
    while offset < len(packed):
        segment, offset = Segment.unpack(packed, offset, bindings)
        found.append(segment)
    return tuple(found)
