"""Schedule: packets in the order of their worth, cut to a budget (SPEC.md, section 18)."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from mmap import mmap

import numpy as np

from onboard.downlink.request import Request
from onboard.errors import LimitError, StreamError, UsageError
from onboard.image.region import Region
from onboard.link.binding import Encoding
from onboard.link.framing import HEADER_EVERY
from onboard.link.packet import SpacePacket
from onboard.link.resync import Damage, Received, read_packets
from onboard.link.segment import Kind, Segment, unpack_segments

COARSE_LAYER = 1
"""Segments that start in this layer or before it are coarse."""
_COARSE_REGION, _COARSE, _FINE_REGION, _FINE, _REST_REGION, _REST = range(1, 7)
_FRAME = 0
_SPARE = (1 << 32) - 1
"""Key of a header that is alone in its packet: it waits to be brought forward."""
_CLASS_BITS = 29
"""Below the class; layer and place take 21, and as many times 256 where all is cloud."""
_NUMBER_BITS = 32
_HEADER, _SENT = 1 << 31, 1 << 30
_LENGTH = _SENT - 1
_CLEAR = 256
_NEAR = 50
"""A budget is filled when less than one part in this many is left."""
_LOOK_AHEAD = 1_000

Recording = bytes | mmap


@dataclass(frozen=True)
class Ranking:
    """What makes one tile more urgent than another.

    Attributes:
        clouds: cloud fraction of each tile, or any other map of what matters less; 0 for tiles
            beyond its end.
        region: tiles that come first.
        request: what is sent at all; None for everything.
        rest_layer: layer with which the rest of tiles in two parts begins, which comes after all
            first parts; None if they are not.
        rest: whether the rest is sent at all.
    """

    clouds: bytes = b""
    region: Region | None = None
    request: Request | None = None
    rest_layer: int | None = None
    rest: bool = True

    def wants(self, segments: Iterable[Segment]) -> bool:
        """Return whether a packet of these segments is sent, if there is room."""
        if not self.rest and any(map(self._is_rest, segments)):
            return False
        return self.request is None or any(map(self.request.wants, segments))

    def _is_rest(self, segment: Segment) -> bool:
        of_tile = segment.kind == Kind.TILE and self.rest_layer is not None
        return of_tile and segment.layer >= (self.rest_layer or 0)

    def key(self, segment: Segment) -> int:
        """Return how late a segment is sent: 32 bits, within a tile rising from coarse to fine."""
        if segment.kind not in (Kind.TILE, Kind.MASK):
            return _SPARE if segment.kind == Kind.SCENE else _FRAME
        chosen = self.region is not None and self.region.touches(segment.tile)
        depth = segment.layer << 16 | segment.first
        if segment.kind == Kind.MASK:
            depth = 0  # with the side information that says there is one
        if segment.layer <= COARSE_LAYER:
            return (_COARSE_REGION if chosen else _COARSE) << _CLASS_BITS | depth
        cloud = self.clouds[segment.tile] if segment.tile < len(self.clouds) else 0
        late = depth * _CLEAR // (_CLEAR - cloud)
        if self._is_rest(segment):
            return (_REST_REGION if chosen else _REST) << _CLASS_BITS | late
        return (_FINE_REGION if chosen else _FINE) << _CLASS_BITS | late


@dataclass
class Index:
    """Where the packets of a recording are, and how late each is sent; 20 bytes a packet.

    Attributes:
        ranks: key of each packet's most urgent segment, then the packet's number in the recording.
        offsets: place of each packet's first byte.
        marks: length of each packet, whether it holds a scene header, whether it is sent.
        packets: number of intact packets, those that are not asked for included.
        headers: number of packets that hold a scene header.
        damaged: number of places in the recording that hold no intact packet.
        damaged_bytes: number of bytes at those places.
    """

    ranks: "array[int]" = field(default_factory=lambda: array("Q"))
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    marks: "array[int]" = field(default_factory=lambda: array("I"))
    packets: int = 0
    headers: int = 0
    damaged: int = 0
    damaged_bytes: int = 0

    @classmethod
    def read(cls, recording: Recording, ranking: Ranking) -> "Index":
        """Index a recording of one encoding of one scene.

        Raises:
            StreamError: there is no intact packet.
            UsageError: packets of several encodings, or repair packets.
        """
        index = cls()
        encoding: Encoding | None = None
        for found in read_packets(recording):
            if isinstance(found, Damage):
                index._leave_out(found.length)
            elif found.packet is None or not found.segments:
                index._leave_out(found.stop - found.offset)
            else:
                encoding = encoding or Encoding.of(found.segments[0])
                _check(found.segments, encoding)
                if ranking.wants(found.segments):
                    index._add(found, ranking)
                index.packets += 1
        if not index.packets:
            raise StreamError("schedule: there is no intact packet")
        return index

    def _leave_out(self, length: int) -> None:
        self.damaged += 1
        self.damaged_bytes += length

    def _add(self, found: Received, ranking: Ranking) -> None:
        header = any(segment.kind == Kind.SCENE for segment in found.segments)
        self.headers += header
        key = min(map(ranking.key, found.segments))
        self.ranks.append(key << _NUMBER_BITS | len(self.ranks))
        self.offsets.append(found.offset)
        self.marks.append(found.stop - found.offset | (_HEADER if header else 0))


def _check(segments: tuple[Segment, ...], encoding: Encoding) -> None:
    for segment in segments:
        if (other := Encoding.of(segment)) != encoding:
            raise UsageError(
                "schedule: expected packets of one encoding of one scene, found scene "
                f"{encoding.scene_id} (binding {encoding.binding.hex()}) and {other.scene_id} "
                f"(binding {other.binding.hex()})"
            )
        if segment.kind == Kind.REPAIR:
            raise UsageError("schedule: found repair packets; protect what was scheduled instead")


def schedule(recording: Recording, index: Index, budget: int) -> Iterator[bytes]:
    """Yield packets as they are, the most urgent first, until the budget is spent.

    A packet that does not fit ends the order, but where much of the budget is left, later
    packets that fit are taken, none of a tile of which something was passed over. The index is
    used up.

    Args:
        recording: recording that was indexed.
        index: index of the recording.
        budget: most bytes of all packets together.

    Raises:
        LimitError: the budget is below the first two packets: scene header, and one more.
    """
    sending = _sending(index)
    opening = list(islice(sending, 2))
    least = sum(index.marks[number] & _LENGTH for number in opening)
    if budget < least:
        raise LimitError(f"budget: expected {least} bytes or more, found {budget}")
    left = budget
    for number in chain(opening, sending):
        if index.marks[number] & _LENGTH > left:
            yield from _fill(recording, index, number, sending, left, budget // _NEAR)
            return
        left -= index.marks[number] & _LENGTH
        yield _packet(recording, index, number)


def _sending(index: Index) -> Iterator[int]:
    """Yield the numbers of packets in the order of sending.

    One with a scene header comes first and after `HEADER_EVERY` packets without one: the next of
    those that have one is brought forward.
    """
    order = np.frombuffer(index.ranks, np.uint64)
    order.sort()
    order &= np.uint64((1 << _NUMBER_BITS) - 1)
    headers = (int(n) for n in order if index.marks[n] & (_HEADER | _SENT) == _HEADER)
    without = HEADER_EVERY
    for number in map(int, order):
        if index.marks[number] & _SENT:
            continue
        early = None
        if without >= HEADER_EVERY and not index.marks[number] & _HEADER:
            early = next(headers, None)
        for chosen in (number,) if early is None else (early, number):
            index.marks[chosen] |= _SENT
            without = 0 if index.marks[chosen] & _HEADER else without + 1
            yield chosen


def _fill(
    recording: Recording, index: Index, passed: int, rest: Iterator[int], left: int, enough: int
) -> Iterator[bytes]:
    """Yield packets after one that was too long, until `enough` or fewer bytes are left."""
    blocked: set[int] = set()
    for number in chain([passed], islice(rest, _LOOK_AHEAD)):
        if left <= enough:
            return
        packet = _packet(recording, index, number)
        tiles = _tiles(packet)
        if len(packet) <= left and not tiles & blocked:
            left -= len(packet)
            yield packet
        else:
            blocked |= tiles


def _tiles(packet: bytes) -> set[int]:
    """Return the tiles of which a packet holds something."""
    segments = unpack_segments(SpacePacket.unpack(packet)[0].segments)
    return {segment.tile for segment in segments if segment.kind in (Kind.TILE, Kind.MASK)}


def _packet(recording: Recording, index: Index, number: int) -> bytes:
    first = index.offsets[number]
    return bytes(recording[first : first + (index.marks[number] & _LENGTH)])
