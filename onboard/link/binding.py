"""Binding: what ties a segment to its model and its encoding (SPEC.md, section 2).

A binding is the model's tag, of which the lower 24 bits are XORed with the encoding's run. It is
the only thing by which the segments of two encodings of one scene id are told apart: whatever
collects segments keeps those of another scene id or binding apart.
"""

from collections.abc import Iterator
from contextlib import suppress
from mmap import mmap
from typing import NamedTuple

from onboard.errors import StreamError
from onboard.link.segment import (
    BOUND,
    SYNC,
    TAG_BYTES,
    Buffer,
    Head,
    Segment,
    told_binding,
)

MAX_RUN = (1 << 24) - 1
NO_RUN = 0
"""Run of what was encoded before there were runs: its binding is the model's tag."""
MAX_BINDINGS = 1 << 16
"""Bindings of which there may be segments in what was received together."""
ALONE, BESIDE_NAMED = 2, 4
"""How many tiles or masks must agree on a binding: of a scene of which none is named, or one is.

Damage makes two agree sooner than chance: of many damaged segments, some have the same one wrong
bit. It does not make four agree.
"""
_KIND = 2
"""Byte of a segment whose lower half is its kind."""
_WASTE_PER_BYTE = 16
_WASTE_ALLOWED = 1 << 20
_MOST_IN_MIND = 1 << 16

Place = tuple[int, int, int, int]


class Encoding(NamedTuple):
    """Which encoding a segment is of: no two pictures share both.

    Attributes:
        scene_id: number of the scene, u16.
        binding: 4 bytes.
    """

    scene_id: int
    binding: bytes

    @classmethod
    def of(cls, segment: Segment) -> "Encoding":
        """Return the encoding that a segment is of."""
        return cls(segment.scene_id, segment.binding)


def bind(tag: bytes, run: int) -> bytes:
    """Return the binding of a run of a model, or the tag of the model of a binding of that run."""
    return (int.from_bytes(tag, "big") ^ run).to_bytes(TAG_BYTES, "big")


def run_of(binding: bytes, tag: bytes) -> int | None:
    """Return the run of a binding, if the model of this tag made it; None if it cannot have."""
    run = int.from_bytes(binding, "big") ^ int.from_bytes(tag, "big")
    return run if run <= MAX_RUN else None


def allowance(stream: bytes | mmap) -> int:
    """Return the bytes that may be read for nothing before a stream is given up."""
    return _WASTE_PER_BYTE * len(stream) + _WASTE_ALLOWED


def findable(stream: Buffer) -> bytes | mmap:
    """Return a stream in which bytes can be looked for."""
    return bytes(stream) if isinstance(stream, memoryview) else stream


def next_sync(stream: bytes | mmap, offset: int) -> int:
    """Return where the next sync mark after an offset is, the stream's end if there is none."""
    found = stream.find(SYNC, offset + 1)
    return len(stream) if found < 0 else found


class Bindings:
    """Bindings of which there are segments in what was received (SPEC.md, section 2).

    Those that a scene header, end or repair segment names, and those that tile or mask segments of
    different places agree on: two, of a scene of which none is named, else four. What is kept in
    mind is bounded: 65,536 bindings of each sort, and the last 65,536 not yet agreed on.
    """

    def __init__(self) -> None:
        self._named: set[bytes] = set()
        self._named_scenes: set[int] = set()
        self._places: dict[Encoding, set[Place]] = {}
        self._agreed: dict[int, set[Encoding]] = {ALONE: set(), BESIDE_NAMED: set()}

    @property
    def known(self) -> frozenset[bytes]:
        """The bindings, as far as was heard."""
        alone = (e for e in self._agreed[ALONE] if e.scene_id not in self._named_scenes)
        agreed = {encoding.binding for encoding in self._agreed[BESIDE_NAMED].union(alone)}
        return frozenset(self._named | agreed)

    def hear(self, stream: Buffer) -> None:
        """Take a stream, or the next part of one that ends with a segment.

        Listening ends, as reading does, when more than 16 times the stream (and 1 MiB) went into
        it.
        """
        searched = findable(stream)
        for offset, head in _heads(searched, bound=False):
            with suppress(StreamError):
                self._hear_name(Segment.of(head, searched, offset, ()))
        for offset, head in _heads(searched, bound=True):
            self._hear_tile(head, told_binding(bytes(searched[offset : offset + head.size])))

    def _hear_name(self, segment: Segment) -> None:
        if len(self._named) < MAX_BINDINGS:
            self._named.add(segment.binding)
        if segment.binding in self._named:
            self._named_scenes.add(segment.scene_id)

    def _hear_tile(self, head: Head, binding: bytes) -> None:
        encoding = Encoding(head.scene_id, binding)
        if binding in self._named or encoding in self._agreed[BESIDE_NAMED]:
            return
        places = self._places.setdefault(encoding, set())
        places.add((head.kind, head.tile, head.layer, head.first))
        agreed = self._agreed.get(len(places))
        if agreed is not None and len(agreed) < MAX_BINDINGS:
            agreed.add(encoding)
        if len(places) == BESIDE_NAMED or len(self._places) > _MOST_IN_MIND:
            del self._places[encoding if len(places) == BESIDE_NAMED else next(iter(self._places))]


def bindings_of(*streams: Buffer) -> frozenset[bytes]:
    """Return the bindings that are known from some streams, see `Bindings`."""
    bindings = Bindings()
    for stream in streams:
        bindings.hear(stream)
    return bindings.known


def _heads(stream: bytes | mmap, bound: bool) -> Iterator[tuple[int, Head]]:
    """Yield offset and head of whatever may be a segment, one in another included.

    This ends before the segments are more than `allowance` together.

    Args:
        stream: bytes to search.
        bound: whether those are wanted whose CRC is bound to their binding, or the others.
    """
    allowed = allowance(stream)
    offset = -1
    while (offset := next_sync(stream, offset)) < len(stream):
        kind = stream[offset + _KIND : offset + _KIND + 1]
        if not kind or (kind[0] & 15 in BOUND) != bound:
            continue
        try:
            head = Head.read(stream, offset)
        except StreamError:
            continue
        allowed -= head.size
        if allowed < 0:
            return
        yield offset, head


def known_run(run: int) -> int:
    """Return a run that a header or end tells, or refuse it.

    Raises:
        StreamError: it is out of range.
    """
    if not NO_RUN < run <= MAX_RUN:
        raise StreamError(f"run: expected 1..{MAX_RUN}, found {run}")
    return run
