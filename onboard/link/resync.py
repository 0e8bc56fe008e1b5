"""Resync: what is intact in a damaged stream or recording, and of which models it may be."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from mmap import mmap
from typing import TypeVar

from onboard.errors import StreamError
from onboard.link.packet import IDLE_APID, PACKET_OVERHEAD, PacketHead, SpacePacket
from onboard.link.segment import BOUND, SYNC, Buffer, Head, Segment, told_tag, unpack_segments

MAX_MODELS = 256
"""Models of which there may be segments in what was received together."""
GIVEN_UP = "too many false sync marks, the rest was not read"
"""Reason of a damage that nobody searched for what is intact in it."""
_WASTE_PER_BYTE = 16
_WASTE_ALLOWED = 1 << 20
_MOST_HEARD_ONCE = 1 << 16

Place = tuple[int, int, int, int]
AnyHead = TypeVar("AnyHead", bound=Head | PacketHead)
Intact = TypeVar("Intact")


@dataclass(frozen=True)
class Damage:
    """Bytes of a stream that are no intact segment.

    Attributes:
        offset: place of the first byte in the stream.
        length: number of bytes.
        reason: error that was met at the first byte, or why the rest was not read.
    """

    offset: int
    length: int
    reason: str


def resync(
    stream: bytes | mmap,
    head_at: Callable[[int], AnyHead],
    read: Callable[[AnyHead, int], Intact | None],
    next_mark: Callable[[int], int],
) -> Iterator[Intact | Damage]:
    """Yield what is intact in a stream and, between, what is damaged.

    What begins at an offset is intact if `head_at` and `read` both accept it; reading goes on right
    behind it. If not, it goes on at the next mark, and all bytes from there to what is intact next
    are one `Damage`, with the first of the errors as its reason.

    What has a head but is not intact was read for nothing: it wastes the size that its head tells.
    A place without a head wastes nothing. Reading gives up, with a last `Damage` for the rest, when
    the waste is more than `allowance`: such a stream was made to waste time.

    Args:
        stream: bytes to search.
        head_at: reader of the head of what begins at an offset and ends within the stream; a
            StreamError says that there is none.
        read: reader of what has this head, at this offset; None passes it over in silence, a
            StreamError says that it is not intact.
        next_mark: search for where, after an offset, something may begin; it gives the stream's
            end if that is nowhere.
    """
    offset = damaged_from = 0
    reason = ""
    allowed = allowance(stream)
    while offset < len(stream):
        size = 0
        try:
            head = head_at(offset)
            size = head.size
            found = read(head, offset)
        except StreamError as error:
            reason = reason or str(error)
            allowed -= size  # nothing, unless there was a head
            if allowed < 0:
                reason = GIVEN_UP
                break
            offset = next_mark(offset)
            continue
        if damaged_from < offset:
            yield Damage(damaged_from, offset - damaged_from, reason)
        if found is not None:
            yield found
        offset = damaged_from = offset + size
        reason = ""
    if damaged_from < len(stream):
        yield Damage(damaged_from, len(stream) - damaged_from, reason)


def allowance(stream: bytes | mmap) -> int:
    """Return the bytes that may be read for nothing before a stream is given up."""
    return _WASTE_PER_BYTE * len(stream) + _WASTE_ALLOWED


def _findable(stream: Buffer) -> bytes | mmap:
    """Return a stream in which bytes can be looked for."""
    return bytes(stream) if isinstance(stream, memoryview) else stream


def _next_sync(stream: bytes | mmap, offset: int) -> int:
    """Return where the next sync mark after an offset is, the stream's end if there is none."""
    found = stream.find(SYNC, offset + 1)
    return len(stream) if found < 0 else found


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
        searched = _findable(stream)
        for offset, head in _heads(searched, self._may_name):
            with suppress(StreamError):
                self._hear_name(Segment.of(head, searched, offset, ()))
        for offset, head in _heads(searched, self._may_tell):
            self._hear_tile(head, told_tag(bytes(searched[offset : offset + head.size])))

    def _may_name(self, head: Head) -> bool:
        return head.kind not in BOUND

    def _may_tell(self, head: Head) -> bool:
        return head.kind in BOUND and head.scene_id not in self._told

    def _hear_name(self, segment: Segment) -> None:
        if len(self._named) < MAX_MODELS:
            self._named.add(segment.model)
        if segment.model in self._named:
            self._told.add(segment.scene_id)

    def _hear_tile(self, head: Head, tag: bytes) -> None:
        key = head.scene_id, tag
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


def _heads(stream: bytes | mmap, wanted: Callable[[Head], bool]) -> Iterator[tuple[int, Head]]:
    """Yield offset and head of whatever may be a wanted segment, one in another included.

    This ends before the segments are more than `allowance` together.
    """
    allowed = allowance(stream)
    offset = -1
    while (offset := _next_sync(stream, offset)) < len(stream):
        try:
            head = Head.read(stream, offset)
        except StreamError:
            continue
        if wanted(head):
            allowed -= head.size
            if allowed < 0:
                return
            yield offset, head


def read_segments(
    stream: Buffer, models: Collection[bytes] | None = None
) -> Iterator[Segment | Damage]:
    """Yield the segments of a stream and, between them, what is damaged.

    Reading resumes at the next sync mark whose segment checks, and may give up, see `resync`. A
    memoryview is copied.

    Args:
        stream: segments back to back.
        models: tags that tiles and masks may have, None for those of which the stream tells: see
            `models_of`.
    """
    searched = _findable(stream)
    known = models_of(searched) if models is None else models

    def read(head: Head, offset: int) -> Segment:
        return Segment.of(head, searched, offset, known)

    yield from resync(searched, partial(Head.read, searched), read, partial(_next_sync, searched))


@dataclass(frozen=True)
class Received:
    """What was found in a recording between two places: a whole packet, or a segment without one.

    Attributes:
        offset: place of the first byte in the recording.
        stop: place after the last byte.
        packet: whole packet, None if there is none around the segment or it is damaged.
        segments: segments of the packet, or the one without, all intact.
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
        stream: segments or packets back to back.
        models: tags that tiles and masks may have, None for those of which the stream tells.
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
    alone. Idle packets are skipped. Reading may give up, see `resync`.

    Args:
        stream: packets back to back.
        models: tags that tiles and masks may have, None for those of which the stream tells.
    """
    searched = _findable(stream)
    known = models_of(searched) if models is None else models

    def read(head: Head | PacketHead, offset: int) -> Received | None:
        stop = offset + head.size
        if isinstance(head, Head):
            segment = Segment.of(head, searched, offset, known)
            return Received(offset, stop, None, (segment,))
        if head.apid == IDLE_APID:
            return None
        packet = SpacePacket.of(head, searched, offset)
        return Received(offset, stop, packet, unpack_segments(packet.segments, known))

    yield from resync(searched, partial(_head_at, searched), read, partial(_next_packet, searched))


def _head_at(stream: bytes | mmap, offset: int) -> Head | PacketHead:
    """Return the head of the segment, the idle packet or the packet of ours at an offset.

    Raises:
        StreamError: there is none of them.
    """
    if stream[offset : offset + 2] == SYNC:
        return Head.read(stream, offset)
    return PacketHead.idle(stream, offset) or PacketHead.read(stream, offset)


def _next_packet(stream: bytes | mmap, offset: int) -> int:
    """Return where a packet, or failing that a segment, may begin after a place where none does."""
    mark = _next_sync(stream, offset)
    before = mark - PACKET_OVERHEAD
    return before if offset < before and mark < len(stream) else mark
