"""Tile reception: what of one tile has arrived, piece by piece."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import Bundle
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.layers import LayerShape, Piece, read_pieces
from onboard.codec.tile import ALL_NODATA, ALL_VALID, DEPENDENT, SOME_NODATA, Side
from onboard.errors import StreamError
from onboard.link.mask import unpack_mask
from onboard.link.segment import Segment

MISSING = -1


@dataclass
class TileReception:
    """What has arrived of one tile.

    Attributes:
        rows: valid rows.
        cols: valid columns.
        maps: int32 (rows, cols) per level, coarse to fine; MISSING where nothing has arrived.
        lanes: entropy-coded symbols by layer and `first` at which they start.
        packed_side: layer 0, None until it has arrived.
        side: side information of the front end, unpacked.
        nodata: (rows, cols) bool.
        mask_known: (rows, cols) bool, where `nodata` has arrived.
    """

    rows: int
    cols: int
    maps: list[NDArray[np.int32]] = field(default_factory=list)
    lanes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    packed_side: bytes | None = None
    side: Side | None = None
    nodata: NDArray[np.bool_] = field(init=False)
    mask_known: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.nodata = np.zeros((self.rows, self.cols), np.bool_)
        self.mask_known = np.zeros((self.rows, self.cols), np.bool_)

    @property
    def state(self) -> int | None:
        """Tile state without `DEPENDENT`, None until layer 0 has arrived."""
        return None if self.packed_side is None else self.packed_side[0] & ~DEPENDENT

    @property
    def dependent(self) -> bool:
        """Whether indices were chosen along a trellis; False until layer 0 has arrived."""
        return self.packed_side is not None and bool(self.packed_side[0] & DEPENDENT)

    def place_indices(self, segment: Segment, bundle: Bundle, signed: bool) -> None:
        """Place the layers of packed indices that a segment carries, all or none.

        Raises:
            StreamError: they make no sense, or contradict what has arrived.
        """
        levels = CorsaCodec.of(bundle.codec).levels
        shapes = [
            LayerShape(indices.size, level.width)
            for indices, level in zip(self.maps, levels, strict=True)
        ]
        side_bytes = 1 + bundle.codec.side_bytes
        pieces = read_pieces(segment.layer, segment.first, segment.body, shapes, side_bytes)
        for piece in pieces:
            if piece.layer:
                if int(piece.indices.max()) >= levels[piece.layer - 1].codebook.size:
                    raise StreamError(f"tile {segment.tile}: index beyond the codebook")
                place = self._place_of(piece)
                if ((place != MISSING) & (place != piece.indices)).any():
                    raise StreamError(f"tile {segment.tile}: contradicts an earlier segment")
            elif self.packed_side not in (None, piece.side):
                raise StreamError(f"tile {segment.tile}: side information contradicts earlier one")
        for piece in pieces:
            if piece.layer:
                self._place_of(piece)[:] = piece.indices
            else:
                self._place_side(piece.side, bundle, signed)

    def place_lane(self, segment: Segment, bundle: Bundle, signed: bool) -> None:
        """Place the lane of entropy-coded symbols that a segment carries, and layer 0 before it.

        Raises:
            StreamError: it makes no sense, or contradicts what has arrived.
        """
        start, lane = (segment.layer, segment.first), segment.body
        side: bytes | None = None
        if segment.layer == 0:
            all_nodata = segment.body[:1] == bytes([ALL_NODATA])
            length = 1 if all_nodata else 1 + bundle.codec.side_bytes
            side, lane, start = segment.body[:length], segment.body[length:], (1, 0)
            if segment.first or len(side) < length or (all_nodata and lane):
                raise StreamError(f"layer 0: {len(segment.body)} bytes, first {segment.first}")
            if self.packed_side not in (None, side):
                raise StreamError(f"tile {segment.tile}: side information contradicts another")
        if (lane and self.lanes.get(start, lane) != lane) or not (lane or side):
            raise StreamError(f"tile {segment.tile}: contradicts an earlier segment, or empty")
        if side is not None:
            self._place_side(side, bundle, signed)
        if lane:
            self.lanes[start] = lane

    def place_mask(self, segment: Segment) -> None:
        """Place the piece of the nodata mask that a segment carries.

        Raises:
            StreamError: it makes no sense, or contradicts what has arrived.
        """
        if self.state not in (None, SOME_NODATA):
            raise StreamError(f"tile {segment.tile}: a nodata mask, but its state is {self.state}")
        nodata = unpack_mask(segment.body, segment.first, self.rows * self.cols)
        place = slice(segment.first, segment.first + nodata.size)
        known, mask = self.mask_known.reshape(-1)[place], self.nodata.reshape(-1)[place]
        if (known & (mask != nodata)).any():
            raise StreamError(f"tile {segment.tile}: nodata masks contradict each other")
        known[:], mask[:] = True, nodata

    def _place_of(self, piece: Piece) -> NDArray[np.int32]:
        """Return the part of the index map that a piece fills."""
        flat = self.maps[piece.layer - 1].reshape(-1)
        return flat[piece.first : piece.first + piece.indices.size]

    def _place_side(self, side: bytes, bundle: Bundle, signed: bool) -> None:
        states = [ALL_VALID, SOME_NODATA, ALL_NODATA]
        if bundle.variable_rate:
            states += [DEPENDENT | ALL_VALID, DEPENDENT | SOME_NODATA]
        if side[0] not in states:
            raise StreamError(f"tile state: expected one of {states}, found {side[0]}")
        if side[0] != ALL_NODATA:
            self.side = bundle.codec.unpack_side(side[1:], signed)
        self.packed_side = side
