"""Bounded tiles: the lanes of a tile that arrived."""

from dataclasses import dataclass, field
from typing import ClassVar

from ground.decode.tile import TileReception
from onboard.codec.bound import BOUNDED
from onboard.codec.tile import ALL_NODATA, ALL_VALID, SOME_NODATA, Side
from onboard.errors import StreamError
from onboard.link.segment import Segment


@dataclass
class BoundedTile(TileReception[Side]):
    """What has arrived of a bounded tile.

    Attributes:
        bands: bands of the scene.
        lanes: symbols of each segment, by the band and the pixel at which they start.
    """

    STATES: ClassVar[tuple[int, ...]] = (ALL_NODATA, BOUNDED | ALL_VALID, BOUNDED | SOME_NODATA)

    bands: int = 1
    lanes: dict[tuple[int, int], bytes] = field(default_factory=dict, init=False)

    @property
    def readable(self) -> bool:
        """Whether it is known which pixels have symbols."""
        return self.state in (ALL_VALID, SOME_NODATA) and not self.lacks_mask

    def place_layers(self, segment: Segment) -> None:
        """Place the lane of symbols that a segment carries, and the tile state before it."""
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

    def _place_state(self, packed: bytes) -> None:
        if packed[0] not in self.STATES:
            raise StreamError(f"tile state: expected one of {list(self.STATES)}, found {packed[0]}")
        self.packed_side = packed
