"""Records: what the journal knows of a recording, of a scene, and of where that is."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from onboard.link.binding import Encoding


class Reading(NamedTuple):
    """How far a recording was read.

    Attributes:
        number: number of the recording.
        stamp: inode, bytes and time of change of its file when it was read last.
        done: bytes of it that were read.
    """

    number: int
    stamp: tuple[int, int, int]
    done: int


class Part(NamedTuple):
    """Where in a recording segments of a scene are.

    Attributes:
        path: the recording.
        start: first byte.
        stop: byte after the last.
    """

    path: Path
    start: int
    stop: int


@dataclass(frozen=True)
class Heard:
    """A scene, one encoding of it, as far as it arrived.

    Attributes:
        number: its number in the journal.
        encoding: which it is.
        segments: distinct segments of its tiles and masks.
        headed: whether a scene header arrived.
        expected: segments of tiles and masks that its end tells of; None until it arrived.
        changed: when something new came, seconds since 1970.
        made: segments that its product was made of; 0 without one.
        attempts: how often its making was begun and never ended.
        product: name of its product; None without one.
    """

    number: int
    encoding: Encoding
    segments: int
    headed: bool
    expected: int | None
    changed: float
    made: int
    attempts: int
    product: str | None

    @property
    def is_whole(self) -> bool:
        """Whether all that was sent arrived."""
        return self.headed and self.expected is not None and self.segments >= self.expected
