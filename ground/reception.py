"""Reception: what of one scene has arrived, whatever the order, the gaps and the damage."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from onboard.adaptive import AdaptiveSide
from onboard.bundle import Bundle
from onboard.errors import BundleError, LimitError, StreamError, UsageError
from onboard.frontend import AffineSide
from onboard.layers import ALL_NODATA, SOME_NODATA, LayerShape, Piece, read_pieces
from onboard.nodatamask import unpack_mask
from onboard.sceneheader import EndOfScene, SceneHeader
from onboard.segment import Damage, Kind, Segment
from onboard.tiling import TileGrid, positions

MISSING = -1

Side = AffineSide | AdaptiveSide


@dataclass
class TileReception:
    """What has arrived of one tile.

    Attributes:
        rows: valid rows.
        cols: valid columns.
        maps: int32 (rows, cols) per level, coarse to fine; MISSING where nothing has arrived.
        packed_side: layer 0, None until it has arrived.
        side: side information of the front end, unpacked.
        nodata: (rows, cols) bool.
        mask_known: (rows, cols) bool, where `nodata` has arrived.
    """

    rows: int
    cols: int
    maps: list[NDArray[np.int32]]
    packed_side: bytes | None = None
    side: Side | None = None
    nodata: NDArray[np.bool_] = field(init=False)
    mask_known: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.nodata = np.zeros((self.rows, self.cols), np.bool_)
        self.mask_known = np.zeros((self.rows, self.cols), np.bool_)

    @property
    def state(self) -> int | None:
        """Tile state, None until layer 0 has arrived."""
        return None if self.packed_side is None else self.packed_side[0]


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
    _lock: Lock = field(default_factory=Lock)

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
            if self.counts["other scene"]:
                raise StreamError(f"stream: no segment of scene {self.scene_id}, only of others")
            raise StreamError(f"stream: no intact segment; {'; '.join(self.problems) or 'empty'}")

    def _refuse(self, what: str, reason: str, was_used: bool = False) -> None:
        self.counts[what] += 1
        self.counts["used"] -= was_used
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
        if segment.kind in (Kind.TILE, Kind.MASK):
            self._tiles.setdefault(segment.tile, []).append(segment)
            return
        if segment.kind not in (Kind.SCENE, Kind.END):
            return  # a kind of a newer minor version
        if segment.tile or segment.layer or segment.first or segment.edge:
            raise StreamError("scene or end segment: tile, layer, first or edge is set")
        if segment.kind == Kind.SCENE:
            self._use_header(SceneHeader.unpack(segment.body))
        else:
            end = EndOfScene.unpack(segment.body)
            if self.end not in (None, end):
                raise StreamError(f"end segment: {end} contradicts {self.end}")
            self.end = end

    def _use_header(self, header: SceneHeader) -> None:
        if header.bands != self.bundle.bands:
            raise StreamError(
                f"scene header: expected {self.bundle.bands} bands, found {header.bands}"
            )
        if self.header is not None and replace(self.header, height=header.height) != header:
            raise StreamError("scene header: contradicts an earlier one")
        if self.header is not None and self.header.height and header.height != self.header.height:
            raise StreamError(f"scene header: height {header.height} contradicts an earlier one")
        self.header = header

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
        if width < 1:
            raise UsageError(f"width: expected 1 or more, found {width}")
        height = self._height(width)
        if width * height > max_pixels:
            raise LimitError(
                f"scene: {width} x {height} pixels, the limit is {max_pixels} (--max-pixels)"
            )
        grid = TileGrid(width, height, self.bundle.tile)
        for index in [i for i in self._tiles if i >= grid.count]:
            for _ in self._tiles.pop(index):
                reason = f"tile {index}: the scene has {grid.count} tiles"
                self._refuse("damaged", reason, was_used=True)
        return grid

    def _height(self, width: int) -> int:
        if self.header and self.header.height:
            if self.end and self.end.height != self.header.height:
                reason = f"end segment: height {self.end.height} contradicts the header"
                self._refuse("damaged", reason, was_used=True)
                self.end = None
            return self.header.height
        if self.end:
            return self.end.height
        if not self._tiles:
            raise StreamError("stream: height unknown: no header, end or tile arrived")
        last = max(self._tiles)
        row = last // -(-width // self.bundle.tile)
        edges = [s.edge[0] for i in self._tiles for s in self._tiles[i] if s.edge and i == last]
        return row * self.bundle.tile + (edges[0] if edges else self.bundle.tile)

    def sides(self, grid: TileGrid) -> dict[int, Side]:
        """Return the side information of each tile of the grid that has any."""
        signed = self.header is not None and self.header.sample_type == "i16"
        found: dict[int, Side] = {}
        for index in sorted(self._tiles):
            for segment in self._tiles[index]:
                body = segment.body[1 : 1 + self.bundle.front_end.side_bytes]
                whole = len(body) == self.bundle.front_end.side_bytes
                if (
                    segment.kind == Kind.TILE
                    and segment.layer == 0
                    and whole
                    and index < grid.count
                ):
                    with suppress(StreamError):
                        found.setdefault(index, self.bundle.front_end.unpack(body, signed))
        return found

    def tile(self, grid: TileGrid, index: int) -> TileReception:
        """Return what has arrived of a tile; a segment that makes no sense counts as damaged.

        Of segments that contradict each other the first to arrive is believed.
        """
        _, _, rows, cols = grid.box(index)
        shapes = [positions(rows, cols, level.reduction) for level in self.bundle.levels]
        tile = TileReception(rows, cols, [np.full(shape, MISSING, np.int32) for shape in shapes])
        self._place(tile, grid, index, self._place_layers)
        return tile

    def lapped_tile(
        self, grid: TileGrid, index: int
    ) -> tuple[TileReception, dict[tuple[int, int], bytes]]:
        """Return what has arrived of a tile of entropy-coded symbols.

        Returns:
            The tile without maps, and its lanes by the layer and position at which they start.
        """
        _, _, rows, cols = grid.box(index)
        tile = TileReception(rows, cols, [])
        lanes: dict[tuple[int, int], bytes] = {}
        side_bytes = 1 + self.bundle.front_end.side_bytes

        def place(tile: TileReception, segment: Segment) -> None:
            start, lane = (segment.layer, segment.first), segment.body
            side: bytes | None = None
            if segment.layer == 0:
                length = 1 if segment.body[:1] == bytes([ALL_NODATA]) else side_bytes
                side, lane, start = segment.body[:length], segment.body[length:], (1, 0)
                if segment.first or len(side) < length or (length == 1 and lane):
                    raise StreamError(f"layer 0: {len(segment.body)} bytes, first {segment.first}")
                if tile.packed_side not in (None, side):
                    raise StreamError(f"tile {segment.tile}: side information contradicts another")
            if lanes.get(start, lane) != lane or not (lane or side):
                raise StreamError(f"tile {segment.tile}: contradicts an earlier segment, or empty")
            if side is not None:
                self._place_side(tile, side)
            if lane:
                lanes[start] = lane

        self._place(tile, grid, index, place)
        return tile, lanes

    def refuse_lane(self, tile: int) -> None:
        """Count a segment whose symbols make no sense as damaged."""
        with self._lock:
            self._refuse("damaged", f"tile {tile}: symbols do not end", was_used=True)

    def _place(
        self,
        tile: TileReception,
        grid: TileGrid,
        index: int,
        place_layers: Callable[[TileReception, Segment], None],
    ) -> None:
        """Place the segments of a tile, counting those that do not fit as damaged."""
        edge = None if tile.rows == tile.cols == grid.tile else (tile.rows, tile.cols)
        for segment in sorted(self._tiles.get(index, ()), key=lambda s: s.kind):
            try:
                if segment.edge != edge:
                    raise StreamError(f"tile {index}: expected edge {edge}, found {segment.edge}")
                if segment.kind == Kind.TILE:
                    place_layers(tile, segment)
                else:
                    _place_mask(tile, segment)
            except StreamError as error:
                with self._lock:
                    self._refuse("damaged", str(error), was_used=True)

    def _place_layers(self, tile: TileReception, segment: Segment) -> None:
        """Check all pieces of a segment, then place them."""
        levels = self.bundle.levels
        shapes = [
            LayerShape(indices.size, level.width)
            for indices, level in zip(tile.maps, levels, strict=True)
        ]
        side_bytes = 1 + self.bundle.front_end.side_bytes
        pieces = read_pieces(segment.layer, segment.first, segment.body, shapes, side_bytes)
        for piece in pieces:
            if piece.layer:
                if int(piece.indices.max()) >= levels[piece.layer - 1].codebook.size:
                    raise StreamError(f"tile {segment.tile}: index beyond the codebook")
                place = _place(tile, piece)
                if ((place != MISSING) & (place != piece.indices)).any():
                    raise StreamError(f"tile {segment.tile}: contradicts an earlier segment")
            elif tile.packed_side not in (None, piece.side):
                raise StreamError(f"tile {segment.tile}: side information contradicts earlier one")
        for piece in pieces:
            if piece.layer:
                _place(tile, piece)[:] = piece.indices
            else:
                self._place_side(tile, piece.side)

    def _place_side(self, tile: TileReception, side: bytes) -> None:
        if side[0] > ALL_NODATA:
            raise StreamError(f"tile state: expected 0..{ALL_NODATA}, found {side[0]}")
        if side[0] != ALL_NODATA:
            signed = self.header is not None and self.header.sample_type == "i16"
            tile.side = self.bundle.front_end.unpack(side[1:], signed)
        tile.packed_side = side


def _place(tile: TileReception, piece: Piece) -> NDArray[np.int32]:
    """Return the part of a tile's index map that a piece fills."""
    flat = tile.maps[piece.layer - 1].reshape(-1)
    return flat[piece.first : piece.first + piece.indices.size]


def _place_mask(tile: TileReception, segment: Segment) -> None:
    if tile.state not in (None, SOME_NODATA):
        raise StreamError(f"tile {segment.tile}: a nodata mask, but its state is {tile.state}")
    nodata = unpack_mask(segment.body, segment.first, tile.rows * tile.cols)
    place = slice(segment.first, segment.first + nodata.size)
    known, mask = tile.mask_known.reshape(-1)[place], tile.nodata.reshape(-1)[place]
    if (known & (mask != nodata)).any():
        raise StreamError(f"tile {segment.tile}: nodata masks contradict each other")
    known[:], mask[:] = True, nodata
