"""Space packet: CCSDS 133.0-B-2 around segments, both directions (SPEC.md, section 14)."""

import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from onboard.errors import StreamError, UsageError
from onboard.link.segment import Buffer, Head

PACKET_OVERHEAD = 12
CONTROL_BYTES = 2
MIN_PACKET_BYTES = 128
MAX_PACKET_BYTES = 65_535
DEFAULT_PACKET_BYTES = 1_102
"""Even, and what a TM frame of 1,115 bytes has room for besides its header (6), control field (4)
and error control (2)."""
PROTECT_ROOM = 42
"""Bytes by which the longest packet grows at most, of an even number, where `protect` adds a CRC-16
(2) and makes repair packets (40 more)."""
IDLE_APID = 0x7FF
SEQUENCES = 1 << 14
_HEAD = struct.Struct(">HHHIH")
PRIMARY_BYTES = 6
WITH_TIME = 0x0800
"""Identity without the APID: version 0, telemetry, with a secondary header."""
UNSEGMENTED = 0xC000
"""Sequence flags: neither begun in another packet nor going on in one."""
_BILLION = 1_000_000_000


@dataclass(frozen=True)
class SpacePacket:
    """One packet.

    Attributes:
        apid: application process, 0..2046.
        sequence: sequence count, 0..16,383.
        time: seconds and 1/65536 s since 1958-01-01T00:00:00 TAI.
        segments: packed segments back to back.
        control: whether packet error control (CRC-16) ends the packet.
    """

    apid: int
    sequence: int
    time: tuple[int, int]
    segments: bytes
    control: bool = False

    def pack(self) -> bytes:
        """Return the bytes.

        Raises:
            UsageError: a field does not fit the format.
        """
        length = PACKET_OVERHEAD + len(self.segments) + CONTROL_BYTES * self.control
        for name, value, least, most in (
            ("APID", self.apid, 0, IDLE_APID - 1),
            ("sequence count", self.sequence, 0, SEQUENCES - 1),
            ("seconds", self.time[0], 0, (1 << 32) - 1),
            ("1/65536 s", self.time[1], 0, 65_535),
            ("bytes", length, PACKET_OVERHEAD + 1, MAX_PACKET_BYTES),
        ):
            if not least <= value <= most:
                raise UsageError(f"packet {name}: expected {least}..{most}, found {value}")
        head = _HEAD.pack(
            WITH_TIME | self.apid,
            UNSEGMENTED | self.sequence,
            length - PRIMARY_BYTES - 1,
            *self.time,
        )
        packed = head + self.segments
        return packed + crc16(packed).to_bytes(2, "big") if self.control else packed

    @classmethod
    def unpack(cls, buffer: Buffer, offset: int = 0) -> tuple["SpacePacket", int]:
        """Read the packet at `offset`; return it and the offset after it. Segments are not checked.

        Raises:
            StreamError: not a packet of ours, cut short, or its CRC-16 does not match.
        """
        head = PacketHead.read(buffer, offset)
        return cls.of(head, buffer, offset), offset + head.size

    @classmethod
    def of(cls, head: "PacketHead", buffer: Buffer, offset: int) -> "SpacePacket":
        """Read a packet whose head is read already, see `unpack`."""
        after = first = offset + PACKET_OVERHEAD
        stop = offset + head.size
        while stop - after > CONTROL_BYTES:
            after += Head.read(buffer, after).size
        if after not in (stop, stop - CONTROL_BYTES):
            raise StreamError(f"packet: its last segment ends {after - stop} bytes after it")
        # The CRC of bytes with their CRC behind them is 0.
        if after < stop and crc16(buffer[offset:stop]) != 0:
            raise StreamError("packet: error control does not match")
        segments = bytes(buffer[first:after])
        return cls(head.apid, head.sequence, head.time, segments, after < stop)


class PacketHead(NamedTuple):
    """What stands before the segments of a packet.

    Attributes:
        apid: application process, 0..2046; of an idle packet 2047.
        sequence: sequence count, 0..16,383.
        time: seconds and 1/65536 s since 1958-01-01T00:00:00 TAI.
        size: bytes of the whole packet.
    """

    apid: int
    sequence: int
    time: tuple[int, int]
    size: int

    @classmethod
    def read(cls, buffer: Buffer, offset: int = 0) -> "PacketHead":
        """Read a head and check that all of the packet is there, without a look at its segments.

        Raises:
            StreamError: not the head of a packet of ours, or cut short.
        """
        left = len(buffer) - offset
        if left < PACKET_OVERHEAD:
            raise StreamError("packet: cut short in its header")
        identity, sequence, length, seconds, ticks = _HEAD.unpack_from(buffer, offset)
        size = PRIMARY_BYTES + 1 + length
        wrong = identity & ~IDLE_APID != WITH_TIME or identity & IDLE_APID == IDLE_APID
        if wrong or sequence & UNSEGMENTED != UNSEGMENTED:
            raise StreamError(
                f"packet: expected a packet header, found {identity:04x} {sequence:04x}"
            )
        if size > left:
            raise StreamError(f"packet: cut short, {size - left} bytes are missing")
        return cls(identity & IDLE_APID, sequence & ~UNSEGMENTED, (seconds, ticks), size)

    @classmethod
    def idle(cls, buffer: Buffer, offset: int) -> "PacketHead | None":
        """Return the head of an idle packet, None if none is there.

        It ends where the buffer does or where another packet seems to begin: little else in it
        can be checked.
        """
        if len(buffer) - offset < PRIMARY_BYTES:
            return None
        if (buffer[offset] & 0xF7, buffer[offset + 1]) != (IDLE_APID >> 8, IDLE_APID & 0xFF):
            return None
        size = PRIMARY_BYTES + 1 + int.from_bytes(buffer[offset + 4 : offset + 6], "big")
        stop = offset + size
        if stop == len(buffer) or (stop < len(buffer) and buffer[stop] >> 4 == 0):
            return cls(IDLE_APID, 0, (0, 0), size)
        return None


@dataclass(frozen=True)
class PacketOptions:
    """How packets are formed.

    Attributes:
        packet_bytes: most bytes of a whole packet.
        apid: application process, 0..2046.
        control: whether packet error control (CRC-16) ends each packet.
        start_time: time of line 0, seconds and 1/65536 s since 1958-01-01T00:00:00 TAI.
        line_period: nanoseconds from a line to the next.
    """

    packet_bytes: int = DEFAULT_PACKET_BYTES
    apid: int = 1
    control: bool = False
    start_time: tuple[int, int] = (0, 0)
    line_period: int = 0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("bytes", self.packet_bytes, MIN_PACKET_BYTES, MAX_PACKET_BYTES),
            ("APID", self.apid, 0, IDLE_APID - 1),
            ("line period in ns", self.line_period, 0, 1 << 62),
        ):
            if not least <= value <= most:
                raise UsageError(f"packet {name}: expected {least}..{most}, found {value}")

    @property
    def overhead(self) -> int:
        """Bytes that a packet adds to its segments."""
        return PACKET_OVERHEAD + CONTROL_BYTES * self.control

    @property
    def room(self) -> int:
        """Most bytes of segments in a packet."""
        return self.packet_bytes - self.overhead

    def group(self, lengths: Sequence[int]) -> list[int]:
        """Return how many consecutive segments of these lengths each packet takes."""
        counts: list[int] = []
        free = 0
        for length in lengths:
            if length > free:
                counts.append(0)
                free = self.room
            counts[-1] += 1
            free -= length
        return counts

    def pack(self, segments: Sequence[bytes], line: int, sequence: int) -> list[bytes]:
        """Return the packets of the segments of a row of tiles.

        Args:
            segments: packed segments of the row.
            line: first line of the row.
            sequence: number of packets formed before.
        """
        time = self.time(line)
        packets: list[bytes] = []
        first = 0
        for count in self.group([len(segment) for segment in segments]):
            joined = b"".join(segments[first : first + count])
            number = (sequence + len(packets)) % SEQUENCES
            packets.append(SpacePacket(self.apid, number, time, joined, self.control).pack())
            first += count
        return packets

    def time(self, line: int) -> tuple[int, int]:
        """Return the time of a line."""
        seconds, ticks = self.start_time
        ticks += 65_536 * seconds + (line * self.line_period << 16) // _BILLION
        return (ticks >> 16) & 0xFFFF_FFFF, ticks & 0xFFFF


def crc16(message: Buffer) -> int:
    """Return the CRC-16 of packet error control (CCSDS 132.0-B-3, 4.1.6.2)."""
    return binascii.crc_hqx(message, 0xFFFF)
