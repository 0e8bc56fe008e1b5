"""Scan: recordings that appear and grow, read from where reading ended last."""

import time
from collections.abc import Collection, Iterator
from pathlib import Path

from ground.station.recording import Bytes, open_recording
from ground.watch.journal import Journal, expected_of
from onboard.errors import SkybookError, StreamError
from onboard.link.binding import Bindings, Encoding
from onboard.link.end import EndOfScene
from onboard.link.foreign import read_traffic
from onboard.link.resync import Received
from onboard.link.segment import Kind, Segment

SUFFIXES = (".pkt", ".sky", ".kiss")
_AT_ONCE = 8 << 20
_AGAIN = 1 << 20
"""Bytes that are read again once a model is known of which there was nothing before."""
_LONGEST = 70_000
"""Bytes at the end that may be of a packet that is not whole yet: the longest has 65,542."""


def files_of(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    """Yield files of a folder and of those below by their suffixes; hidden ones are passed over."""
    waiting = [folder]
    while waiting:
        try:
            inside = sorted(waiting.pop().iterdir())
        except OSError:  # it is gone, or not ours
            continue
        for path in inside:
            if path.name.startswith("."):
                continue
            if path.is_dir() and not path.is_symlink():
                waiting.append(path)
            elif path.suffix.lower() in suffixes:
                yield path


class Scanner:
    """Reads what is new of recordings into the journal."""

    def __init__(self, journal: Journal, tags: set[bytes]) -> None:
        """Take the tags of the models at hand, by which lone segments are known."""
        self._journal, self._tags = journal, frozenset(tags)
        self._refused: dict[Path, tuple[int, int, int]] = {}

    def read(self, path: Path) -> tuple[int, int]:
        """Read what is new of a recording; return bytes read, and new segments.

        Raises:
            InputError: it cannot be read; said once, until its file changes.
        """
        try:
            found = path.stat()
        except OSError:
            return 0, 0  # it was moved away
        stamp = found.st_ino, found.st_size, found.st_mtime_ns
        before = self._journal.reading(path)
        if (before is not None and before.stamp == stamp) or self._refused.get(path) == stamp:
            return 0, 0
        done = 0 if before is None else before.done
        if before is not None and (before.stamp[0] != stamp[0] or stamp[1] < before.stamp[1]):
            done = 0
            with self._journal.step():
                self._journal.forget(before.number)
        try:
            recording = open_recording(path)
        except SkybookError:
            self._refused[path] = stamp
            raise
        return self._advance(path, recording, stamp, done)

    def _advance(
        self, path: Path, recording: Bytes, stamp: tuple[int, int, int], done: int
    ) -> tuple[int, int]:
        """Read from a byte on, some MiB at once, each in a step of its own."""
        begun, new = done, 0
        while True:
            stop = min(done + _AT_ONCE, len(recording))
            is_last = stop == len(recording)
            with self._journal.step():
                # Until all is read the stamp is no file's, so that reading goes on after a kill.
                number = self._journal.set_reading(path, stamp if is_last else (0, 0, 0), done)
                known = self._tags | self._journal.bindings()
                heard = Bindings()
                heard.hear(recording[done:stop])
                start = done if heard.known <= known else max(0, done - _AGAIN)
                reached, count = self._note(
                    number, bytes(recording[start:stop]), start, known | heard.known
                )
                new += count
                done = max(done, reached, stop - _LONGEST)
                self._journal.set_reading(path, stamp if is_last else (0, 0, 0), done)
            if is_last:
                return max(0, len(recording) - begun), new

    def _note(
        self, recording: int, content: bytes, offset: int, bindings: frozenset[bytes] | set[bytes]
    ) -> tuple[int, int]:
        """Note the segments of some bytes; return where the last one ends, and how many are new."""
        spans: dict[Encoding, tuple[int, int]] = {}
        segments: dict[Encoding, list[Segment]] = {}
        reached = 0
        for found in read_traffic(content, bindings):
            if not isinstance(found, Received):
                continue
            reached = offset + found.stop
            for segment in found.segments:
                encoding = Encoding.of(segment)
                first = spans.get(encoding, (offset + found.offset, 0))[0]
                spans[encoding] = first, reached
                segments.setdefault(encoding, []).append(segment)
        now = time.time()
        new = 0
        for encoding, some in segments.items():
            told = _expected(some)
            new += self._journal.add(recording, encoding, some, spans[encoding], told, now)
        return reached, new


def _expected(segments: list[Segment]) -> int | None:
    """Return the segments of tiles and masks that an end tells of."""
    for segment in segments:
        if segment.kind == Kind.END:
            try:
                return expected_of(EndOfScene.unpack(segment.body).segments)
            except StreamError:
                continue
    return None
