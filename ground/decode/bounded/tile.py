"""Bounded tiles: the lanes of a tile that arrived."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ground.decode.tile import TileReception
from onboard.codec.bound import BOUNDED, TWO_PARTS
from onboard.codec.bounded.rest import LAYER_BANDS
from onboard.codec.tile import ALL_NODATA, ALL_VALID, SOME_NODATA, Side
from onboard.errors import BundleError, StreamError
from onboard.link.segment import Segment

Start = tuple[int, int]
"""Band and pixel at which symbols begin."""


class NoFrontEnd:
    """Front end of tiles that have none."""

    side_bytes = 0

    def side_length(self, _packed: bytes) -> int:
        """Return the length of side information: there is none."""
        return 0

    def unpack(self, packed: bytes, signed: bool) -> Any:
        """Refuse."""
        raise BundleError(f"bounded tile: {len(packed)} bytes of side information, {signed=}")


@dataclass
class BoundedTile(TileReception[Side]):
    """What has arrived of a bounded tile.

    Attributes:
        bands: bands of the scene.
        lanes: symbols of each segment, by the band and the pixel at which they start.
        rest: the same of the rest, of a tile in two parts.
    """

    STATES: ClassVar[tuple[int, ...]] = (
        ALL_NODATA,
        *(part | state for part in (BOUNDED, TWO_PARTS) for state in (ALL_VALID, SOME_NODATA)),
    )

    bands: int = 1
    lanes: dict[Start, bytes] = field(default_factory=dict, init=False)
    rest: dict[Start, bytes] = field(default_factory=dict, init=False)

    @property
    def in_two_parts(self) -> bool:
        """Whether it has arrived that a rest of a finer bound may follow."""
        return self.packed_side is not None and bool(self.packed_side[0] & TWO_PARTS)

    @property
    def readable(self) -> bool:
        """Whether it is known which pixels have symbols."""
        return self.state in (ALL_VALID, SOME_NODATA) and not self.lacks_mask

    def place_layers(self, segment: Segment) -> None:
        """Place the lane of symbols that a segment carries, and the tile state before it."""
        if segment.layer > self.bands:
            self._place_rest(segment)
            return
        lane, start = segment.body, (segment.layer - 1, segment.first)
        if segment.layer == 0:
            state, lane, start = segment.body[:1], segment.body[1:], (0, 0)
            if not state or segment.first or (state[0] == ALL_NODATA and lane):
                raise StreamError(f"layer 0: {len(segment.body)} bytes, first {segment.first}")
            if self.packed_side not in (None, state):
                raise StreamError(f"tile {segment.tile}: its state contradicts another")
        elif not lane:
            raise StreamError(f"tile {segment.tile}: a segment of no bytes")
        band, pixel = start
        if band >= self.bands or pixel >= self.rows * self.cols:
            raise StreamError(f"tile {segment.tile}: no band {band}, or no pixel {pixel} in it")
        if lane and self.lanes.get(start, lane) != lane:
            raise StreamError(f"tile {segment.tile}: contradicts an earlier segment")
        if segment.layer == 0:
            self._place_state(state)
        if lane:
            self.lanes[start] = lane

    def _place_rest(self, segment: Segment) -> None:
        """Place the lane of symbols of the rest that a segment carries."""
        place, pixel = divmod(segment.first, self.rows * self.cols)
        band = LAYER_BANDS * (segment.layer - self.bands - 1) + place
        start = band, pixel
        if self.packed_side is not None and not self.in_two_parts:
            raise StreamError(
                f"tile {segment.tile}: a rest, but its state is {self.packed_side[0]}"
            )
        if place >= LAYER_BANDS or band >= self.bands or not segment.body:
            raise StreamError(f"tile {segment.tile}: no band {band} of the rest, or no bytes of it")
        if self.rest.get(start, segment.body) != segment.body:
            raise StreamError(f"tile {segment.tile}: contradicts an earlier segment")
        self.rest[start] = segment.body

    def _place_state(self, packed: bytes) -> None:
        if packed[0] not in self.STATES:
            raise StreamError(f"tile state: expected one of {list(self.STATES)}, found {packed[0]}")
        self.packed_side = packed
