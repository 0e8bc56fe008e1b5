"""Tally: what is counted of a recording while it is received or read."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ground.station.heard import Heard
from ground.station.recording import Bytes, read_recording
from ground.station.sequence import SequenceCounts
from onboard.link.binding import Bindings, Encoding
from onboard.link.foreign import Foreign
from onboard.link.resync import Damage

_MOST_WAITING = 256
_Known = Collection[bytes]


@dataclass
class Tally:
    """Counts of one recording, which may come in parts.

    What comes before any model is known waits, up to a few hundred parts: without a model, intact
    tiles cannot be told from damaged ones.

    Attributes:
        bytes: bytes of the recording.
        damaged_bytes: bytes that are neither an intact packet or segment nor foreign.
        foreign_bytes: bytes of packets of other applications, idle packets and fill.
        apids: sequence counts by APID.
        encodings: what was heard of each encoding.
        bindings: those known besides the ones of which the recording tells.
        tags: tags of the models at hand, by which a run is known that nothing tells.
    """

    bytes: int = 0
    damaged_bytes: int = 0
    foreign_bytes: int = 0
    apids: dict[int, SequenceCounts] = field(default_factory=dict)
    encodings: dict[Encoding, Heard] = field(default_factory=dict)
    bindings: _Known = ()
    tags: _Known = ()
    _bindings: Bindings = field(default_factory=Bindings)
    _waiting: list[Bytes] = field(default_factory=list)

    def add(self, recording: Bytes) -> None:
        """Take some whole packets or segments, and count them if a model is known."""
        self.bytes += len(recording)
        self._bindings.hear(recording)
        self._waiting.append(recording)
        if self.bindings or self._bindings.known or len(self._waiting) >= _MOST_WAITING:
            self.count()

    def count(self) -> None:
        """Count what still waits: nothing more comes."""
        for recording in self._waiting:
            self._count(recording)
        self._waiting.clear()

    def _count(self, recording: Bytes) -> None:
        bindings = self._bindings.known.union(self.bindings)
        for found in read_recording(recording, bindings, self.apids):
            if isinstance(found, Damage):
                self.damaged_bytes += found.length
                continue
            if isinstance(found, Foreign):
                self.foreign_bytes += found.length
                continue
            if found.packet is not None:
                counts = self.apids.setdefault(found.packet.apid, SequenceCounts())
                counts.add(found.packet.sequence)
            for segment in found.segments:
                self.encodings.setdefault(Encoding.of(segment), Heard()).add(segment, found.packet)

    @property
    def packets(self) -> int:
        """Packets with an intact header."""
        return sum(counts.packets for counts in self.apids.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON; a gap is its first sequence count and its length."""
        return {
            "bytes": self.bytes,
            "damaged_bytes": self.damaged_bytes,
            "foreign_bytes": self.foreign_bytes,
            "packets": self.packets,
            "apids": {
                str(apid): {
                    "packets": counts.packets,
                    "duplicates": counts.duplicates,
                    "lost": counts.lost,
                    "gaps": counts.gaps,
                }
                for apid, counts in sorted(self.apids.items())
            },
            "encodings": [
                heard.as_dict(encoding, self.tags)
                for encoding, heard in sorted(self.encodings.items())
            ],
        }


def tally_text(path: Path, tally: Tally) -> str:
    """Return the lines that say what a recording holds."""
    lines = [f"{path}: {tally.packets} packets, {tally.bytes} bytes"]
    for apid, counts in sorted(tally.apids.items()):
        lines.append(
            f"APID {apid}: {counts.packets} packets, {counts.lost} lost in {len(counts.gaps)} "
            f"gaps, {counts.duplicates} duplicates"
        )
    lines += [
        f"{heard.text(encoding, tally.tags)}: {heard.segments} segments"
        for encoding, heard in sorted(tally.encodings.items())
    ]
    if tally.damaged_bytes:
        lines.append(f"damaged: {tally.damaged_bytes} bytes")
    if tally.foreign_bytes:
        lines.append(f"foreign: {tally.foreign_bytes} bytes of other packets or fill")
    return "\n".join(lines)
