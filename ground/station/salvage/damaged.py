"""Damaged: segments made out in the damage of a recording.

Where a segment begins is known without its mark: behind an intact one, or a packet header. Where it
ends its head tells or, if that is wrong, what comes next. What its check tells, beside a binding
that is known, says which of its bits are wrong, if they are few (`syndromes`): one is as good as
certain, two or some in a row have alternatives, of which the symbols must tell the right one. Else
it is left as it came, if its head agrees with the intact segments before and behind it, both of one
encoding, and no other of its scene is there: its own check no longer says of which it is.

Only tiles and masks are made out, and only of encodings of which there are intact segments: of many
those before or behind. None counts as received.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from mmap import mmap

from ground.station.salvage.madeout import AS_IT_CAME, Salvage
from ground.station.salvage.syndromes import WINDOW, syndromes_of
from onboard.errors import StreamError
from onboard.link.binding import Encoding, allowance
from onboard.link.foreign import read_traffic
from onboard.link.packet import PACKET_OVERHEAD
from onboard.link.resync import Damage, Received
from onboard.link.segment import (
    BOUND,
    DEFAULT_SEGMENT_BYTES,
    LEAST_OVERHEAD,
    MAJOR,
    SYNC,
    Head,
    Kind,
    Segment,
    told_binding,
)

_SYNC = re.compile(SYNC)
_CONTROL_BYTES = 2
_BETWEEN = (0, _CONTROL_BYTES, PACKET_OVERHEAD, PACKET_OVERHEAD + _CONTROL_BYTES)
"""Bytes that may be between a segment and the next: header of a packet, error control before it."""
_MARKS = 2
"""Marks to look behind for where a segment may end: some are symbols."""
_MOST_ALTERNATIVES = 16
_MOST_ENCODINGS = 8
_NEAR = 2
"""Tiles by which one may be apart from those before and behind it."""
_BEGINNING = SYNC + bytes([MAJOR << 4])
_OF_ALL = 0xFFFFF0
"""Bits of these bytes that are the same in all segments."""
_EACH = 512
"""Bytes that looking at a segment costs besides its own."""
_COST = 8
"""Times the bytes of a segment that looking for more than one wrong bit takes."""


@dataclass(frozen=True)
class Torn:
    """Damage, and what is intact around it.

    Attributes:
        damage: bytes that are no intact segment.
        before: the last segment before, None if there is none.
        behind: the first one behind, None if there is none.
    """

    damage: Damage
    before: Segment | None
    behind: Segment | None

    @property
    def encodings(self) -> set[Encoding]:
        """The encodings around it."""
        return {Encoding.of(one) for one in (self.before, self.behind) if one is not None}

    def may_have(self, segment: Segment, told: bytes) -> bool:
        """Say whether a segment as it came may have been between the intact ones.

        Args:
            segment: the segment.
            told: binding that its check tells: one that another run of the model may have is none
                that damage made.
        """
        if self.before is None or self.behind is None or len(self.encodings) > 1:
            return False
        if Encoding.of(segment) not in self.encodings or told[:1] == segment.binding[:1]:
            return False
        near = [s.tile for s in (self.before, self.behind) if s.kind in BOUND]
        between = bool(near) and min(near) <= segment.tile <= max(near)
        return between or any(abs(segment.tile - tile) <= _NEAR for tile in near)


class Torns:
    """Collects damage and what is intact around it, in the order of a recording.

    Attributes:
        found: what was collected.
        encodings: all of which anything intact is there.
        longest: bytes of the longest segment that may be there.
    """

    def __init__(self) -> None:
        self.found: list[Torn] = []
        self.encodings: set[Encoding] = set()
        self.longest = DEFAULT_SEGMENT_BYTES
        self._before: Segment | None = None
        self._open: list[Damage] = []

    def damage(self, damage: Damage) -> None:
        """Take damage."""
        self._open.append(damage)

    def intact(self, segments: Iterable[Segment]) -> None:
        """Take intact segments."""
        for segment in segments:
            self._close(segment)
            self._before = segment
            self.encodings.add(Encoding.of(segment))
            self.longest = max(self.longest, segment.size)

    def close(self) -> "Torns":
        """Return all of it, at the end of the recording."""
        self._close(None)
        return self

    def _close(self, behind: Segment | None) -> None:
        self.found += [Torn(damage, self._before, behind) for damage in self._open]
        self._open = []


def read_salvaging(
    recording: bytes | mmap, bindings: Collection[bytes]
) -> Iterator[Segment | Damage]:
    """Yield the segments of a recording and its damage, and at last what was made out in that."""
    torns = Torns()
    for found in read_traffic(recording, bindings):
        if isinstance(found, Damage):
            torns.damage(found)
            yield found
        elif isinstance(found, Received):
            torns.intact(found.segments)
            yield from found.segments
    yield from salvage(recording, torns.close())


def salvage(recording: bytes | mmap, torns: Torns) -> list[Salvage]:
    """Return what can be made out in the damage of a recording.

    It ends, as reading does, when `allowance` was looked at.
    """
    found: list[Salvage] = []
    left = allowance(recording)
    scenes = Counter(encoding.scene_id for encoding in torns.encodings)
    several = {scene for scene, count in scenes.items() if count > 1}
    for one in torns.found:
        near = one.encodings
        far = torns.encodings if len(torns.encodings) <= _MOST_ENCODINGS else near
        search = _Search(recording, one, near | far, torns.longest)
        found += (s for s in search.run(left) if s.wrong or s.segment.scene_id not in several)
        left -= search.looked_at
        if left < 0:
            break
    return found


class _Search:
    """Looks for segments in one damage."""

    def __init__(
        self, recording: bytes | mmap, torn: Torn, encodings: set[Encoding], longest: int
    ) -> None:
        first, stop = torn.damage.offset, torn.damage.offset + torn.damage.length
        self._raw = bytes(recording[first:stop])
        self._torn, self._encodings, self._longest = torn, encodings, longest
        self._bindings = {e.binding: int.from_bytes(e.binding, "big") for e in encodings}
        self.looked_at = 0

    def run(self, most: int) -> Iterator[Salvage]:
        """Yield what is found, looking at so many bytes at most."""
        if not self._bindings:
            return
        marks = [mark.start() for mark in _SYNC.finditer(self._raw)]
        starts = [0, PACKET_OVERHEAD, *marks]
        heapify(starts)
        after = -1
        while starts and self.looked_at <= most:
            start = heappop(starts)
            if start <= after or not self._may_begin(start):
                continue
            after, stop = start, self._told_stop(start)
            ends = dict.fromkeys(end for end in (stop, *self._stops(start, marks)) if end)
            for end in ends:
                if one := self._put_right(start, end, self._single):
                    yield from one
                    after = end - 1
                    for between in _BETWEEN:
                        heappush(starts, end + between)
                    break
            else:
                if stop in self._stops(start, marks):
                    yield from self._put_right(start, stop, self._several)
                    yield from self._as_it_came(start, stop)

    def _may_begin(self, start: int) -> bool:
        """Say whether a segment may begin here, at most one of these bits being wrong."""
        found = int.from_bytes(self._raw[start : start + len(_BEGINNING)], "big")
        wrong = (found ^ int.from_bytes(_BEGINNING, "big")) & _OF_ALL
        return wrong.bit_count() <= 1 and start + LEAST_OVERHEAD <= len(self._raw)

    def _told_stop(self, start: int) -> int:
        """Return where a segment ends by its head, 0 if that makes no sense."""
        try:
            size = Head.read(self._raw, start).size
        except StreamError:
            return 0
        return start + size if size <= self._longest else 0

    def _stops(self, start: int, marks: list[int]) -> list[int]:
        """Return where a segment may end by what comes next."""
        first = start + LEAST_OVERHEAD
        here = bisect_left(marks, first)
        following = marks[here : here + _MARKS]
        ends = [len(self._raw), len(self._raw) - _CONTROL_BYTES]
        ends += [mark - between for mark in following for between in _BETWEEN]
        return [end for end in ends if first <= end <= start + self._longest]

    def _put_right(
        self, start: int, stop: int, flips: Callable[[int, int], Iterator[int]]
    ) -> list[Salvage]:
        """Return the segments that bytes become with some of their bits put right."""
        packed = self._raw[start:stop]
        self.looked_at += len(packed) + _EACH
        told = int.from_bytes(told_binding(packed), "big")
        number, found = int.from_bytes(packed, "big"), []
        for binding, value in self._bindings.items():
            for flipped in flips(told ^ value, len(packed)):
                right = (number ^ flipped).to_bytes(len(packed), "big")
                with suppress(StreamError):
                    segment, after = Segment.unpack(right, 0, (binding,))
                    if after == len(packed) and self._is_wanted(segment):
                        found.append(self._of(start, stop, segment, flipped.bit_count()))
        found.sort(key=lambda one: one.wrong)
        return found[:_MOST_ALTERNATIVES]

    def _single(self, told: int, size: int) -> Iterator[int]:
        """Yield the number that one wrong bit makes wrong."""
        bit = syndromes_of(size).single(told)
        if bit is not None:
            yield 1 << (8 * size - 1 - bit)

    def _several(self, told: int, size: int) -> Iterator[int]:
        """Yield the numbers that two wrong bits, or a few bytes, make wrong."""
        self.looked_at += _COST * size
        syndromes = syndromes_of(size)
        for pair in syndromes.pairs(told):
            yield sum(1 << (8 * size - 1 - bit) for bit in pair)
        for first, pattern in syndromes.windows(told):
            yield int.from_bytes(pattern, "big") << 8 * (size - first - WINDOW)

    def _as_it_came(self, start: int, stop: int) -> Iterator[Salvage]:
        """Yield a segment whose head agrees with what is around it."""
        with suppress(StreamError):
            head = Head.read(self._raw, start)
            came = Segment.of(head, self._raw, start, None)
            for encoding in self._torn.encodings:
                segment = replace(came, binding=encoding.binding)
                if segment.kind == Kind.TILE and self._torn.may_have(segment, came.binding):
                    yield self._of(start, stop, segment, AS_IT_CAME)

    def _is_wanted(self, segment: Segment) -> bool:
        return segment.kind in BOUND and Encoding.of(segment) in self._encodings

    def _of(self, start: int, stop: int, segment: Segment, wrong: int) -> Salvage:
        damage = self._torn.damage
        first = damage.offset + start
        return Salvage(first, stop - start, damage.reason, segment, wrong)
