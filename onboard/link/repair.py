"""Repair packet: the erasure code over space packets, both directions (SPEC.md, section 15)."""

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.errors import StreamError
from onboard.link.erasure import MAX_SYMBOLS
from onboard.link.packet import IDLE_APID, SEQUENCES, SpacePacket
from onboard.link.resync import Damage, Received, read_packets
from onboard.link.segment import Kind, Segment

MAX_GROUP = 4_096
"""Packets in a group."""

MAX_GROUP_BYTES = 1 << 24
"""Packets in a group times bytes of its symbols. The encoder holds twice this and 5 MiB at most."""

SYMBOL_SKIPS = 4
"""Bytes of a packet that its symbol leaves out: APID and sequence count, which its place tells."""

_BODY = struct.Struct(">IH")


@dataclass(frozen=True)
class Repair:
    """What a repair packet carries.

    Attributes:
        series: name of a run of `protect`, the same in all its repair packets, u32.
        first: number in the series of the group's first packet, u32.
        size: number of packets in the group, 1..4,096.
        row: number of a row of the code.
        symbol: content of that row, an even number of bytes.
    """

    series: int
    first: int
    size: int
    row: int
    symbol: bytes

    def pack(self, scene_id: int, binding: bytes) -> bytes:
        """Return the segment.

        Args:
            scene_id: scene of a packet in the group.
            binding: of the same packet.
        """
        body = _BODY.pack(self.series, self.size) + self.symbol
        segment = Segment(Kind.REPAIR, scene_id, binding, self.first, 0, self.row, None, body)
        return segment.pack()

    @classmethod
    def unpack(cls, segment: Segment) -> "Repair":
        """Read a segment of kind 4.

        Raises:
            StreamError: fields that no encoder makes.
        """
        symbol = segment.body[_BODY.size :]
        if segment.layer or segment.edge or not symbol or len(symbol) % 2:
            raise StreamError(f"repair segment: body of {len(segment.body)} bytes, layer or edge")
        series, size = _BODY.unpack_from(segment.body)
        if not (1 <= size <= MAX_GROUP and size + segment.first < MAX_SYMBOLS):
            raise StreamError(f"repair segment: row {segment.first} of {size} packets")
        if size * len(symbol) > MAX_GROUP_BYTES:
            raise StreamError(f"repair segment: {size} symbols of {len(symbol)} bytes")
        return cls(series, segment.tile, size, segment.first, symbol)


def symbols_of(packets: Mapping[int, bytes], size: int, length: int) -> NDArray[np.uint16]:
    """Return the symbols of packets.

    Args:
        packets: packed packets by their place in the group.
        size: number of packets in the group.
        length: elements of a symbol, enough for each packet.

    Returns:
        uint16 (size, length), 0 where there is no packet.
    """
    symbols = np.zeros((size, length), np.uint16)
    for place, packet in packets.items():
        symbol = np.frombuffer(packet[SYMBOL_SKIPS:] + bytes(len(packet) % 2), ">u2")
        symbols[place, : symbol.size] = symbol
    return symbols


def packet_of(apid: int, number: int, symbol: NDArray[np.uint16]) -> bytes:
    """Return the packet of a symbol that was solved, not checked yet.

    Args:
        apid: application process of its group.
        number: number of the packet in the series.
        symbol: symbol that was solved, uint16 (length,).
    """
    content = symbol.astype(">u2").tobytes()
    length = int.from_bytes(content[:2], "big") + 7 - SYMBOL_SKIPS
    head = SpacePacket(apid, number % SEQUENCES, (0, 0), b"-").pack()[:SYMBOL_SKIPS]
    return head + content[:length]


def is_whole(packed: bytes, bindings: Collection[bytes]) -> bool:
    """Say whether a packet that was solved checks like one that was received.

    Args:
        packed: packet that was solved.
        bindings: those that its segments may be of.
    """
    found = next(read_packets(packed, bindings))
    return isinstance(known_packet(found), SpacePacket) and found.offset == 0


def known_packet(found: Received | Damage) -> SpacePacket | Repair | None:
    """Return what the code can use of something received: a plain packet, or what repairs."""
    if isinstance(found, Damage) or found.packet is None:
        return None
    if found.packet.apid == IDLE_APID or not found.packet.control:
        return None
    if all(segment.kind != Kind.REPAIR for segment in found.segments):
        return found.packet
    try:
        return Repair.unpack(found.segments[0]) if len(found.segments) == 1 else None
    except StreamError:
        return None
