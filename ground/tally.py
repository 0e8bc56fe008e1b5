"""Tally: what is counted of a recording while it is received or read."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ground.recording import Bytes, read_recording
from ground.sequence import SequenceCounts
from onboard.segment import Damage


@dataclass
class Tally:
    """Counts of one recording.

    Attributes:
        bytes: in all.
        damaged_bytes: that are no intact packet or segment.
        apids: sequence counts by APID.
        scenes: segments by scene id.
    """

    bytes: int = 0
    damaged_bytes: int = 0
    apids: dict[int, SequenceCounts] = field(default_factory=dict)
    scenes: Counter[int] = field(default_factory=Counter)

    def add(self, recording: Bytes) -> None:
        """Count some whole packets or segments."""
        self.bytes += len(recording)
        for found in read_recording(recording):
            if isinstance(found, Damage):
                self.damaged_bytes += found.length
                continue
            if found.packet is not None:
                counts = self.apids.setdefault(found.packet.apid, SequenceCounts())
                counts.add(found.packet.sequence)
            self.scenes.update(segment.scene_id for segment in found.segments)

    @property
    def packets(self) -> int:
        """Packets with an intact header."""
        return sum(counts.packets for counts in self.apids.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON; a gap is its first sequence count and its length."""
        return {
            "bytes": self.bytes,
            "damaged_bytes": self.damaged_bytes,
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
            "scenes": {str(scene): count for scene, count in sorted(self.scenes.items())},
        }
