"""Lanes: what has arrived of tiles of entropy-coded symbols."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ground.decode.tile import TileReception
from onboard.codec.blocks import FIELD, has_field
from onboard.codec.lapped import floors
from onboard.codec.lapped.blocks.field import Field
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.frontends.frontend import FrontEnd, LappedSide
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.lapped.transform import SUB_STEPS
from onboard.codec.tile import (
    ALL_NODATA,
    ALL_VALID,
    DEPENDENT,
    EMPTY,
    FULL,
    SIGN_HIDING,
    SOME_NODATA,
)
from onboard.errors import StreamError
from onboard.link.segment import Segment


@dataclass
class LaneTile(TileReception[LappedSide]):
    """What has arrived of a tile of entropy-coded symbols.

    Attributes:
        front_end: front end that wrote the side information.
        lanes: symbols of each segment, by the layer and the `first` at which they start.
        floors: least level of each channel of a full tile that has one.
        most: residuals of a lane to read at most, where not all of it is trusted.
        field: step codes of its blocks, if they have any of their own.
    """

    front_end: FrontEnd

    STATES: ClassVar[tuple[int, ...]] = (
        *TileReception.STATES,
        *(
            coding | data
            for coding in (DEPENDENT, FULL, DEPENDENT | FULL, SIGN_HIDING, SIGN_HIDING | FULL)
            for data in (ALL_VALID, SOME_NODATA)
        ),
        *(
            FIELD | coding | data
            for coding in (0, DEPENDENT, SIGN_HIDING)
            for data in (ALL_VALID, SOME_NODATA)
        ),
        EMPTY | ALL_VALID,
        EMPTY | SOME_NODATA,
    )

    lanes: dict[tuple[int, int], bytes] = field(default_factory=dict, init=False)
    floors: dict[int, int] = field(default_factory=dict, init=False)
    most: dict[tuple[int, int], int] = field(default_factory=dict, init=False)
    field: Field | None = field(default=None, init=False)

    @property
    def coding(self) -> int:
        """What its layer 0 says of how its symbols are coded; 0 until that has arrived."""
        if self.packed_side is None:
            return 0
        told = self.packed_side[0] & (DEPENDENT | FULL | EMPTY | SIGN_HIDING)
        return told if self.field is None else told | FIELD | FULL * self.field.full

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
        if body and has_field(body[0]):
            found, taken = Field.unpack(body[length:], *self._positions)
            length, is_full = length + taken, found.full
        return length + (floors.packed_bytes(body[length:]) if is_full else 0)

    @property
    def _positions(self) -> tuple[int, int]:
        return -(-self.rows // BLOCK), -(-self.cols // BLOCK)

    def _place_side(self, packed: bytes) -> None:
        found = {}
        if packed[0] & EMPTY and not self.front_end.may_be_empty:
            raise StreamError(f"tile state: {packed[0]}, but no spectral profile is named")
        length, told, is_full = 1 + self.front_end.side_length(packed[1:]), None, packed[0] & FULL
        if packed[0] in self.STATES and has_field(packed[0]):
            told, taken = Field.unpack(packed[length:], *self._positions)
            told.check(packed[1])
            length, is_full = length + taken, told.full
        if packed[0] in self.STATES and is_full:
            found = floors.unpack(packed[length:], self.front_end.bands)
        super()._place_side(packed)
        self.floors, self.field = found, told

    @property
    def coarser(self) -> NDArray[np.int64]:
        """By how many codes the AC of each position (rows, cols) is coarser than the tile."""
        rows, cols = self._positions
        return self.field.of_positions(rows, cols) if self.field else np.zeros((rows, cols), int)

    @property
    def steps(self) -> NDArray[np.float64]:
        """Step of the AC of each position, DN; there is side information."""
        return (self.side.step if self.side else 1.0) * 2 ** (self.coarser / SUB_STEPS)


def alike(tiles: Mapping[int, LaneTile], most: int) -> Iterator[list[int]]:
    """Yield the keys of tiles of one shape that are coded alike, at most so many together."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for key, tile in tiles.items():
        groups.setdefault((tile.rows, tile.cols, tile.coding), []).append(key)
    for members in groups.values():
        for first in range(0, len(members), most):
            yield members[first : first + most]


def read_lanes(reader: LayerReader, tiles: Sequence[LaneTile], last: int | None = None) -> Read:
    """Read tiles of one shape that are coded alike, all layers or those up to the last wanted."""
    lanes = [
        Lane(number, *start, body, tile.most.get(start))
        for number, tile in enumerate(tiles)
        for start, body in sorted(tile.lanes.items())
    ]
    rows, cols = (-(-side // BLOCK) for side in (tiles[0].rows, tiles[0].cols))
    coding = tiles[0].coding
    least = floors.least_levels(reader.model, [t.floors for t in tiles]) if coding & FULL else None
    coarser = np.stack([tile.coarser for tile in tiles]) if has_field(coding) else None
    return reader.read(len(tiles), rows, cols, lanes, coding, least, coarser, last)


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
