"""Frame files: transfer frames that a receiver leaves in a folder, to recordings of packets.

A file is read from its beginning whenever enough of it is new, and its recording replaced, as a
packet may span frames. What was read of it is in the journal.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from ground.station.frames import FrameForm, Packets
from ground.station.recording import open_recording
from ground.watch.journal import Journal
from ground.watch.making import RoomError
from onboard.errors import InputError, UsageError
from onboard.outputs import open_whole

FRAMES = (".cadu", ".tm", ".aos", ".frames")
"""Suffixes of files of transfer frames."""
KISS = ".kiss"
"""Suffix of what is in KISS frames: packets, or transfer frames where these are told."""
_NEW = 1.25
"""A file that still grows is read again once it has grown so many times."""
_DIGEST_BYTES = 8
Stamp = tuple[int, int, int]


class Frames(NamedTuple):
    """What a mission's frames are like, and which of them are wanted.

    Attributes:
        form: form of the frames.
        spacecraft: spacecraft wanted; None for all.
        channel: virtual channel wanted; None for all.
    """

    form: FrameForm
    spacecraft: int | None = None
    channel: int | None = None


@dataclass
class FrameFiles:
    """Reads files of transfer frames.

    Attributes:
        folder: where recordings of their packets go.
        frames: what they are like; None where nobody told.
        journal: what was read of them.
    """

    folder: Path
    frames: Frames | None
    journal: Journal
    _seen: dict[Path, Stamp] = field(default_factory=dict)
    _refused: dict[Path, Stamp] = field(default_factory=dict)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of such files."""
        return FRAMES if self.frames is None else (*FRAMES, KISS)

    def read(self, path: Path) -> Mapping[str, int] | None:
        """Read a file if it is new, or has grown and no longer grows, or has grown much.

        Returns:
            What became of its frames and packets; None if it was not read.

        Raises:
            InputError: it cannot be read, has no whole packet, or nobody told what its frames are
                like; said once, until the file changes.
            RoomError: there is no room for its packets.
        """
        try:
            found = path.stat()
        except OSError:
            return None  # it was moved away
        stamp = found.st_ino, found.st_size, found.st_mtime_ns
        still, self._seen[path] = self._seen.get(path) == stamp, stamp
        if self._refused.get(path) == stamp:
            return None
        try:
            return self._read(path, stamp, still)
        except InputError:
            self._refused[path] = stamp
            raise

    def _read(self, path: Path, stamp: Stamp, still: bool) -> Mapping[str, int] | None:
        if self.frames is None:
            raise InputError(f"{path}: expected --frames tm or aos, and --frame-bytes, to read it")
        told = blake2b(repr((str(path), self.frames)).encode(), digest_size=_DIGEST_BYTES)
        recording = self.folder / f"{path.stem}-{told.hexdigest()}.pkt"
        source = recording.with_suffix(".read")
        before = self.journal.reading(source)
        if before is not None and before.stamp == stamp:
            return None
        is_same = before is not None and before.stamp[0] == stamp[0]
        if before is not None and is_same and not still and stamp[1] < _NEW * before.stamp[1]:
            return None
        counts = self._ingest(path, recording, *self.frames)
        with self.journal.step():
            self.journal.set_reading(source, stamp, stamp[1])
        return counts

    def _ingest(
        self,
        path: Path,
        recording: Path,
        form: FrameForm,
        spacecraft: int | None,
        virtual: int | None,
    ) -> Mapping[str, int]:
        """Write the packets of a file to a recording."""
        reader = Packets(form, spacecraft, virtual)
        packets = b"".join(reader.read(open_recording(path)))
        counts = Counter(reader.counts) + Counter(packets=reader.packets.total())
        if not packets:
            words = ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing"
            raise InputError(f"{path}: no whole packet in {form.kind} frames: {words}")
        making = recording.with_name(f".{recording.name}")
        try:
            with open_whole(making) as file:
                file.write(packets)
            os.replace(making, recording)
        except (UsageError, OSError) as error:
            raise RoomError(f"{self.folder}: expected room for packets: {error}") from error
        return dict(counts)
