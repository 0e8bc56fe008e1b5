"""Resync: what is intact in a damaged stream or recording."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from mmap import mmap
from typing import TypeVar

from onboard.errors import StreamError
from onboard.link.binding import allowance, bindings_of, findable, next_sync
from onboard.link.packet import IDLE_APID, PACKET_OVERHEAD, PacketHead, SpacePacket
from onboard.link.segment import SYNC, Buffer, Head, Segment, unpack_segments

GIVEN_UP = "too many false sync marks, the rest was not read"
"""Reason of a damage that nobody searched for what is intact in it."""
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


def read_segments(
    stream: Buffer, bindings: Collection[bytes] | None = None
) -> Iterator[Segment | Damage]:
    """Yield the segments of a stream and, between them, what is damaged.

    Reading resumes at the next sync mark whose segment checks, and may give up, see `resync`. A
    memoryview is copied.

    Args:
        stream: segments back to back.
        bindings: those that tiles and masks may have, None for those of which the stream tells: see
            `bindings_of`.
    """
    searched = findable(stream)
    known = bindings_of(searched) if bindings is None else bindings

    def read(head: Head, offset: int) -> Segment:
        return Segment.of(head, searched, offset, known)

    yield from resync(searched, partial(Head.read, searched), read, partial(next_sync, searched))


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
    stream: Buffer, bindings: Collection[bytes] | None = None
) -> Iterator[Segment | Damage]:
    """Yield the segments of a stream, bare or in packets, and what is damaged.

    Args:
        stream: segments or packets back to back.
        bindings: those that tiles and masks may have, None for those of which the stream tells.
    """
    if not is_packets(stream):
        yield from read_segments(stream, bindings)
        return
    for found in read_packets(stream, bindings):
        if isinstance(found, Damage):
            yield found
        else:
            yield from found.segments


def read_packets(
    stream: Buffer, bindings: Collection[bytes] | None = None
) -> Iterator[Received | Damage]:
    """Yield the packets of a recording and, between them, what is damaged.

    A packet of which something is damaged is passed over, but its intact segments are yielded each
    alone. Idle packets are skipped. Reading may give up, see `resync`.

    Args:
        stream: packets back to back.
        bindings: those that tiles and masks may have, None for those of which the stream tells.
    """
    searched = findable(stream)
    known = bindings_of(searched) if bindings is None else bindings

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
    mark = next_sync(stream, offset)
    before = mark - PACKET_OVERHEAD
    return before if offset < before and mark < len(stream) else mark
