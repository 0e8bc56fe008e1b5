"""Segment: the envelope of everything that crosses the link (SPEC.md, section 2)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap

from onboard.crc import crc32c, crc32c_of_each
from onboard.errors import StreamError, UsageError
from onboard.tiling import MAX_TILE

SYNC = b"SK"
MAJOR = 1
SEGMENT_OVERHEAD = 22
DEFAULT_SEGMENT_BYTES = 1_000
MIN_SEGMENT_BYTES = 114
"""What a packet of 128 bytes with error control has room for."""
MAX_SEGMENT_BYTES = 65_535 + SEGMENT_OVERHEAD
MAX_LAYERS = 16
_HEAD = struct.Struct(">2sBBH4sIHH")
_EDGE = struct.Struct(">HH")
_CRCS_AT_ONCE = 32
_WASTE_PER_BYTE = 16
_WASTE_ALLOWED = 1 << 20


class Kind(IntEnum):
    """Kinds of segments."""

    SCENE = 0
    TILE = 1
    MASK = 2
    END = 3
    REPAIR = 4


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        kind: a `Kind`; a reader also meets unknown ones, 5..15.
        scene_id: u16.
        model: first 4 bytes of the model hash.
        tile: tile index, u32.
        layer: layer in which the body starts, 0..15.
        first: index in that layer, or first pixel of a mask, u16.
        edge: valid rows and columns of a border tile, else None.
        body: what it carries, without the edge fields.
    """

    kind: int
    scene_id: int
    model: bytes
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
        return pack_segments([self])[0]

    def _message(self) -> bytes:
        """Return the bytes before the CRC."""
        self._check()
        body = self.body if self.edge is None else _EDGE.pack(*self.edge) + self.body
        flags = (0x80 if self.edge else 0) | self.layer
        head = _HEAD.pack(
            SYNC,
            MAJOR << 4 | self.kind,
            flags,
            self.scene_id,
            self.model,
            self.tile,
            self.first,
            len(body),
        )
        return head + body

    def _check(self) -> None:
        rows, cols = self.edge or (1, 1)
        for name, value, least, most in (
            ("kind", self.kind, 0, 15),
            ("scene id", self.scene_id, 0, 65_535),
            ("bytes of model hash", len(self.model), 4, 4),
            ("tile", self.tile, 0, (1 << 32) - 1),
            ("layer", self.layer, 0, MAX_LAYERS - 1),
            ("first", self.first, 0, 65_535),
            ("valid rows", rows, 1, MAX_TILE),
            ("valid columns", cols, 1, MAX_TILE),
            ("body bytes", len(self.body) + (_EDGE.size if self.edge else 0), 0, 65_535),
        ):
            if not least <= value <= most:
                raise UsageError(f"segment {name}: expected {least}..{most}, found {value}")

    @classmethod
    def unpack(cls, buffer: bytes | memoryview | mmap, offset: int = 0) -> tuple["Segment", int]:
        """Read the segment at `offset`; return it and the offset after it.

        Raises:
            StreamError: no sync mark, a newer version, cut short, reserved bits, a wrong CRC, or
                impossible edge fields.
        """
        stop = segment_end(buffer, offset)
        return cls._read(buffer, offset, stop), stop

    @classmethod
    def _read(cls, buffer: bytes | memoryview | mmap, offset: int, stop: int) -> "Segment":
        """Check the CRC and read the fields of a segment that `segment_end` found good."""
        message = bytes(buffer[offset : stop - 4])
        if crc32c(message) != int.from_bytes(buffer[stop - 4 : stop], "big"):
            raise StreamError("segment: CRC does not match")
        _, version, flags, scene_id, model, tile, first, _ = _HEAD.unpack_from(message)
        body = message[_HEAD.size :]
        edge = None
        if flags & 0x80:
            if len(body) < _EDGE.size:
                raise StreamError(f"segment: edge fields cut short: {len(body)} bytes")
            edge, body = _EDGE.unpack_from(body), body[_EDGE.size :]
            if not (1 <= edge[0] <= MAX_TILE and 1 <= edge[1] <= MAX_TILE):
                raise StreamError(f"segment edge: expected 1..{MAX_TILE} pixels, found {edge}")
        return cls(version & 15, scene_id, model, tile, flags & 15, first, edge, body)


@dataclass(frozen=True)
class Damage:
    """Bytes of a stream that are no intact segment."""

    offset: int
    length: int
    reason: str


def pack_segments(segments: Sequence[Segment]) -> list[bytes]:
    """Return the bytes of each segment, see `Segment.pack`."""
    found = []
    for first in range(0, len(segments), _CRCS_AT_ONCE):
        messages = [segment._message() for segment in segments[first : first + _CRCS_AT_ONCE]]
        crcs = crc32c_of_each(messages)
        found += [m + crc.to_bytes(4, "big") for m, crc in zip(messages, crcs, strict=True)]
    return found


def place(packed: bytes) -> tuple[int, int]:
    """Return layer and index, or pixel of a mask, at which the body of a packed segment starts."""
    _, _, flags, _, _, _, first, _ = _HEAD.unpack_from(packed)
    return flags & (MAX_LAYERS - 1), first


def segment_end(buffer: bytes | memoryview | mmap, offset: int) -> int:
    """Check the head of a segment without reading its body; return the offset after it.

    Raises:
        StreamError: no sync mark, a newer version, reserved bits, or cut short.
    """
    if len(buffer) - offset < SEGMENT_OVERHEAD:
        raise StreamError("segment: cut short in its header")
    sync, version, flags, *_, length = _HEAD.unpack_from(buffer, offset)
    if sync != SYNC:
        raise StreamError(f"segment: expected {SYNC!r}, found {sync!r}")
    if version >> 4 != MAJOR:
        raise StreamError(f"segment: expected format {MAJOR}, found {version >> 4}")
    if flags & 0x70:
        raise StreamError("segment: reserved bits are not zero")
    stop: int = offset + SEGMENT_OVERHEAD + length
    if stop > len(buffer):
        raise StreamError(f"segment: cut short, {stop - len(buffer)} bytes are missing")
    return stop


def read_segments(stream: bytes | memoryview | mmap) -> Iterator[Segment | Damage]:
    """Yield the segments of a stream and, between them, what is damaged.

    Reading resumes at the next sync mark whose segment checks. A memoryview is copied.

    Reading gives up, with a last `Damage` for the rest, when more than 16 times the stream (and
    1 MiB) went into checking marks that lead nowhere: such a stream was made to waste time.
    """
    if isinstance(stream, memoryview):
        stream = bytes(stream)
    offset = damaged_from = 0
    reason = ""
    allowed = _WASTE_PER_BYTE * len(stream) + _WASTE_ALLOWED
    while offset < len(stream):
        stop = offset
        try:
            stop = segment_end(stream, offset)
            segment = Segment._read(stream, offset, stop)
        except StreamError as error:
            reason = reason or str(error)
            allowed -= stop - offset  # nothing, unless its body was read
            if allowed < 0:
                reason = "too many false sync marks, the rest was not read"
                break
            found = stream.find(SYNC, offset + 1)
            offset = len(stream) if found < 0 else found
            continue
        if damaged_from < offset:
            yield Damage(damaged_from, offset - damaged_from, reason)
        yield segment
        offset = damaged_from = stop
        reason = ""
    if damaged_from < len(stream):
        yield Damage(damaged_from, len(stream) - damaged_from, reason)
