"""Resilience: a JPEG 2000 codestream with SOP and EPH markers of which parts did not arrive."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError

_SOT, _SOD, _EOC = b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_SOP = b"\xff\x91\x00\x04"
_EMPTY = b"\x00\xff\x92"
"""Header of an empty packet, and EPH."""
_LENGTH = slice(6, 10)
"""Where in a tile-part's header its length is."""


@dataclass(frozen=True)
class TilePart:
    """A tile-part.

    Attributes:
        header: bytes from SOT to SOD.
        packets: first byte of each of its packets in the codestream, and after the last.
    """

    header: bytes
    packets: list[int]


@dataclass(frozen=True)
class Codestream:
    """A codestream taken apart.

    Source: ISO/IEC 15444-1, annexes A and B.

    Attributes:
        stream: bytes of the whole codestream.
        main: bytes of the main header.
        parts: tile-parts in their order.
    """

    stream: bytes
    main: bytes
    parts: list[TilePart]

    @classmethod
    def parse(cls, stream: bytes) -> "Codestream":
        """Take apart a whole codestream.

        Raises:
            InputError: no codestream, cut short, or without SOP markers.
        """
        first = offset = _after_markers(stream, 2, _SOT)
        parts = []
        while stream[offset : offset + 2] == _SOT:
            begin = _after_markers(stream, offset, _SOD) + len(_SOD)
            header = stream[offset:begin]
            offset += int.from_bytes(header[_LENGTH], "big")
            parts.append(TilePart(header, _packets(stream, begin, offset)))
        if stream[offset:] != _EOC:
            raise InputError(f"codestream: expected its end at byte {offset}")
        return cls(stream, stream[:first], parts)

    def without(self, missing: NDArray[np.bool_]) -> bytes:
        """Return the codestream with empty packets in place of those that are not whole.

        Args:
            missing: bool (bytes,), what did not arrive. Headers are known all the same.
        """
        before = np.concatenate([[0], np.cumsum(missing)])
        joined = [self.main]
        for part in self.parts:
            whole = (np.diff(before[part.packets]) == 0).tolist()
            bounds = zip(part.packets[:-1], part.packets[1:], whole, strict=True)
            body = b"".join(
                self.stream[start:stop] if arrived else _sop(number) + _EMPTY
                for number, (start, stop, arrived) in enumerate(bounds)
            )
            length = (len(part.header) + len(body)).to_bytes(4, "big")
            joined += [part.header[: _LENGTH.start], length, part.header[_LENGTH.stop :], body]
        return b"".join([*joined, _EOC])


def _sop(number: int) -> bytes:
    """Return the SOP marker segment of a packet of a tile."""
    return _SOP + struct.pack(">H", number & 0xFFFF)


def _after_markers(stream: bytes, offset: int, until: bytes) -> int:
    """Return where a marker is, stepping over the marker segments before it."""
    while stream[offset : offset + 2] != until:
        if offset + 4 > len(stream):
            raise InputError(f"codestream: expected marker {until.hex()}, found the end")
        offset += 2 + int.from_bytes(stream[offset + 2 : offset + 4], "big")
    return offset


def _packets(stream: bytes, begin: int, stop: int) -> list[int]:
    """Return where the packets of a tile-part begin, and its end."""
    found: list[int] = []
    at = begin
    while (at := stream.find(_sop(len(found)), at, stop)) >= 0:
        found.append(at)
        at += len(_sop(0))
    if found[:1] != [begin]:
        raise InputError("codestream: expected an SOP marker before the first packet")
    return [*found, stop]
