"""Recording: what a ground station received of a pass, as a file; several files are one pass."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path

from ground.station.heard import Heard
from ground.station.kiss import is_kiss, unframe
from ground.station.restoration import restore
from ground.station.salvage.damaged import Torns, salvage
from ground.station.salvage.madeout import Salvage
from onboard.errors import InputError, StreamError, UsageError
from onboard.link.binding import Encoding, bindings_of
from onboard.link.foreign import Foreign, read_traffic
from onboard.link.packet import SpacePacket
from onboard.link.resync import Damage, Received
from onboard.link.segment import MAJOR, SYNC, Kind, Segment

Bytes = bytes | mmap
_REPAIR_MARK = SYNC + bytes([MAJOR << 4 | Kind.REPAIR])
_OTHER_FORMS = {
    re.compile(rb"\x1f\x8b\x08"): "what gzip compressed",
    re.compile(rb"[0-9A-Fa-f\s]{64}"): "text of hex digits",
}


@dataclass(frozen=True)
class Found:
    """Segments that a recording holds together.

    Attributes:
        packet: packet around them, None if there is none or its header is damaged.
        segments: intact segments.
    """

    packet: SpacePacket | None
    segments: tuple[Segment, ...]


@dataclass
class Pass:
    """All that was received of a pass.

    Attributes:
        encodings: segments by encoding, each distinct one once, in the order of reading.
        heard: what is known of each encoding.
        damage: damage, wherever there was no intact segment.
        alone: whether all is from one recording, and nothing was restored.
        salvage: what was made out in the damage, by encoding.
    """

    encodings: dict[Encoding, dict[Segment, None]] = field(default_factory=dict)
    heard: dict[Encoding, Heard] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    alone: bool = True
    salvage: dict[Encoding, list[Salvage]] = field(default_factory=dict)

    def add(self, found: Found) -> None:
        """Add intact segments."""
        for segment in found.segments:
            encoding = Encoding.of(segment)
            self.encodings.setdefault(encoding, {})[segment] = None
            self.heard.setdefault(encoding, Heard()).add(segment, found.packet)

    def of(self, encoding: Encoding) -> list[Segment | Damage]:
        """Return what there is of an encoding, salvaged or not.

        And the damage if it is from one recording alone: else what is damaged in one may be intact
        in another.
        """
        own: list[Segment | Damage] = [*self.encodings.get(encoding, ())]
        return [*own, *(self.damage if self.alone else ()), *self.salvage.get(encoding, ())]

    def make_out(self, recording: Bytes, torns: Torns) -> None:
        """Add what can be made out in the damage of a recording."""
        for found in salvage(recording, torns.close()):
            self.salvage.setdefault(Encoding.of(found.segment), []).append(found)

    def wanted(
        self, scene_id: int | None, run: int | None, tags: Collection[bytes]
    ) -> list[Encoding]:
        """Return the encodings of a scene, of a run, of both or of neither, scene by scene.

        Args:
            scene_id: id of the scene; None for all.
            run: run wanted; None for all.
            tags: tags of the models at hand, by which a run is known that nothing tells.

        Raises:
            StreamError: there is none.
        """
        found = [e for e in self.encodings if scene_id in (None, e.scene_id)]
        wanted = [e for e in found if run is None or self.heard[e].run(e, tags) == run]
        if wanted:
            return sorted(wanted, key=lambda encoding: encoding.scene_id)
        if not self.encodings:
            reasons = "; ".join(damage.reason for damage in self.damage[:5])
            raise StreamError(f"stream: no intact segment; {reasons or 'empty'}")
        words = [] if scene_id is None else [f"scene {scene_id}"]
        words += [] if run is None else [f"run {run}"]
        there = "; ".join(self.heard[e].text(e, tags) for e in found or self.encodings)
        raise StreamError(f"stream: no segment of {', '.join(words)}, only of {there}")

    def of_one_scene(
        self, scene_id: int | None, run: int | None, tags: Collection[bytes]
    ) -> list[Encoding]:
        """Return the encodings of the scene wanted, or of the only one, see `wanted`.

        Raises:
            UsageError: none is wanted, but there are several.
        """
        found = self.wanted(scene_id, run, tags)
        scenes = sorted({encoding.scene_id for encoding in found})
        if len(scenes) > 1:
            raise UsageError(
                "scene: expected --scene-id or --all-scenes, since there are several: "
                f"{', '.join(map(str, scenes))}"
            )
        return found


def open_recording(path: Path) -> Bytes:
    """Map a recording into memory; one in KISS frames is copied without them.

    Raises:
        InputError: it cannot be read, is compressed, or is text.
    """
    try:
        with path.open("rb") as file:
            recording = mmap(file.fileno(), 0, access=ACCESS_READ)
    except ValueError:
        return b""  # there is nothing to map
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    for beginning, form in _OTHER_FORMS.items():
        if beginning.match(recording):
            raise InputError(f"{path}: expected packets or segments, found {form}")
    return unframe(recording) if is_kiss(recording) else recording


def read_recording(
    recording: Bytes, bindings: Collection[bytes], apids: Iterable[int] = ()
) -> Iterator[Found | Foreign | Damage]:
    """Yield what is in a recording of packets, of bare segments or of both.

    Args:
        recording: recording, as `open_recording` gives it.
        bindings: those that segments may have, see `bindings_of`.
        apids: APIDs of ours that are known already, see `read_traffic`.
    """
    for found in read_traffic(recording, bindings, apids):
        yield Found(found.packet, found.segments) if isinstance(found, Received) else found


def read_pass(
    recordings: Sequence[Bytes], apid: int | None = None, bindings: Collection[bytes] = ()
) -> Pass:
    """Read recordings of one pass, in any order, and what repair packets restore of them.

    Args:
        recordings: recordings, as `open_recording` gives them.
        apid: APID wanted; packets of others are left out. The APID of segments without a packet
            header is not known: they are used after all others, unless their encoding came with
            another APID.
        bindings: those known besides those of which the recordings tell.
    """
    restored = restored_packets(recordings, bindings)
    bindings = bindings_of(*recordings, restored).union(bindings)
    union = Pass(alone=len(recordings) == 1 and not restored)
    strays: list[Found] = []
    elsewhere: set[Encoding] = set()
    for recording in (*recordings, restored):
        torns = Torns()
        for found in read_recording(recording, bindings):
            if isinstance(found, Damage):
                union.damage.append(found)
                torns.damage(found)
                continue
            if isinstance(found, Foreign):
                continue
            torns.intact(found.segments)
            if apid is None or (found.packet is not None and found.packet.apid == apid):
                union.add(found)
            elif found.packet is None:
                strays.append(found)
            else:
                elsewhere.update(map(Encoding.of, found.segments))
        union.make_out(recording, torns)
    for found in strays:
        if Encoding.of(found.segments[0]) not in elsewhere:
            union.add(found)
    return union


def restored_packets(recordings: Sequence[Bytes], bindings: Collection[bytes] = ()) -> bytes:
    """Return the packets that the erasure code brings back, all recordings together.

    Args:
        recordings: recordings, as `open_recording` gives them.
        bindings: those known besides the ones of which the recordings tell.
    """
    if all(recording.find(_REPAIR_MARK) < 0 for recording in recordings):
        return b""
    return restore(b"".join(recordings), bindings).packets
