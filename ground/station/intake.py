"""Intake: what comes from stations, live or from files, to packets; each packet once."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from ground.station.frames import FrameForm, Packets
from ground.station.kiss import is_kiss, unframe
from ground.station.recording import Bytes
from ground.station.sequence import SequenceCounts
from onboard.link.packet import IDLE_APID, PRIMARY_BYTES, SEQUENCES

_MOST_KNOWN = 1 << 17
_DIGEST_BYTES = 16


class Known:
    """What was heard lately, up to 131,072 packets."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, packet: bytes) -> bool:
        """Say whether a packet was not heard lately, and keep it in mind."""
        digest = blake2b(packet, digest_size=_DIGEST_BYTES).digest()
        if digest in self._digests:
            self._digests.move_to_end(digest)
            return False
        self._digests[digest] = None
        if len(self._digests) > _MOST_KNOWN:
            self._digests.popitem(last=False)
        return True


@dataclass
class Station:
    """What came of one source.

    Attributes:
        name: its address, or what it is called.
        frames: reader of its frames; None where packets come bare.
        messages: how many messages came.
        length: their bytes.
        packets: whole packets in them.
        new: packets that no station had before.
        dropped: messages for which there was no room.
    """

    name: str
    frames: Packets | None = None
    messages: int = 0
    length: int = 0
    packets: int = 0
    new: int = 0
    dropped: int = 0

    def read(self, recording: Bytes) -> Iterator[bytes]:
        """Yield the packets of a recording."""
        yield from self._counted(
            [recording] if self.frames is None else self.frames.read(recording)
        )

    def take(self, message: bytes) -> Iterator[bytes]:
        """Yield the packets that end in a message: a frame, or some, or packets; in KISS or not."""
        self.messages += 1
        self.length += len(message)
        message = unframe(message) if is_kiss(message) else message
        yield from self._counted(
            split(message) if self.frames is None else self.frames.take(message)
        )

    def _counted(self, packets: Iterable[Bytes]) -> Iterator[bytes]:
        for packet in packets:
            self.packets += 1
            yield bytes(packet)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        names = ("messages", "packets", "new", "dropped")
        counts = {"received_bytes": self.length, **{name: getattr(self, name) for name in names}}
        frames = {} if self.frames is None else self.frames.as_dict()
        return {"source": self.name, **counts, **frames}


@dataclass
class Intake:
    """Several stations that hear the same pass.

    Attributes:
        stations: the stations, by number.
        apids: sequence counts by APID, of all of them together.
    """

    stations: list[Station]
    apids: dict[int, SequenceCounts] = field(default_factory=dict)
    _known: Known = field(default_factory=Known)

    @classmethod
    def of(
        cls,
        names: Iterable[str],
        form: FrameForm | None,
        spacecraft: int | None = None,
        virtual: int | None = None,
    ) -> "Intake":
        """Take stations, and what all of their frames are like; None for bare packets."""
        return cls(
            [
                Station(name, None if form is None else Packets(form, spacecraft, virtual))
                for name in names
            ]
        )

    def take(self, number: int, message: bytes) -> bytes:
        """Return what a message of a station brings that none had before, back to back."""
        station = self.stations[number]
        new = [packet for packet in station.take(message) if self._known.is_new(packet)]
        station.new += len(new)
        for packet in new:
            self._count(packet)
        return b"".join(new)

    def _count(self, packet: bytes) -> None:
        """Count a packet by its APID, if it looks like one."""
        identity, sequence = int.from_bytes(packet[:2], "big"), int.from_bytes(packet[2:4], "big")
        if not identity >> 13 and len(packet) > PRIMARY_BYTES:
            counts = self.apids.setdefault(identity & IDLE_APID, SequenceCounts())
            counts.add(sequence % SEQUENCES)

    @property
    def lost(self) -> int:
        """How many packets no station had, between the first and the last of their APID."""
        return sum(counts.lost for counts in self.apids.values())


def split(message: bytes) -> Iterator[bytes]:
    """Yield the packets of a message, idle ones left out; all of it where they do not fill it."""
    stops = [0]
    while len(message) - stops[-1] > PRIMARY_BYTES:
        place = stops[-1]
        length = int.from_bytes(message[place + 4 : place + 6], "big")
        stops.append(place + PRIMARY_BYTES + 1 + length)
    if not message:
        return
    if stops[-1] != len(message) or message[0] >> 5:
        yield message
        return
    for start, stop in pairwise(stops):
        if int.from_bytes(message[start : start + 2], "big") & IDLE_APID != IDLE_APID:
            yield message[start:stop]
