"""Protect: packets as they are to be sent, with repair packets between (SPEC.md, section 15).

The last step before the radio: it numbers the packets in the order of sending and puts repair
packets after each group of them. The sequence count of a plain packet then tells its place in the
group. Each has error control: a header that is damaged unnoticed would spoil its group.
"""

import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from mmap import mmap

from onboard.errors import LimitError, StreamError, UsageError
from onboard.link.binding import bindings_of
from onboard.link.erasure import encode
from onboard.link.packet import IDLE_APID, SEQUENCES, SpacePacket
from onboard.link.repair import (
    MAX_GROUP,
    MAX_GROUP_BYTES,
    SYMBOL_SKIPS,
    Repair,
    known_packet,
    symbols_of,
)
from onboard.link.resync import Damage, Received, read_packets
from onboard.link.segment import Kind, Segment

MAX_SENT_TOGETHER = 8_191
"""Packets and repair packets of a group that `protect` sends: less than half the counts."""

MAX_PROTECTED_BYTES = 65_496
"""Bytes of a protected packet, error control included, whose repair packet is still a packet."""

_ELEMENTS_AT_ONCE = 1 << 18

Buffer = bytes | mmap


class _EveryModel(frozenset[bytes]):
    """All tags there are, for packets that are known to be intact."""

    def __contains__(self, tag: object) -> bool:
        return True


def protect(recording: Buffer, size: int, rows: int) -> Iterator[bytes]:
    """Yield packets as they are to be sent, and after each group of them its repair packets.

    Each packet gets a new sequence count, in the order of sending, and error control. What is not a
    whole packet is passed on as it is, without protection; idle packets are left out.

    Args:
        recording: packets of one APID.
        size: number of packets in a group, 1..4,096.
        rows: number of repair packets for each group, at least 1; at most 8,191 with the group.

    Raises:
        UsageError: arguments out of range; packets of several APIDs, or protected already.
        StreamError: there is no whole packet.
        LimitError: a group or a packet is too long.
    """
    if not (1 <= size <= MAX_GROUP and 1 <= rows <= MAX_SENT_TOGETHER - size):
        raise UsageError(
            f"protect: expected groups of 1..{MAX_GROUP} packets and 1 or more for repair, "
            f"{MAX_SENT_TOGETHER} in all, found {size} and {rows}"
        )
    series = zlib.crc32(recording, zlib.crc32(struct.pack(">HH", size, rows)))
    group: list[bytes] = []
    number = longest = 0
    for found in _one_application(recording):
        if isinstance(found, bytes):
            yield found
            continue
        packed = replace(found, sequence=number % SEQUENCES, control=True).pack()
        longest = _join(group, packed, longest)
        yield packed
        number += 1
        if len(group) == size:
            yield from _repair_packets(group, series, number - size, range(rows), number)
            number += rows
            group, longest = [], 0
    if group:
        yield from _repair_packets(group, series, number - len(group), range(rows), number)
    if not number:
        raise StreamError("protect: expected space packets (.pkt), found no whole one")


def extend(recording: Buffer, rows: range, only: Collection[int] | None = None) -> Iterator[bytes]:
    """Yield further repair packets, without the plain ones, with sequence counts from 0.

    Args:
        recording: packets that `protect` gave.
        rows: numbers of the rows of the code; those that `protect` made are 0, 1, ...
        only: numbers of the first packets of the groups wanted; None for all.

    Raises:
        UsageError: no rows, or some that do not exist.
        StreamError: a group is not there, or a packet of it is damaged or not in its place.
        LimitError: there are too many packets without a repair packet.
    """
    if not rows:
        raise UsageError(f"extend: expected rows of the code, found {rows}")
    made, lacking = 0, set(only or ())
    for repair, group in _groups(recording):
        if only is not None and repair.first not in only:
            continue
        numbers = range(repair.first, repair.first + repair.size)
        if [_sequence(packed) for packed in group] != [i % SEQUENCES for i in numbers]:
            raise StreamError(
                f"group {repair.first}: expected its {repair.size} packets, whole and in order, "
                f"found {len(group)}"
            )
        yield from _repair_packets(group, repair.series, repair.first, rows, made)
        made += len(rows)
        lacking.discard(repair.first)
    if lacking or not made:
        wanted = f"groups {sorted(lacking)}" if lacking else "a group with a repair packet"
        raise StreamError(f"protected packets: expected {wanted}, found none")


def _groups(recording: Buffer) -> Iterator[tuple[Repair, list[bytes]]]:
    """Yield the groups of protected packets, each with the first repair packet after it."""
    group: list[bytes] = []
    longest = 0
    for found in read_packets(recording, _bindings_of(recording)):
        known = known_packet(found)
        if isinstance(known, SpacePacket):
            longest = _join(group, known.pack(), longest)
        elif known is not None and group:
            yield known, group
            group, longest = [], 0


def _sequence(packed: bytes) -> int:
    return int.from_bytes(packed[2:4], "big") % SEQUENCES


def _bindings_of(recording: Buffer) -> Collection[bytes]:
    """Return the tags that segments may have: any, where the sender's own packets name none."""
    return bindings_of(recording) or _EveryModel()


def _one_application(recording: Buffer) -> Iterator[SpacePacket | bytes]:
    """Yield whole packets, and as bytes what is between them."""
    apid = None
    for found in read_packets(recording, _bindings_of(recording)):
        if isinstance(found, Damage) or found.packet is None or found.packet.apid == IDLE_APID:
            stop = found.stop if isinstance(found, Received) else found.offset + found.length
            for begin in range(found.offset, stop, 1 << 16):
                yield recording[begin : min(stop, begin + (1 << 16))]
            continue
        if apid not in (None, found.packet.apid):
            raise UsageError(
                f"protect: expected packets of one APID, found {apid} and {found.packet.apid}"
            )
        apid = found.packet.apid
        if any(segment.kind == Kind.REPAIR for segment in found.segments):
            raise UsageError("protect: found a repair packet, so these are protected already")
        yield found.packet


def _join(group: list[bytes], packed: bytes, longest: int) -> int:
    """Add a packet to its group; return the bytes of the longest.

    Raises:
        LimitError: the packet or the group is too long.
    """
    if len(packed) > MAX_PROTECTED_BYTES:
        raise LimitError(
            f"protected packet: {len(packed)} bytes, the limit is {MAX_PROTECTED_BYTES}"
        )
    group.append(packed)
    longest = max(longest, len(packed))
    if len(group) > MAX_GROUP or len(group) * longest > MAX_GROUP_BYTES:
        raise LimitError(
            f"group of {len(group)} packets of up to {longest} bytes: the limit is {MAX_GROUP} "
            f"packets and {MAX_GROUP_BYTES} bytes"
        )
    return longest


def _repair_packets(
    group: Sequence[bytes], series: int, first: int, rows: range, count: int
) -> Iterator[bytes]:
    """Yield the repair packets of a group of packed packets; `count` is that of the first."""
    last, _ = SpacePacket.unpack(group[-1])
    segment, _ = Segment.unpack(last.segments)
    length = max(map(len, group)) - SYMBOL_SKIPS + 1 >> 1
    symbols = symbols_of(dict(enumerate(group)), len(group), length)
    at_once = max(1, _ELEMENTS_AT_ONCE // length)
    for some in (rows[i : i + at_once] for i in range(0, len(rows), at_once)):
        for row, symbol in zip(some, encode(symbols, some), strict=True):
            repair = Repair(series, first, len(group), row, symbol.astype(">u2").tobytes())
            packed = repair.pack(segment.scene_id, segment.binding)
            yield replace(last, sequence=count % SEQUENCES, segments=packed).pack()
            count += 1
