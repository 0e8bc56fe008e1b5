"""Foreign: what of a recording is other traffic, and not damage of ours (SPEC.md, section 14)."""

import re
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass

from onboard.errors import StreamError
from onboard.link.packet import (
    PACKET_OVERHEAD,
    PRIMARY_BYTES,
    UNSEGMENTED,
    PacketHead,
)
from onboard.link.resync import GIVEN_UP, Damage, Received, read_packets
from onboard.link.segment import SYNC, Buffer, Segment

_FILL = re.compile(rb"\x00+|\x55+|\xaa+|\xff+")
_FILL_BYTES = b"\x00\x55\xaa\xff"


@dataclass(frozen=True)
class Foreign:
    """Bytes of a recording that are packets of other applications, idle packets or fill.

    Attributes:
        offset: place of the first byte in the recording.
        length: number of bytes.
    """

    offset: int
    length: int


def read_traffic(
    recording: Buffer, bindings: Collection[bytes], apids: Iterable[int] = ()
) -> Iterator[Received | Foreign | Damage]:
    """Yield all that is in a recording of packets, of bare segments or of both.

    Args:
        recording: packets or segments, and whatever else was received.
        bindings: those that tiles and masks may have, see `bindings_of`.
        apids: APIDs of ours that are known already: by them a damaged packet is told from a
            foreign one.
    """
    ours = set(apids)
    offset = 0
    for found in read_packets(recording, bindings):
        if found.offset > offset:  # idle packets
            yield Foreign(offset, found.offset - offset)
        if isinstance(found, Damage):
            yield from _sorted_out(recording, found, ours)
            offset = found.offset + found.length
            continue
        if found.packet is not None:
            ours.add(found.packet.apid)
        yield found
        offset = found.stop
    if offset < len(recording):
        yield Foreign(offset, len(recording) - offset)


def read_ours(recording: Buffer, bindings: Collection[bytes]) -> Iterator[Segment | Damage]:
    """Yield the segments of a recording and what is damaged, see `read_traffic`."""
    for found in read_traffic(recording, bindings):
        if isinstance(found, Damage):
            yield found
        elif isinstance(found, Received):
            yield from found.segments


def _sorted_out(
    recording: Buffer, damage: Damage, apids: Container[int]
) -> Iterator[Foreign | Damage]:
    """Yield what of bytes without an intact segment is foreign, and what is damage.

    Args:
        recording: recording that the damage is of.
        damage: bytes between what is intact.
        apids: APIDs of ours, as far as known: a packet like ours with one of them is damaged.
    """
    if damage.reason == GIVEN_UP:  # there may be anything in it
        yield damage
        return
    offset, stop = damage.offset, damage.offset + damage.length
    while offset < stop:
        after = _after_foreign(recording, offset, stop, apids)
        if after > offset:
            yield Foreign(offset, after - offset)
        if after < stop:
            size = _packet_size(recording, after, stop) or stop - after
            yield Damage(after, size, damage.reason)
            after += size
        offset = after


def _after_foreign(recording: Buffer, offset: int, stop: int, apids: Container[int]) -> int:
    """Return where foreign packets and fill end that begin at an offset."""
    while offset < stop:
        size = _packet_size(recording, offset, stop)
        if size:
            if _is_like_ours(recording, offset, apids):
                return offset
        elif not (size := _fill_size(recording, offset, stop)):
            return offset
        offset += size
    return offset


def _packet_size(recording: Buffer, offset: int, stop: int) -> int:
    """Return the bytes of a packet that is whole before `stop`, 0 if there is none.

    Little in a packet can be checked: it must also end where another or fill seems to begin.
    """
    if stop - offset <= PRIMARY_BYTES:
        return 0
    identity, sequence, length = (
        int.from_bytes(recording[place : place + 2], "big")
        for place in range(offset, offset + PRIMARY_BYTES, 2)
    )
    size = PRIMARY_BYTES + 1 + length
    after = offset + size
    if identity >> 13 or (not identity and sequence & UNSEGMENTED != UNSEGMENTED):
        return 0  # another version, or fill of zeros
    if after > stop or (after < stop and not _may_begin(recording[after])):
        return 0
    return size


def _may_begin(first: int) -> bool:
    """Say whether a packet or fill may begin with a byte."""
    return first >> 5 == 0 or first in _FILL_BYTES


def _fill_size(recording: Buffer, offset: int, stop: int) -> int:
    """Return the bytes of fill at an offset; its last zeros may belong to a packet behind it."""
    run = _FILL.match(recording, offset, stop)
    size = run.end() - offset if run else 0
    if recording[offset]:
        return size
    return size - 2 if size > 2 else min(size, 1)


def _is_like_ours(recording: Buffer, offset: int, apids: Container[int]) -> bool:
    """Say whether a whole packet has the form of ours, and an APID of ours or a segment in it."""
    try:
        head = PacketHead.read(recording, offset)
    except StreamError:
        return False
    if head.size <= PACKET_OVERHEAD:
        return False
    first = offset + PACKET_OVERHEAD
    return head.apid in apids or bytes(recording[first : first + len(SYNC)]) == SYNC
