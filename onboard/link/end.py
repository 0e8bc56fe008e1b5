"""End of scene: body of a segment of kind 3 (SPEC.md, section 2)."""

import struct
from dataclasses import dataclass

from onboard.errors import InputError, StreamError
from onboard.image.tiles import MAX_SIDE
from onboard.link.binding import NO_RUN, known_run
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, Segment

_END = struct.Struct(">II")
_RUN_AT_END = struct.Struct(">I")


@dataclass(frozen=True)
class EndOfScene:
    """Body of an end segment.

    Attributes:
        height: number of rows of the scene, 1..2^24.
        segments: number of segments written before this one.
        run: run of the encoding, 0 for none.
    """

    height: int
    segments: int
    run: int = NO_RUN

    def pack(self) -> bytes:
        """Return the body; a height outside 1..2^24 is an InputError."""
        if not 1 <= self.height <= MAX_SIDE:
            raise InputError(f"height: expected 1..{MAX_SIDE} rows, found {self.height}")
        body = _END.pack(self.height, self.segments & 0xFFFF_FFFF)
        return body if self.run == NO_RUN else body + _RUN_AT_END.pack(self.run)

    @classmethod
    def unpack(cls, body: bytes) -> "EndOfScene":
        """Read the body.

        Raises:
            StreamError: wrong length, or a height outside 1..2^24.
        """
        if len(body) not in (_END.size, _END.size + _RUN_AT_END.size):
            raise StreamError(
                f"end segment: expected {_END.size} bytes or {_RUN_AT_END.size} more, "
                f"found {len(body)}"
            )
        height, segments = _END.unpack_from(body)
        if not 1 <= height <= MAX_SIDE:
            raise StreamError(f"end segment: expected a height of 1..{MAX_SIDE}, found {height}")
        if len(body) == _END.size:
            return cls(height, segments)
        return cls(height, segments, known_run(*_RUN_AT_END.unpack_from(body, _END.size)))


def told_run(segment: Segment) -> int | None:
    """Return the run that a scene header or end tells, 0 for none; None if it cannot be read."""
    try:
        if segment.kind == Kind.SCENE:
            return SceneHeader.unpack(segment.body).run
        return EndOfScene.unpack(segment.body).run if segment.kind == Kind.END else None
    except StreamError:
        return None
