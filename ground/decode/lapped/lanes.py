"""Lanes: what has arrived of tiles of entropy-coded symbols."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ground.decode.tile import TileReception
from onboard.codec.lapped import floors
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.frontends.frontend import FrontEnd, LappedSide
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.tile import ALL_NODATA, ALL_VALID, DEPENDENT, EMPTY, FULL, SOME_NODATA
from onboard.errors import StreamError
from onboard.link.segment import Segment


@dataclass
class LaneTile(TileReception[LappedSide]):
    """What has arrived of a tile of entropy-coded symbols.

    Attributes:
        front_end: front end that wrote the side information.
        lanes: symbols of each segment, by the layer and the `first` at which they start.
        floors: least level of each channel of a full tile that has one.
    """

    front_end: FrontEnd

    STATES: ClassVar[tuple[int, ...]] = (
        *TileReception.STATES,
        *(
            coding | data
            for coding in (DEPENDENT, FULL, DEPENDENT | FULL)
            for data in (ALL_VALID, SOME_NODATA)
        ),
        EMPTY | ALL_VALID,
        EMPTY | SOME_NODATA,
    )

    lanes: dict[tuple[int, int], bytes] = field(default_factory=dict, init=False)
    floors: dict[int, int] = field(default_factory=dict, init=False)

    @property
    def coding(self) -> int:
        """What its tile state says of how its symbols are coded; 0 until layer 0 has arrived."""
        return 0 if self.packed_side is None else self.packed_side[0] & (DEPENDENT | FULL | EMPTY)

    def place_layers(self, segment: Segment) -> None:
        """Place the lane of symbols that a segment carries, and layer 0 before it."""
        start, lane = (segment.layer, segment.first), segment.body
        side: bytes | None = None
        if segment.layer == 0:
            length = self._layer_0_bytes(segment.body)
            side, lane, start = segment.body[:length], segment.body[length:], (1, 0)
            alone = side[:1] == bytes([ALL_NODATA]) or bool(side and side[0] & EMPTY)
            if segment.first or not side or len(side) < length or (alone and lane):
                raise StreamError(f"layer 0: {len(segment.body)} bytes, first {segment.first}")
            if self.packed_side not in (None, side):
                raise StreamError(f"tile {segment.tile}: side information contradicts another")
        if (lane and self.lanes.get(start, lane) != lane) or not (lane or side):
            raise StreamError(f"tile {segment.tile}: contradicts an earlier segment, or empty")
        if side is not None:
            self._place_side(side)
        if lane:
            self.lanes[start] = lane

    def _layer_0_bytes(self, body: bytes) -> int:
        """Return the length of layer 0 that a body begins with."""
        if body[:1] == bytes([ALL_NODATA]) or (body and body[0] & EMPTY):
            return 1
        length = 1 + self.front_end.side_length(body[1:])
        is_full = body and body[0] & FULL
        return length + (floors.packed_bytes(body[length:]) if is_full else 0)

    def _place_side(self, packed: bytes) -> None:
        found = {}
        if packed[0] & EMPTY and not self.front_end.may_be_empty:
            raise StreamError(f"tile state: {packed[0]}, but no spectral profile is named")
        if packed[0] in self.STATES and packed[0] & FULL:
            length = 1 + self.front_end.side_length(packed[1:])
            found = floors.unpack(packed[length:], self.front_end.bands)
        super()._place_side(packed)
        self.floors = found


def alike(tiles: Mapping[int, LaneTile], most: int) -> Iterator[list[int]]:
    """Yield the keys of tiles of one shape that are coded alike, at most so many together."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for key, tile in tiles.items():
        groups.setdefault((tile.rows, tile.cols, tile.coding), []).append(key)
    for members in groups.values():
        for first in range(0, len(members), most):
            yield members[first : first + most]


def read_lanes(reader: LayerReader, tiles: Sequence[LaneTile]) -> Read:
    """Read tiles of one shape that are coded alike."""
    lanes = [
        Lane(number, *start, body)
        for number, tile in enumerate(tiles)
        for start, body in sorted(tile.lanes.items())
    ]
    rows, cols = (-(-side // BLOCK) for side in (tiles[0].rows, tiles[0].cols))
    coding = tiles[0].coding
    least = floors.least_levels(reader.model, [t.floors for t in tiles]) if coding & FULL else None
    return reader.read(len(tiles), rows, cols, lanes, coding, least)


def complete_layers(reader: LayerReader, tiles: Sequence[LaneTile]) -> list[int]:
    """Return how many layers of each tile are whole, from layer 0 on; all are of one shape."""
    every = 1 + reader.model.contexts.layers
    silent = [tile.state == ALL_NODATA or bool(tile.coding & EMPTY) for tile in tiles]
    found = [every if nothing else 0 for nothing in silent]
    known = {n: tile for n, tile in enumerate(tiles) if tile.side is not None and not silent[n]}
    for coded in alike(known, len(tiles)):
        whole = read_lanes(reader, [tiles[place] for place in coded]).complete.tolist()
        for place, layers in zip(coded, whole, strict=True):
            found[place] = 1 + layers
    return found
