"""Merge: recordings of one pass by several stations, united into one."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from ground.station.heard import Heard
from ground.station.recording import Bytes, Found, read_recording, restored_packets
from onboard.link.binding import Encoding, bindings_of
from onboard.link.packet import MAX_PACKET_BYTES, PACKET_OVERHEAD, SEQUENCES, SpacePacket
from onboard.link.resync import Damage
from onboard.link.segment import Kind, Segment


class Place(NamedTuple):
    """What makes a segment this one and no other; places sort as the encoder writes."""

    scene_id: int
    binding: bytes
    tile: int
    kind: int
    layer: int
    first: int


_END_TILE = 1 << 32


@dataclass(frozen=True)
class Merged:
    """The union of recordings.

    Attributes:
        recording: packets back to back; bare segments if no packet had an intact header.
        segments: number of distinct segments, scene headers once a scene.
        contradictions: number of places for which intact segments said different things.
        damaged_bytes: damaged bytes of all recordings.
        encodings: what was heard of each encoding; they are kept apart.
    """

    recording: bytes
    segments: int
    contradictions: list[Place]
    damaged_bytes: int
    encodings: dict[Encoding, Heard]


@dataclass
class _Union:
    """What all stations have.

    Attributes:
        votes: number of stations that have each segment, by place, in the order of reading.
        packets: distinct packets with an intact header, and the segments of each.
        encodings: what was heard of each encoding.
    """

    votes: dict[Place, Counter[Segment]] = field(default_factory=dict)
    packets: dict[SpacePacket, tuple[Segment, ...]] = field(default_factory=dict)
    encodings: dict[Encoding, Heard] = field(default_factory=dict)

    def add(self, station: Iterable[Found]) -> None:
        """Add a recording; each distinct segment of it is one vote."""
        heard: dict[Segment, None] = {}
        for found in station:
            heard.update(dict.fromkeys(found.segments))
            for segment in found.segments:
                self.encodings.setdefault(Encoding.of(segment), Heard()).add(segment, found.packet)
            if found.packet is not None and all(s.kind != Kind.REPAIR for s in found.segments):
                self.packets.setdefault(found.packet, found.segments)
        for segment in heard:
            if segment.kind != Kind.REPAIR:
                self.votes.setdefault(_place(segment), Counter())[segment] += 1


def merge(recordings: Sequence[Bytes], bindings: Collection[bytes] = ()) -> Merged:
    """Unite recordings.

    Args:
        recordings: recordings of the stations, as `open_recording` gives them.
        bindings: those known besides the ones of which the recordings tell.

    A packet is taken as it is, once, if it brings anything new. Segments that are only found in
    damaged packets are put into new ones: these have the APID and the time of the packet before
    them, and the next sequence count. All are sorted by scene, binding and the tile with which
    they begin, as they were made on board.

    Where intact segments contradict each other, that of most stations is believed, of as many the
    one read first. Repair packets are used, and left out of the union, since the sequence counts
    that they rest on are no longer those of the sender.
    """
    union, damaged = _Union(), 0
    restored = restored_packets(recordings, bindings)
    bindings = bindings_of(*recordings, restored).union(bindings)
    for recording in (*recordings, restored):
        items = list(read_recording(recording, bindings))
        damaged += sum(item.length for item in items if isinstance(item, Damage))
        union.add(item for item in items if isinstance(item, Found))
    # `max` takes the first of several, and a Counter keeps the order of reading.
    believed = {place: max(votes, key=votes.__getitem__) for place, votes in union.votes.items()}
    contradictions = sorted(place for place, votes in union.votes.items() if len(votes) > 1)
    packets = _whole_packets(union, believed)
    if packets:
        merged = b"".join(packet.pack() for packet in _with_strays(packets, believed))
    else:
        merged = b"".join(believed[place].pack() for place in sorted(believed))
    return Merged(merged, len(believed), contradictions, damaged, union.encodings)


def _place(segment: Segment) -> Place:
    """Return where a segment belongs; the sort order is that of the encoder."""
    if segment.kind == Kind.SCENE:
        return Place(*Encoding.of(segment), -1, segment.kind, 0, 0)
    tile = _END_TILE if segment.kind == Kind.END else segment.tile
    return Place(*Encoding.of(segment), tile, segment.kind, segment.layer, segment.first)


def _first_place(segments: Sequence[Segment]) -> Place:
    """Return where a packet belongs: by its first segment that is no scene header."""
    places = [_place(segment) for segment in segments]
    return next((place for place in places if place.tile >= 0), places[0])


def _whole_packets(
    union: _Union, believed: dict[Place, Segment]
) -> list[tuple[SpacePacket, tuple[Segment, ...]]]:
    """Return the packets, sorted, of which all is believed and something is new."""
    taken: set[Place] = set()
    packets = []
    for packet, segments in union.packets.items():
        places = {_place(segment) for segment in segments}
        if places <= taken or any(believed[_place(s)] != s for s in segments):
            continue
        taken |= places
        packets.append((packet, segments))
    return sorted(packets, key=lambda item: _first_place(item[1]))


def _with_strays(
    packets: list[tuple[SpacePacket, tuple[Segment, ...]]], believed: dict[Place, Segment]
) -> Iterator[SpacePacket]:
    """Yield packets, and between them those made of segments that no whole packet has."""
    had = {_place(segment) for _, segments in packets for segment in segments}
    strays = [believed[place] for place in sorted(believed) if place not in had]
    stops = [_first_place(segments) for _, segments in packets]
    room = max(len(packet.segments) for packet, _ in packets)
    previous = packets[0][0]
    number = 0
    for (packet, _), stop in zip(packets, stops, strict=True):
        first = number
        while number < len(strays) and _place(strays[number]) < stop:
            number += 1
        yield from _packed(strays[first:number], (previous, packet), room)
        yield packet
        previous = packet
    yield from _packed(strays[number:], (previous,), room)


def _encoding(packet: SpacePacket) -> Encoding:
    return Encoding.of(Segment.unpack(packet.segments)[0])


def _packed(
    strays: Sequence[Segment], near: Sequence[SpacePacket], room: int
) -> Iterator[SpacePacket]:
    """Yield packets of segments, each as full as a packet of the recordings.

    Of the packets before and after, one of the same encoding tells APID and time, that before
    better than that after.
    """
    room = min(room, MAX_PACKET_BYTES - PACKET_OVERHEAD - 2)
    for encoding, some in groupby(strays, Encoding.of):
        like = next((packet for packet in near if _encoding(packet) == encoding), near[0])
        group = b""
        for stray in [segment.pack() for segment in some]:
            if group and len(group) + len(stray) > room:
                yield _after(like, group)
                group = b""
            group += stray
        yield _after(like, group)


def _after(like: SpacePacket, segments: bytes) -> SpacePacket:
    return replace(like, sequence=(like.sequence + 1) % SEQUENCES, segments=segments)
