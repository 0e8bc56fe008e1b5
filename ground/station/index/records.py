"""Index: where in a recording each segment lies, so that a part of a scene is read alone.

It is made in one pass over the recording, in which everything is checked as it is without one.
Segments are read through it with their own check, beginnings of them without.
"""

from collections.abc import Collection, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.station.heard import Heard
from ground.station.recording import Bytes, Found, Pass, restored_packets
from ground.station.salvage.damaged import Torn, Torns, salvage
from ground.station.salvage.madeout import Salvage
from onboard.codec.tile import FULL, SIGN_HIDING
from onboard.errors import StreamError
from onboard.link.binding import Encoding, bindings_of
from onboard.link.foreign import read_traffic
from onboard.link.packet import PACKET_OVERHEAD
from onboard.link.resync import Damage, Received
from onboard.link.segment import CRC_BYTES, Kind, Segment

UNTOLD = 255
"""State of a tile whose layer 0 did not arrive."""
RECORD = np.dtype(
    [
        ("offset", "<u8"),
        ("tile", "<u4"),
        ("size", "<u4"),
        ("body", "<u2"),
        ("encoding", "<u2"),
        ("rows", "<u2"),
        ("cols", "<u2"),
        ("layer", "u1"),
        ("kind", "u1"),
        ("state", "u1"),
    ]
)
"""Of a segment. `body`: bytes before what it carries; `rows`, `cols`: its edge, 0 without one;
`state`: first byte of layer 0."""
_TOLD = ("layer", "kind", "state", "offset", "size", "body", "tile", "rows", "cols")
_MOST_ENCODINGS = 1 << 16


@dataclass(frozen=True)
class Index:
    """Where the segments of a recording lie.

    Attributes:
        recording: the recording.
        bindings: those known to it.
        heard: what is known of each encoding, in the order of their numbers.
        records: segments by encoding and tile, those of a tile in the order of their arrival.
        damage: damage, wherever there was no intact segment.
    """

    recording: Bytes
    bindings: frozenset[bytes]
    heard: dict[Encoding, Heard]
    records: NDArray[np.void]
    damage: list[Damage]

    @classmethod
    def build(cls, recording: Bytes, bindings: Collection[bytes] = ()) -> "Index | None":
        """Read a recording once; None of one with repair packets that bring something back.

        Args:
            recording: packets or segments, as `open_recording` gives them, not in KISS frames.
            bindings: those known besides the ones of which it tells.
        """
        if restored_packets([recording], bindings):
            return None
        known = bindings_of(recording).union(bindings)
        union = Pass()
        rows: list[tuple[int, ...]] = []
        numbers: dict[Encoding, int] = {}
        for found in read_traffic(recording, known):
            if isinstance(found, Damage):
                union.damage.append(found)
            if not isinstance(found, Received):
                continue
            offset = found.offset + (PACKET_OVERHEAD if found.packet else 0)
            for segment in found.segments:
                encoding = Encoding.of(segment)
                number = numbers.setdefault(encoding, len(numbers))
                if segment not in union.encodings.get(encoding, {}):
                    rows.append(_row(segment, offset, number))
                offset += segment.size
            union.add(Found(found.packet, found.segments))
        if len(numbers) > _MOST_ENCODINGS:
            return None
        records = np.array(rows, RECORD)
        order = np.lexsort((records["offset"], records["tile"], records["encoding"]))
        return cls(recording, frozenset(known), union.heard, records[order], union.damage)

    @cached_property
    def salvage(self) -> list[Salvage]:
        """What can be made out in the damage."""
        order = self.records[np.argsort(self.records["offset"], kind="stable")]
        places = np.searchsorted(order["offset"], [damage.offset for damage in self.damage])

        def intact(place: int) -> Segment | None:
            if not 0 <= place < len(order):
                return None
            return Segment.unpack(self.recording, int(order[place]["offset"]), self.bindings)[0]

        around = zip(self.damage, places.tolist(), strict=True)
        torns = Torns()
        torns.found = [Torn(damage, intact(place - 1), intact(place)) for damage, place in around]
        torns.encodings.update(self.heard)
        torns.longest = max(torns.longest, int(order["size"].max(initial=0)))
        return salvage(self.recording, torns)

    def received(self) -> Pass:
        """Return which encodings there are, none of their segments."""
        return Pass({encoding: {} for encoding in self.heard}, self.heard, self.damage)

    def of(self, encoding: Encoding) -> "Indexed":
        """Return the segments of an encoding."""
        number = list(self.heard).index(encoding)
        return Indexed(self, encoding, self.records[self.records["encoding"] == number])


def is_told(segment: Segment) -> bool:
    """Return whether a segment tells the state of its tile."""
    return segment.kind == Kind.TILE and segment.layer == 0 and len(segment.body) > 0


def _row(segment: Segment, offset: int, encoding: int) -> tuple[int, ...]:
    """Return the record of a segment."""
    size = segment.size
    body = size - CRC_BYTES - len(segment.body)
    state = segment.body[0] if is_told(segment) else UNTOLD
    edge, layer = segment.edge or (0, 0), segment.layer
    return offset, segment.tile, size, body, encoding, *edge, layer, segment.kind, state


@dataclass
class Indexed(Sequence[Segment | Damage]):
    """Segments of an encoding, each read where it is looked at, and the damage of the recording.

    Attributes:
        whole: index of the recording.
        encoding: which it is.
        records: its segments, by tile.
        touched: how many bytes of each were read.
    """

    whole: Index
    encoding: Encoding
    records: NDArray[np.void]
    touched: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.touched = np.zeros(len(self.records), np.int64)

    @property
    def bytes_read(self) -> int:
        """Bytes of the recording that were read through it."""
        return int(self.touched.sum())

    def __len__(self) -> int:
        return len(self.records) + len(self.whole.damage)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        one = range(len(self))[number]
        if one >= len(self.records):
            return self.whole.damage[one - len(self.records)]
        return self.read(one)

    def read(self, number: int) -> Segment:
        """Read a segment.

        Raises:
            StreamError: it is not what it was when the index was made.
        """
        record = self.records[number]
        offset, size = int(record["offset"]), int(record["size"])
        self.touched[number] = size
        segment, after = Segment.unpack(self.whole.recording, offset, self.whole.bindings)
        if after != offset + size or segment.tile != record["tile"]:
            raise StreamError(f"byte {offset}: expected the segment that the index tells of")
        return segment

    @property
    def size(self) -> int:
        """Bytes of its segments."""
        return int(self.records["size"].sum())

    def heads(self) -> list[Segment | Damage]:
        """Return headers and ends of the scene, the damage and what was made out in it.

        So all but the intact segments of tiles.
        """
        of_tiles = np.isin(self.records["kind"], (Kind.TILE, Kind.MASK))
        found = [self.read(number) for number in np.flatnonzero(~of_tiles).tolist()]
        if not found and len(self.records):
            found = [self.read(0)]
        made_out = (s for s in self.whole.salvage if Encoding.of(s.segment) == self.encoding)
        return [*found, *self.whole.damage, *made_out]

    def tiles(self) -> "IndexedTiles":
        """Return its tiles."""
        return IndexedTiles(self)


class IndexedTiles(MutableMapping[int, list[Segment]]):
    """Tile and mask segments by tile, read where they are looked at."""

    def __init__(self, source: Indexed, last: int | None = None, most: int | None = None) -> None:
        """Take what an index tells.

        Args:
            source: segments.
            last: layer behind which no segment begins that is given; None for all.
            most: bytes that are read, without a check, of what a segment carries that begins with
                layer 0 of a usual length; None for all, checked.
        """
        self._source, self._last, self._most = source, last, most
        kinds = source.records["kind"]
        here = np.flatnonzero((kinds == Kind.TILE) | (kinds == Kind.MASK))
        tiles = source.records["tile"][here]
        firsts = np.flatnonzero(np.diff(tiles, prepend=-1))
        stops = np.append(firsts[1:], len(here))
        self._places = dict(
            zip(
                tiles[firsts].tolist(),
                zip(firsts.tolist(), stops.tolist(), strict=True),
                strict=True,
            )
        )
        self._numbers = here
        columns = (source.records[name][here].tolist() for name in _TOLD)
        self._told: list[tuple[int, ...]] = list(zip(*columns, strict=True))

    @property
    def size(self) -> int:
        """Bytes of their segments."""
        return int(self._source.records["size"][self._numbers].sum())

    def coarse(self, last: int, most: int | None) -> "IndexedTiles":
        """Return the same up to a layer, and up to so many bytes of each segment."""
        return IndexedTiles(self._source, last, most)

    def states(self, count: int) -> NDArray[np.uint8]:
        """Return the first byte of layer 0 of so many tiles, `UNTOLD` where it did not arrive."""
        found = np.full(count, UNTOLD, np.uint8)
        records = self._source.records
        told = records[(records["kind"] == Kind.TILE) & (records["state"] != UNTOLD)][::-1]
        inside = told[told["tile"] < count]
        found[inside["tile"]] = inside["state"]
        return found

    def __getitem__(self, tile: int) -> list[Segment]:
        return [*self._read(*self._places[tile])]

    def _read(self, first: int, stop: int) -> Iterator[Segment]:
        for place in range(first, stop):
            layer, kind, state, *_ = told = self._told[place]
            if kind == Kind.MASK or self._last is None:
                yield self._source.read(int(self._numbers[place]))
            elif self._most is not None and state & ~SIGN_HIDING < FULL:
                yield self._beginning(place, told, self._most)
            elif layer <= self._last:
                yield self._source.read(int(self._numbers[place]))

    def _beginning(self, place: int, told: tuple[int, ...], most: int) -> Segment:
        """Read the beginning of what a segment of layer 0 carries."""
        _, _, _, offset, size, body, tile, rows, cols = told
        source, start = self._source, offset + body
        carried = source.whole.recording[start : min(start + most, offset + size - CRC_BYTES)]
        number = self._numbers[place]
        source.touched[number] = max(source.touched[number], len(carried))
        edge = (rows, cols) if rows else None
        return Segment(Kind.TILE, *source.encoding, tile, 0, 0, edge, carried)

    def __setitem__(self, tile: int, segments: list[Segment]) -> None:
        raise TypeError("an index is not added to")

    def __delitem__(self, tile: int) -> None:
        del self._places[tile]

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
