"""Sequence counts of packets: what their gaps tell of losses (SPEC.md, section 14)."""

from bisect import bisect_right
from dataclasses import dataclass, field

from onboard.link.packet import SEQUENCES


@dataclass
class SequenceCounts:
    """The counts of one APID in one recording, unwrapped.

    A count is taken for the nearest to the one before it, so packets may come late by less than
    8,192, and a gap of 8,192 or more is told wrongly.

    Attributes:
        packets: number of packets that arrived.
        duplicates: number of them that had arrived before.
    """

    packets: int = 0
    duplicates: int = 0
    _starts: list[int] = field(default_factory=list)
    _stops: list[int] = field(default_factory=list)
    _latest: int = 0

    def add(self, count: int) -> None:
        """Take the sequence count of a packet, 0..16,383."""
        if not self.packets:
            self._latest = count
        half = SEQUENCES // 2
        self._latest += (count - self._latest + half) % SEQUENCES - half
        self.packets += 1
        self._insert(self._latest)

    def _insert(self, number: int) -> None:
        """Add a number to the sorted runs of numbers that arrived."""
        place = bisect_right(self._starts, number)
        if place and number < self._stops[place - 1]:
            self.duplicates += 1
            return
        self._starts.insert(place, number)
        self._stops.insert(place, number + 1)
        for left in (place, place - 1):
            if 0 <= left < len(self._starts) - 1 and self._stops[left] == self._starts[left + 1]:
                self._stops[left] = self._stops.pop(left + 1)
                del self._starts[left + 1]

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """First sequence count and length of each run that is missing between those that came."""
        pairs = zip(self._stops[:-1], self._starts[1:], strict=True)
        return [(stop % SEQUENCES, start - stop) for stop, start in pairs]

    @property
    def lost(self) -> int:
        """How many packets did not arrive between the first and the last that did."""
        return sum(length for _, length in self.gaps)
