"""Recording: what a ground station received of a pass, as a file; several files are one pass."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path

from ground.station.kiss import is_kiss, unframe
from ground.station.restoration import restore
from onboard.errors import InputError, StreamError, UsageError
from onboard.link.foreign import Foreign, read_traffic
from onboard.link.packet import SpacePacket
from onboard.link.resync import Damage, Received, models_of
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
        scenes: segments by scene id, each distinct one once, in the order of reading.
        damage: damage, wherever there was no intact segment.
        alone: whether all is from one recording, and nothing was restored.
    """

    scenes: dict[int, dict[Segment, None]] = field(default_factory=dict)
    damage: list[Damage] = field(default_factory=list)
    alone: bool = True

    def add(self, segments: Iterable[Segment]) -> None:
        """Add intact segments."""
        for segment in segments:
            self.scenes.setdefault(segment.scene_id, {})[segment] = None

    def scene(self, scene_id: int) -> list[Segment | Damage]:
        """Return what there is of a scene, and the damage if it is from one recording alone.

        Else what is damaged in one may be intact in another.
        """
        return [*self.scenes.get(scene_id, ()), *(self.damage if self.alone else ())]

    def choose(self, scene_id: int | None) -> int:
        """Return the scene wanted, or the only one.

        Raises:
            StreamError: there is nothing of it, or nothing at all.
            UsageError: none is wanted, but there are several.
        """
        found = ", ".join(map(str, sorted(self.scenes)))
        if not self.scenes:
            reasons = "; ".join(damage.reason for damage in self.damage[:5])
            raise StreamError(f"stream: no intact segment; {reasons or 'empty'}")
        if scene_id is not None and scene_id not in self.scenes:
            raise StreamError(f"stream: no segment of scene {scene_id}, only of {found}")
        if scene_id is None and len(self.scenes) > 1:
            raise UsageError(f"scene: expected --scene-id, since there are several: {found}")
        return next(iter(self.scenes)) if scene_id is None else scene_id


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
    recording: Bytes, models: Collection[bytes], apids: Iterable[int] = ()
) -> Iterator[Found | Foreign | Damage]:
    """Yield what is in a recording of packets, of bare segments or of both.

    Args:
        recording: recording, as `open_recording` gives it.
        models: tags of the models that segments may be of, see `models_of`.
        apids: APIDs of ours that are known already, see `read_traffic`.
    """
    for found in read_traffic(recording, models, apids):
        yield Found(found.packet, found.segments) if isinstance(found, Received) else found


def read_pass(
    recordings: Sequence[Bytes], apid: int | None = None, models: Collection[bytes] = ()
) -> Pass:
    """Read recordings of one pass, in any order, and what repair packets restore of them.

    Args:
        recordings: recordings, as `open_recording` gives them.
        apid: APID wanted; packets of others are left out. The APID of segments without a packet
            header is not known: they are used after all others, unless their scene came with
            another APID.
        models: tags of models known besides those of which the recordings tell.
    """
    restored = restored_packets(recordings, models)
    models = models_of(*recordings, restored).union(models)
    union = Pass(alone=len(recordings) == 1 and not restored)
    strays: list[Segment] = []
    elsewhere: set[int] = set()
    for recording in (*recordings, restored):
        for found in read_recording(recording, models):
            if isinstance(found, Damage):
                union.damage.append(found)
            elif isinstance(found, Foreign):
                continue
            elif apid is None or (found.packet is not None and found.packet.apid == apid):
                union.add(found.segments)
            elif found.packet is None:
                strays.extend(found.segments)
            else:
                elsewhere.update(segment.scene_id for segment in found.segments)
    union.add(segment for segment in strays if segment.scene_id not in elsewhere)
    return union


def restored_packets(recordings: Sequence[Bytes], models: Collection[bytes] = ()) -> bytes:
    """Return the packets that the erasure code brings back, all recordings together.

    Args:
        recordings: recordings, as `open_recording` gives them.
        models: tags of models known besides those of which the recordings tell.
    """
    if all(recording.find(_REPAIR_MARK) < 0 for recording in recordings):
        return b""
    return restore(b"".join(recordings), models).packets
