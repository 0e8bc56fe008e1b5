"""Index maps: what has arrived of a tile of packed indices."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from ground.decode.tile import TileReception
from onboard.codec.corsa.frontend import AffineSide
from onboard.codec.corsa.layers import LayerShape, Piece, read_pieces
from onboard.codec.corsa.quantizer import Level
from onboard.codec.tile import ALL_NODATA
from onboard.errors import StreamError
from onboard.image.tiles import positions
from onboard.link.segment import Segment

MISSING = -1
"""What stands in an index map where nothing has arrived."""


@dataclass
class MapTile(TileReception[AffineSide]):
    """What has arrived of a tile of packed indices.

    Attributes:
        levels: levels of the pyramid, coarse to fine.
        maps: int32 (rows, cols), indices of each level; MISSING where nothing has arrived.
    """

    levels: Sequence[Level]
    maps: list[NDArray[np.int32]] = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        shapes = [positions(self.rows, self.cols, level.reduction) for level in self.levels]
        self.maps = [np.full(shape, MISSING, np.int32) for shape in shapes]

    def place_layers(self, segment: Segment) -> None:
        """Place the packed indices that a segment carries, and layer 0, all or none."""
        shapes = [
            LayerShape(indices.size, level.width)
            for indices, level in zip(self.maps, self.levels, strict=True)
        ]
        side_bytes = 1 + self.front_end.side_bytes
        pieces = read_pieces(segment.layer, segment.first, segment.body, shapes, side_bytes)
        for piece in pieces:
            self._check(piece, segment.tile)
        for piece in pieces:
            if piece.layer:
                self._place_of(piece)[:] = piece.indices
            else:
                self._place_side(piece.side)

    def _check(self, piece: Piece, tile: int) -> None:
        """Refuse a piece that has no codeword, or contradicts what has arrived."""
        if not piece.layer:
            if self.packed_side not in (None, piece.side):
                raise StreamError(f"tile {tile}: side information contradicts earlier one")
            return
        if int(piece.indices.max()) >= self.levels[piece.layer - 1].codebook.size:
            raise StreamError(f"tile {tile}: index beyond the codebook")
        place = self._place_of(piece)
        if ((place != MISSING) & (place != piece.indices)).any():
            raise StreamError(f"tile {tile}: contradicts an earlier segment")

    def _place_of(self, piece: Piece) -> NDArray[np.int32]:
        """Return the part of the index map that a piece fills."""
        flat = self.maps[piece.layer - 1].reshape(-1)
        return flat[piece.first : piece.first + piece.indices.size]

    @property
    def complete(self) -> int:
        """Layers that are whole, from layer 0 on."""
        if self.packed_side is None:
            return 0
        if self.state == ALL_NODATA:
            return 1 + len(self.maps)
        whole = takewhile(lambda indices: (indices != MISSING).all(), self.maps)
        return 1 + len(list(whole))
