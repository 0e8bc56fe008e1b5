"""Reception: what of one scene has arrived, whatever the order, the gaps and the damage."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onboard.bitstream import EndOfScene, LayerShape, SceneHeader, read_pieces
from onboard.bundle import Bundle
from onboard.encoder import ALL_NODATA
from onboard.errors import BundleError, LimitError, StreamError
from onboard.frontend import AffineSide
from onboard.nodatamask import unpack_mask
from onboard.segment import Damage, Kind, Segment
from onboard.tiling import TileGrid, positions

DEFAULT_MAX_PIXELS = 1 << 28
MISSING = -1


@dataclass
class TileReception:
    """What has arrived of one tile.

    Attributes:
        rows: valid rows.
        cols: valid columns.
        state: tile state of layer 0, None until that has arrived.
        side: side information of the front end.
        maps: int32 (rows, cols) per level, coarse to fine; MISSING where nothing has arrived.
        nodata: (rows, cols) bool.
        mask_known: (rows, cols) bool, where `nodata` has arrived.
    """

    rows: int
    cols: int
    maps: list[NDArray[np.int32]]
    state: int | None = None
    side: AffineSide | None = None
    nodata: NDArray[np.bool_] | None = None
    mask_known: NDArray[np.bool_] | None = None


@dataclass
class Reception:
    """The segments of one scene, collected.

    Attributes:
        bundle: the model the stream must name.
        scene_id: the scene wanted; None takes that of the first intact segment.
        counts: segments by what became of them: 'used', 'damaged', 'other scene', 'other model'.
        problems: the first few reasons why segments were not used.
    """

    bundle: Bundle
    scene_id: int | None = None
    header: SceneHeader | None = None
    end: EndOfScene | None = None
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _tiles: dict[int, list[Segment]] = field(default_factory=dict)

    def add_all(self, segments: Iterable[Segment | Damage]) -> None:
        """Sort segments to their tiles.

        Raises:
            BundleError: every intact segment names another model.
            StreamError: there is no intact segment at all.
        """
        for segment in segments:
            if isinstance(segment, Damage):
                self._refuse("damaged", f"byte {segment.offset}: {segment.reason}")
            else:
                self._add(segment)
        if not self.counts["used"]:
            if other := self.counts["other model"]:
                raise BundleError(
                    f"stream: {other} segments, none of model {self.bundle.model_hash[:4].hex()} "
                    f"({self.bundle.name}): {self.problems[0]}"
                )
            raise StreamError(f"stream: no intact segment; {'; '.join(self.problems) or 'empty'}")

    def _refuse(self, what: str, reason: str) -> None:
        self.counts[what] += 1
        if len(self.problems) < 5:
            self.problems.append(reason)

    def _add(self, segment: Segment) -> None:
        if segment.model != self.bundle.model_hash[:4]:
            self._refuse("other model", f"a segment names model {segment.model.hex()}")
            return
        if self.scene_id is None:
            self.scene_id = segment.scene_id
        if segment.scene_id != self.scene_id:
            self.counts["other scene"] += 1
            return
        try:
            self._use(segment)
            self.counts["used"] += 1
        except StreamError as error:
            self._refuse("damaged", str(error))

    def _use(self, segment: Segment) -> None:
        if segment.kind == Kind.SCENE:
            header = SceneHeader.unpack(segment.body)
            if header.bands != self.bundle.bands:
                raise StreamError(
                    f"scene header: expected {self.bundle.bands} bands, found {header.bands}"
                )
            self.header = self.header or header
        elif segment.kind == Kind.END:
            self.end = self.end or EndOfScene.unpack(segment.body)
        elif segment.kind in (Kind.TILE, Kind.MASK):
            self._tiles.setdefault(segment.tile, []).append(segment)

    def grid(self, width: int | None, max_pixels: int) -> TileGrid:
        """Return the tile grid; tiles beyond it are counted as damaged.

        Args:
            width: columns of the scene, needed only when no header has arrived.
            max_pixels: the most pixels (width x height) to make.

        Raises:
            StreamError: no header and no width, or no way to know the height.
            LimitError: the scene would have more than `max_pixels`.
        """
        width = self.header.width if self.header else width
        if width is None:
            raise StreamError("stream: no scene header arrived; give the width (--width)")
        height = self._height(width)
        if width * height > max_pixels:
            raise LimitError(
                f"scene: {width} x {height} pixels, the limit is {max_pixels} (--max-pixels)"
            )
        grid = TileGrid(width, height, self.bundle.tile)
        for index in [i for i in self._tiles if i >= grid.count]:
            for _ in self._tiles.pop(index):
                self.counts["used"] -= 1
                self._refuse("damaged", f"tile {index}: the scene has {grid.count} tiles")
        return grid

    def _height(self, width: int) -> int:
        if self.header and self.header.height:
            return self.header.height
        if self.end and self.end.height:
            return self.end.height
        if not self._tiles:
            raise StreamError("stream: height unknown: no header, end or tile arrived")
        last = max(self._tiles)
        row = last // -(-width // self.bundle.tile)
        edges = [s.edge[0] for i in self._tiles for s in self._tiles[i] if s.edge and i == last]
        return row * self.bundle.tile + (edges[0] if edges else self.bundle.tile)

    def tile(self, grid: TileGrid, index: int) -> TileReception:
        """Return what has arrived of a tile; a segment that makes no sense counts as damaged."""
        _, _, rows, cols = grid.box(index)
        shapes = [positions(rows, cols, level.reduction) for level in self.bundle.levels]
        tile = TileReception(rows, cols, [np.full(shape, MISSING, np.int32) for shape in shapes])
        for segment in self._tiles.get(index, ()):
            try:
                if (segment.edge or (grid.tile, grid.tile)) != (rows, cols):
                    raise StreamError(
                        f"tile {index}: expected {rows} x {cols}, found {segment.edge}"
                    )
                if segment.kind == Kind.TILE:
                    self._place_layers(tile, segment)
                else:
                    _place_mask(tile, segment)
            except StreamError as error:
                self.counts["used"] -= 1
                self._refuse("damaged", str(error))
        return tile

    def _place_layers(self, tile: TileReception, segment: Segment) -> None:
        levels = self.bundle.levels
        shapes = [
            LayerShape(indices.size, level.width)
            for indices, level in zip(tile.maps, levels, strict=True)
        ]
        side_bytes = 1 + self.bundle.front_end.side_bytes
        pieces = read_pieces(segment.layer, segment.first, segment.body, shapes, side_bytes)
        for piece in pieces:
            if piece.layer and int(piece.indices.max()) >= levels[piece.layer - 1].codebook.size:
                raise StreamError(f"tile {segment.tile}: index beyond the codebook")
        for piece in pieces:
            if piece.layer == 0:
                self._place_side(tile, piece.side)
            else:
                flat = tile.maps[piece.layer - 1].reshape(-1)
                flat[piece.first : piece.first + piece.indices.size] = piece.indices

    def _place_side(self, tile: TileReception, side: bytes) -> None:
        if side[0] > ALL_NODATA:
            raise StreamError(f"tile state: expected 0..{ALL_NODATA}, found {side[0]}")
        if side[0] != ALL_NODATA:
            signed = self.header is not None and self.header.sample_type == "i16"
            tile.side = AffineSide.unpack(side[1:], signed)
        tile.state = side[0]


def _place_mask(tile: TileReception, segment: Segment) -> None:
    pixels = tile.rows * tile.cols
    nodata = unpack_mask(segment.body, segment.first, pixels)
    if tile.nodata is None or tile.mask_known is None:
        tile.nodata = np.zeros((tile.rows, tile.cols), np.bool_)
        tile.mask_known = np.zeros((tile.rows, tile.cols), np.bool_)
    stop = segment.first + nodata.size
    tile.nodata.reshape(-1)[segment.first : stop] = nodata
    tile.mask_known.reshape(-1)[segment.first : stop] = True
