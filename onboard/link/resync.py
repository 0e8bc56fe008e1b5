"""Resync: what is intact in a damaged stream or recording, and of which models it may be."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap

from onboard.errors import StreamError
from onboard.link.packet import IDLE_APID, PACKET_OVERHEAD, PRIMARY_BYTES, SpacePacket, read_head
from onboard.link.segment import BOUND, SYNC, Buffer, Head, Segment, told_tag, unpack_segments


class _EveryModel(frozenset[bytes]):
    """All tags there are."""

    def __contains__(self, tag: object) -> bool:
        return True


EVERY_MODEL = _EveryModel()
"""For packets that are known to be intact: their segments may be of any model."""
MAX_MODELS = 256
"""Models of which there may be segments in what was received together."""
_WASTE_PER_BYTE = 16
_WASTE_ALLOWED = 1 << 20
_MOST_HEARD_ONCE = 1 << 16

Place = tuple[int, int, int, int]


@dataclass(frozen=True)
class Damage:
    """Bytes of a stream that are no intact segment."""

    offset: int
    length: int
    reason: str


class ModelTags:
    """Tags of the models of which there are segments in what was received (SPEC.md, section 2).

    Those that a scene header, end or repair segment names; of a scene of which none was heard,
    those on which two tile or mask segments agree. What is kept in mind is bounded: 256 models of
    either kind, and the last 65,536 tags told once (an intact scene needs one of these).
    """

    def __init__(self) -> None:
        self._named: set[bytes] = set()
        self._told: set[int] = set()
        self._once: dict[tuple[int, bytes], Place] = {}
        self._agreed: set[tuple[int, bytes]] = set()

    @property
    def known(self) -> frozenset[bytes]:
        """The tags, as far as was heard."""
        agreed = (tag for scene_id, tag in self._agreed if scene_id not in self._told)
        return frozenset(self._named.union(agreed))

    def hear(self, stream: Buffer) -> None:
        """Take a stream, or the next part of one that ends with a segment.

        In a scene whose model is named no tile is looked at. Listening ends, as reading does, when
        more than 16 times the stream (and 1 MiB) went into it.
        """
        searched = findable(stream)
        self._hear_names(searched)
        self._hear_tiles(searched)

    def _hear_names(self, stream: bytes | mmap) -> None:
        allowed = allowance(stream)
        for offset, head in _heads(stream):
            if head.kind in BOUND:
                continue
            if (allowed := allowed - head.size) < 0:
                return
            with suppress(StreamError):
                segment = Segment.of(head, stream, offset, ())
                if len(self._named) < MAX_MODELS:
                    self._named.add(segment.model)
                if segment.model in self._named:
                    self._told.add(segment.scene_id)

    def _hear_tiles(self, stream: bytes | mmap) -> None:
        allowed = allowance(stream)
        for offset, head in _heads(stream):
            if head.kind not in BOUND or head.scene_id in self._told:
                continue
            if (allowed := allowed - head.size) < 0:
                return
            key = head.scene_id, told_tag(bytes(stream[offset : offset + head.size]))
            place = head.kind, head.tile, head.layer, head.first
            if self._once.setdefault(key, place) != place:
                if len(self._agreed) < MAX_MODELS:
                    self._agreed.add(key)
            elif len(self._once) > _MOST_HEARD_ONCE:
                del self._once[next(iter(self._once))]


def models_of(*streams: Buffer) -> frozenset[bytes]:
    """Return the tags of the models that are known from some streams, see `ModelTags`."""
    tags = ModelTags()
    for stream in streams:
        tags.hear(stream)
    return tags.known


def read_segments(
    stream: Buffer, models: Collection[bytes] | None = None
) -> Iterator[Segment | Damage]:
    """Yield the segments of a stream and, between them, what is damaged.

    Reading resumes at the next sync mark whose segment checks. A memoryview is copied.

    Reading gives up, with a last `Damage` for the rest, when more than 16 times the stream (and
    1 MiB) went into checking marks that lead nowhere: such a stream was made to waste time.

    Args:
        stream: segments back to back.
        models: tags of the models that tiles and masks may be of; None takes those of which the
            stream itself tells, see `models_of`.
    """
    stream = findable(stream)
    models = models_of(stream) if models is None else models
    offset = damaged_from = 0
    reason = ""
    allowed = allowance(stream)
    while offset < len(stream):
        size = 0
        try:
            head = Head.read(stream, offset)
            size = head.size
            segment = Segment.of(head, stream, offset, models)
        except StreamError as error:
            reason = reason or str(error)
            allowed -= size  # nothing, unless its body was read
            if allowed < 0:
                reason = "too many false sync marks, the rest was not read"
                break
            found = stream.find(SYNC, offset + 1)
            offset = len(stream) if found < 0 else found
            continue
        if damaged_from < offset:
            yield Damage(damaged_from, offset - damaged_from, reason)
        yield segment
        offset = damaged_from = offset + size
        reason = ""
    if damaged_from < len(stream):
        yield Damage(damaged_from, len(stream) - damaged_from, reason)


def allowance(stream: Buffer) -> int:
    """Return the bytes that may be read for nothing before a stream is given up."""
    return _WASTE_PER_BYTE * len(stream) + _WASTE_ALLOWED


def findable(stream: Buffer) -> bytes | mmap:
    """Return a stream in which bytes can be looked for."""
    return bytes(stream) if isinstance(stream, memoryview) else stream


def _heads(stream: bytes | mmap) -> Iterator[tuple[int, Head]]:
    """Yield offset and head of whatever may be a segment, one in another included."""
    offset = stream.find(SYNC)
    while offset >= 0:
        with suppress(StreamError):
            yield offset, Head.read(stream, offset)
        offset = stream.find(SYNC, offset + 1)


@dataclass(frozen=True)
class Received:
    """What was found in a recording between two places: a whole packet, or a segment without one.

    Attributes:
        offset: of the first byte.
        stop: after the last.
        packet: None if its header or error control is damaged.
        segments: of the packet, all intact.
    """

    offset: int
    stop: int
    packet: SpacePacket | None
    segments: tuple[Segment, ...]


def is_packets(stream: Buffer) -> bool:
    """Say whether a recording begins like packets rather than like bare segments."""
    return len(stream) > 0 and stream[0] >> 5 == 0


def read_stream(
    stream: Buffer, models: Collection[bytes] | None = None
) -> Iterator[Segment | Damage]:
    """Yield the segments of a stream, bare or in packets, and what is damaged.

    Args:
        stream: what was received.
        models: see `read_segments`.
    """
    if not is_packets(stream):
        yield from read_segments(stream, models)
        return
    for found in read_packets(stream, models):
        if isinstance(found, Damage):
            yield found
        else:
            yield from found.segments


def read_packets(
    stream: Buffer, models: Collection[bytes] | None = None
) -> Iterator[Received | Damage]:
    """Yield the packets of a recording and, between them, what is damaged.

    A packet of which something is damaged is passed over, but its intact segments are yielded each
    alone. Idle packets are skipped. Reading gives up, with a last `Damage` for the rest, when more
    than 16 times the stream (and 1 MiB) went into checking marks that lead nowhere.

    Args:
        stream: packets back to back.
        models: see `read_segments`.
    """
    stream = findable(stream)
    models = models_of(stream) if models is None else models
    offset = damaged_from = 0
    reason = ""
    allowed = allowance(stream)
    while offset < len(stream):
        try:
            found, stop = _found_at(stream, offset, models)
        except StreamError as error:
            reason = reason or str(error)
            allowed -= _claimed(stream, offset)
            if allowed < 0:
                reason = "too many false sync marks, the rest was not read"
                break
            offset = _next_candidate(stream, offset)
            continue
        if damaged_from < offset:
            yield Damage(damaged_from, offset - damaged_from, reason)
        if found is not None:
            yield found
        offset = damaged_from = stop
        reason = ""
    if damaged_from < len(stream):
        yield Damage(damaged_from, len(stream) - damaged_from, reason)


def _found_at(
    stream: bytes | mmap, offset: int, models: Collection[bytes]
) -> tuple[Received | None, int]:
    """Return the packet or the segment at `offset`, None for an idle packet, and where it ends.

    Raises:
        StreamError: there is neither.
    """
    if stream[offset : offset + 2] == SYNC:
        segment, stop = Segment.unpack(stream, offset, models)
        return Received(offset, stop, None, (segment,)), stop
    if _is_idle(stream, offset):
        return None, _packet_end(stream, offset)
    packet, stop = SpacePacket.unpack(stream, offset)
    return Received(offset, stop, packet, unpack_segments(packet.segments, models)), stop


def _is_idle(stream: bytes | mmap, offset: int) -> bool:
    """Say whether an idle packet begins here: its end must be the stream's or another packet."""
    if len(stream) - offset < PRIMARY_BYTES or (stream[offset] & 0xF7, stream[offset + 1]) != (
        IDLE_APID >> 8,
        IDLE_APID & 255,
    ):
        return False
    stop = _packet_end(stream, offset)
    following = stream[stop : stop + 1]
    return stop == len(stream) or (stop < len(stream) and following[0] >> 4 == 0)


def _packet_end(stream: bytes | mmap, offset: int) -> int:
    return offset + PRIMARY_BYTES + 1 + int.from_bytes(stream[offset + 4 : offset + 6], "big")


def _claimed(stream: bytes | mmap, offset: int) -> int:
    """Return the bytes that checking this place may have read."""
    try:
        if stream[offset : offset + 2] == SYNC:
            return Head.read(stream, offset).size
        return read_head(stream, offset)[-1] - offset
    except StreamError:
        return 0


def _next_candidate(stream: bytes | mmap, offset: int) -> int:
    """Return where a packet, or failing that a segment, may begin after a place where none does."""
    mark = stream.find(SYNC, offset + 1)
    if mark < 0:
        return len(stream)
    return mark - PACKET_OVERHEAD if mark - PACKET_OVERHEAD > offset else mark
