"""Heard: what recordings say of each encoding, by which an operator knows it (SPEC.md, 2)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from onboard.errors import StreamError
from onboard.link.binding import Encoding, run_of
from onboard.link.cuc import time_text
from onboard.link.end import told_run
from onboard.link.header import SceneHeader
from onboard.link.packet import SpacePacket
from onboard.link.segment import Kind, Segment

Time = tuple[int, int]


@dataclass
class Heard:
    """What was heard of an encoding.

    Attributes:
        segments: intact segments, repeated ones too.
        apids: APIDs of the packets around them, of those whose header is intact.
        start_time: time of line 0 that a scene header tells, None if none does.
        first_time: least time of a packet, None if there is none.
        told: run that a scene header or end tells, None if none came.
    """

    segments: int = 0
    apids: set[int] = field(default_factory=set)
    start_time: Time | None = None
    first_time: Time | None = None
    told: int | None = None

    def add(self, segment: Segment, packet: SpacePacket | None) -> None:
        """Take a segment and the packet around it."""
        self.segments += 1
        if packet is not None:
            self.apids.add(packet.apid)
            self.first_time = min(self.first_time or packet.time, packet.time)
        if self.told is None and segment.kind in (Kind.SCENE, Kind.END):
            self.told = told_run(segment)
        if self.start_time is None and segment.kind == Kind.SCENE:
            self.start_time = _start_time(segment)

    def run(self, encoding: Encoding, tags: Iterable[bytes]) -> int | None:
        """Return the run: told, else that of the first model of these tags that may have made it.

        None if none of them may have.
        """
        if self.told is not None:
            return self.told
        runs = (run_of(encoding.binding, tag) for tag in tags)
        return next((run for run in runs if run is not None), None)

    @property
    def time(self) -> Time | None:
        """Start time, else that of the first packet, if it has one."""
        return self.start_time or (self.first_time if self.first_time != (0, 0) else None)

    def as_dict(self, encoding: Encoding, tags: Iterable[bytes]) -> dict[str, Any]:
        """Return scene, run, APIDs, start time (TAI, ISO 8601) and segments for JSON."""
        return {
            "scene": encoding.scene_id,
            "run": self.run(encoding, tags),
            "apids": sorted(self.apids),
            "start_time": None if self.time is None else time_text(self.time),
            "segments": self.segments,
        }

    def text(self, encoding: Encoding, tags: Iterable[bytes]) -> str:
        """Return scene, run, APIDs and start time in words."""
        run = self.run(encoding, tags)
        name = f"run {run}" if run is not None else f"binding {encoding.binding.hex()}"
        words = [f"scene {encoding.scene_id}, {name}" if run != 0 else f"scene {encoding.scene_id}"]
        words += [f"APID {', '.join(map(str, sorted(self.apids)))}"] if self.apids else []
        words += [f"start {time_text(self.time)}"] if self.time is not None else []
        return ", ".join(words)


def _start_time(segment: Segment) -> Time | None:
    try:
        return SceneHeader.unpack(segment.body).start_time
    except StreamError:
        return None
