"""Beginning: what the first packets of a recording fix for those that are to follow."""

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from onboard.codec.bound import is_within
from onboard.codec.tile import ALL_NODATA, DEPENDENT, EMPTY
from onboard.errors import StreamError
from onboard.link.header import SceneHeader
from onboard.link.resync import Damage, read_packets
from onboard.link.segment import Kind, Segment


@dataclass(frozen=True)
class Beginning:
    """What a file of packets tells of its encoding.

    Attributes:
        header: scene header; None where there is none yet.
        along_trellis: whether indices are chosen along a trellis; None where no tile tells it yet.
    """

    header: SceneHeader | None = None
    along_trellis: bool | None = None

    @classmethod
    def read(cls, path: Path) -> "Beginning":
        """Read a file of packets that may be cut anywhere, as far as it takes.

        Args:
            path: file of packets, which need not exist.
        """
        if not path.exists() or path.stat().st_size == 0:
            return cls()
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as stream:
            segments = _segments(stream)
            first = next(segments, None)
            if first is None or first.kind != Kind.SCENE:
                return cls()
            try:
                header = SceneHeader.unpack(first.body)
            except StreamError:
                return cls()
            told = (found for found in map(_along_trellis, segments) if found is not None)
            return cls(header, next(told, None))


def _segments(stream: mmap) -> Iterator[Segment]:
    """Yield the segments of whole packets up to what is damaged."""
    for found in read_packets(stream):
        if isinstance(found, Damage) or found.packet is None:
            return
        yield from found.segments


def _along_trellis(segment: Segment) -> bool | None:
    """Return whether the indices of a tile are chosen along a trellis; None if it does not say."""
    if segment.kind != Kind.TILE or segment.layer or not segment.body:
        return None
    state = segment.body[0]
    if state == ALL_NODATA or state & EMPTY or is_within(state):
        return None
    return bool(state & DEPENDENT)
