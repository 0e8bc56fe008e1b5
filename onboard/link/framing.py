"""Framing: bodies of tiles to segments, row of tiles by row of tiles, and what they cost."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from onboard.link.binding import bind
from onboard.link.crc import crc32c_of_each
from onboard.link.packet import PacketOptions
from onboard.link.segment import (
    CRC_BYTES,
    MAX_NARROW_TILE,
    SEGMENT_OVERHEAD,
    WIDE_BYTES,
    Kind,
    Segment,
    edge_bytes,
    heads_of,
    overhead,
)

HEADER_EVERY = 64
EDGE_BYTES = 4

Edge = tuple[int, int] | None
"""Valid rows and columns of a border tile."""
Body = tuple[int, int, bytes]
"""Starting layer and place of a segment, and its body."""
Coded = tuple[int, Edge, Sequence[Body]]
"""Number of a tile in the scene, its edge, and its segments."""
_PACKED_AT_ONCE = 64
"""Tiles, for speed; of more, memory would be held twice."""


@dataclass(frozen=True)
class Strip:
    """What a row of tiles became.

    Attributes:
        line: first line of the row; for the end of a scene, the line after the last.
        segments: packed segments, in the order of sending.
        first: how many of them are of first parts; those after begin packets of their own. None
            where there is nothing else.
    """

    line: int
    segments: list[bytes]
    first: int | None = None

    @property
    def parts(self) -> list[list[bytes]]:
        """The segments that may share packets."""
        parts = self.segments[: self.first], self.segments[self.first or len(self.segments) :]
        return [part for part in parts if part]


@dataclass(frozen=True)
class Framing:
    """What every segment of a scene has in common.

    Attributes:
        scene_id: number of the scene, u16.
        tag: tag of the model.
        run: run of the encoding.
        head: packed scene segment, repeated every `HEADER_EVERY` segments.
        segment_bytes: most bytes of a segment.
        one_layer: whether a new segment begins at every layer.
        packets: form of the packets, None for bare segments.
        rest_layer: layer from which on segments are sent apart, in packets of their own, after all
            others of their row of tiles; None for none.
    """

    scene_id: int
    tag: bytes
    run: int
    head: bytes
    segment_bytes: int
    one_layer: bool
    packets: PacketOptions | None
    rest_layer: int | None = None

    @cached_property
    def binding(self) -> bytes:
        """What binds each segment to model and run."""
        return bind(self.tag, self.run)

    @property
    def overhead(self) -> int:
        """Most bytes around the body of a narrow tile's segment, packet included, edge left out."""
        return SEGMENT_OVERHEAD + (self.packets.overhead if self.packets else 0)

    def room(self, edge: Edge, wide: bool) -> int:
        """Return the most bytes of a body, wherever in the tile it starts.

        Args:
            edge: valid rows and columns of a border tile, else None.
            wide: whether the tile's index takes four bytes.
        """
        around = SEGMENT_OVERHEAD + (WIDE_BYTES if wide else 0) + (EDGE_BYTES if edge else 0)
        return self.segment_bytes - around

    def tile(self, index: int, edge: Edge, layer: int, first: int, body: bytes) -> Segment:
        """Return a tile segment."""
        return Segment(Kind.TILE, self.scene_id, self.binding, index, layer, first, edge, body)

    def pack(self, tiles: Sequence[Coded]) -> Iterator[list[tuple[int, int, bytes]]]:
        """Yield the segments of each tile: starting layer, starting place, packed bytes."""
        bound_to = int.from_bytes(self.binding, "big")
        for start in range(0, len(tiles), _PACKED_AT_ONCE):
            part = tiles[start : start + _PACKED_AT_ONCE]
            messages = [m for tile in part for m in _messages(self.scene_id, *tile)]
            pairs = zip(messages, crc32c_of_each(messages), strict=True)
            packed = iter([m + (crc ^ bound_to).to_bytes(CRC_BYTES, "big") for m, crc in pairs])
            for _, _, bodies in part:
                yield [(*body[:2], own) for body, own in zip(bodies, packed, strict=False)]

    def mask(self, index: int, edge: Edge, first: int, body: bytes) -> bytes:
        """Return a packed nodata mask."""
        return Segment(Kind.MASK, self.scene_id, self.binding, index, 0, first, edge, body).pack()

    def around(self, edge: Edge, wide: bool) -> tuple[int, int]:
        """Return the bytes around a body that begins a layer, and around one that goes on in it.

        Args:
            edge: valid rows and columns of a border tile, else None.
            wide: whether the tile's index takes four bytes.
        """
        tile = MAX_NARROW_TILE + wide
        edge_bytes = EDGE_BYTES if edge else 0
        return overhead(tile, 0) + edge_bytes, overhead(tile, 1) + edge_bytes

    def cost(self, strips: Iterable[Strip]) -> int:
        """Return the bytes that strips take as a file or on the link, packets included."""
        return self.bytes_of(
            [len(segment) for segment in part] for strip in strips for part in strip.parts
        )

    def bytes_of(self, rows: Iterable[Sequence[int]]) -> int:
        """Return the bytes that rows of segments of these lengths take, packets included."""
        total = 0
        for lengths in rows:
            total += sum(lengths)
            if self.packets:
                total += self.packets.overhead * len(self.packets.group(lengths))
        return total


def _messages(scene_id: int, tile: int, edge: Edge, bodies: Sequence[Body]) -> list[bytes]:
    """Return all before the CRC of a tile's segments."""
    head, before = heads_of(Kind.TILE, scene_id, tile, edge), edge_bytes(edge)
    more = len(before)
    return [head(layer, at, more + len(body)) + before + body for layer, at, body in bodies]


def heads_among(count: int, written: int) -> int:
    """Return how many scene headers come among so many segments, `written` being before them."""
    before = -written % HEADER_EVERY
    return -(-max(count - before, 0) // (HEADER_EVERY - 1))
