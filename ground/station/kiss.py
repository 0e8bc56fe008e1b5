"""KISS: recordings of packets in frames, as amateur stations keep them (SPEC.md, section 14)."""

import re

from onboard.link.segment import Buffer

_FRAME_END = b"\xc0"
_ESCAPED_END = b"\xdb\xdc"
_ESCAPED_ESCAPE = b"\xdb\xdd"
_DATA = b"\x00"
# The first frame holds data, or the time at which the next was received (command 9).
_BEGINNING = re.compile(rb"\xc0+[\x00\x09]")


def is_kiss(recording: Buffer) -> bool:
    """Say whether a recording begins like KISS frames."""
    return _BEGINNING.match(recording) is not None


def unframe(recording: Buffer) -> bytes:
    """Return what the data frames hold, one behind the other; other frames are left out.

    Source: Chepponis and Karn, The KISS TNC, 1987.
    """
    frames = bytes(recording).split(_FRAME_END)
    return b"".join(_unescape(frame[1:]) for frame in frames if frame.startswith(_DATA))


def _unescape(content: bytes) -> bytes:
    """Undo escapes; an escaped escape is undone last, since it makes bytes that begin others."""
    return content.replace(_ESCAPED_END, _FRAME_END).replace(_ESCAPED_ESCAPE, b"\xdb")
