"""Inventory: which segments of a scene did not arrive, to ask for them again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ground.decode.kinds import rebuilder_of
from ground.decode.rebuilder import Rebuilder
from ground.decode.reception import Reception
from ground.decode.tile import TileReception
from ground.decode.wanted import FIRST, Wanted
from onboard.bundle import Bundle
from onboard.codec.tile import ALL_NODATA
from onboard.errors import StreamError, UsageError
from onboard.image.region import Region
from onboard.image.tiles import TileGrid
from onboard.link.binding import NO_RUN
from onboard.link.framing import HEADER_EVERY
from onboard.link.resync import Damage
from onboard.link.segment import Kind, Segment

ALL = "all"
"""In place of places: every tile."""
_TILES_AT_ONCE = 256


@dataclass(frozen=True)
class IncompleteTile:
    """A tile of which something arrived, but not all.

    Where a lost segment began is not known, only where those that arrived did. What is missing is
    every segment of the tile that begins elsewhere.

    Attributes:
        tile: index of the tile.
        layers: number of layers that arrived whole, from layer 0 on.
        have: `layer` and `first` of the tile segments that arrived.
        have_masks: `first` of the mask segments that arrived; None if no mask is missing, as far as
            is known.
        lacks_first: whether anything is missing but what was asked for of its rest.
    """

    tile: int
    layers: int
    have: tuple[tuple[int, int], ...]
    have_masks: tuple[int, ...] | None
    lacks_first: bool = True


@dataclass(frozen=True)
class Rest:
    """What is asked for of the rest of tiles in two parts.

    Attributes:
        layer: layer with which it begins.
        tiles: first and last tile of each run of tiles whose rest is asked for.
        arrived: tiles whose rest arrived whole.
    """

    layer: int
    tiles: tuple[tuple[int, int], ...]
    arrived: int


@dataclass(frozen=True)
class Inventory:
    """What is missing of a scene.

    Attributes:
        scene_id: id of the scene.
        run: run of the encoding, 0 for none.
        tiles: number of tiles of the scene.
        layers: number of layers of a tile, layer 0 included.
        height_known: whether the height was told; if not, there may be more tiles than that.
        header: whether a scene header arrived.
        end: whether the end arrived.
        absent: first and last tile of each run of tiles of which nothing arrived.
        incomplete: tiles of which something is missing.
        segments: number of tile and mask segments that did not arrive; None without the end, and
            where some may be of a rest that nobody asked for.
        whole_pixels: pixels of tiles of which nothing is missing.
    """

    scene_id: int
    run: int
    tiles: int
    layers: int
    height_known: bool
    header: bool
    end: bool
    absent: tuple[tuple[int, int], ...]
    incomplete: tuple[IncompleteTile, ...]
    segments: int | None
    whole_pixels: int
    rest: Rest | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, of the rest nothing that is asked for."""
        return self.header and self.end and not (self.absent or self.incomplete or self.segments)

    def as_dict(self) -> dict[str, Any]:
        """Return the request for JSON.

        Keys `scene`, `run`, `complete`, `tiles`, `layers`, `height_known`, `header`, `end` and
        `segments_missing` are as above; `absent_tiles` is a list of [first, last];
        `incomplete_tiles` a list of {"tile", "layers", "have": [[layer, first], ...], "have_masks":
        [first, ...] or null}. The spacecraft sends again: all segments of absent tiles; of
        incomplete ones those that `have` does not name, and if `have_masks` is not null, the masks
        that it does not name; header and end where they are false. `rest` is null or, of tiles in
        two parts, {"layer", "tiles": [[first, last], ...], "arrived"}: segments from that layer on
        are sent again of those tiles alone.
        """
        return {
            "scene": self.scene_id,
            "run": self.run,
            "complete": self.complete,
            "tiles": self.tiles,
            "layers": self.layers,
            "height_known": self.height_known,
            "header": self.header,
            "end": self.end,
            "segments_missing": self.segments,
            "rest": None
            if self.rest is None
            else {
                "layer": self.rest.layer,
                "tiles": [list(run) for run in self.rest.tiles],
                "arrived": self.rest.arrived,
            },
            "absent_tiles": [list(run) for run in self.absent],
            "incomplete_tiles": [
                {
                    "tile": tile.tile,
                    "layers": tile.layers,
                    "have": [list(start) for start in tile.have],
                    "have_masks": None if tile.have_masks is None else list(tile.have_masks),
                }
                for tile in self.incomplete
            ],
        }


def take_inventory(
    bundle: Bundle,
    segments: Iterable[Segment | Damage],
    wanted: Wanted = FIRST,
    rest: Sequence[str] = (),
) -> Inventory:
    """Say what is missing of a scene.

    Args:
        bundle: bundle that wrote the scene.
        segments: segments that arrived, of any scene.
        wanted: what is wanted of them.
        rest: places whose tiles' rest is asked for, as `Region.read` takes them, or `ALL`.

    Raises:
        as `Decoder.decode_segments` and `Region.read`; UsageError: the tiles have no rest.
    """
    reception = Reception.of(bundle, segments, wanted)
    grid = reception.grid()
    rebuilder = rebuilder_of(reception.bundle, reception.is_bounded)
    absent = [index for index in range(grid.count) if not reception.arrived(index)]
    asked = _asked(rest, reception, grid)
    incomplete, arrived, whole_pixels = [], 0, 0
    for index, tile, layers, refined in _tiles(reception, grid, rebuilder):
        lacks = layers < rebuilder.layers or tile.lacks_mask
        empty = tile.state == ALL_NODATA
        if lacks or (index in asked and not refined and not empty):
            incomplete.append(_incomplete(reception, index, tile, layers, lacks))
        arrived += refined
        whole_pixels += 0 if lacks else tile.rows * tile.cols
    return Inventory(
        reception.scene_id or 0,
        reception.run or NO_RUN,
        grid.count,
        rebuilder.layers,
        reception.height_known,
        reception.header is not None,
        reception.end is not None,
        tuple(_runs(absent)),
        tuple(sorted(incomplete, key=lambda tile: tile.tile)),
        None if reception.parts else _segments_missing(reception, grid),
        whole_pixels,
        Rest(rebuilder.layers, tuple(_runs(sorted(asked))), arrived) if reception.parts else None,
    )


def _tiles(
    reception: Reception, grid: TileGrid, rebuilder: Rebuilder[Any]
) -> Iterator[tuple[int, TileReception[Any], int, bool]]:
    """Yield number, tile, whole layers and whether the rest is whole, of tiles that arrived.

    Some tiles of one shape are read together.
    """
    by_shape: dict[tuple[int, int], list[int]] = {}
    for index in range(grid.count):
        if reception.arrived(index):
            by_shape.setdefault(grid.box(index)[2:], []).append(index)
    for members in by_shape.values():
        for start in range(0, len(members), _TILES_AT_ONCE):
            part = members[start : start + _TILES_AT_ONCE]
            tiles = [rebuilder.tile(reception, grid, index) for index in part]
            refined = rebuilder.refined(tiles)
            yield from zip(part, tiles, rebuilder.complete(tiles), refined, strict=True)


def _asked(rest: Sequence[str], reception: Reception, grid: TileGrid) -> set[int]:
    """Return the tiles whose rest is asked for."""
    if not rest:
        return set()
    if reception.header is None:
        raise StreamError("rest: expected a scene header, that tells bounds and places, none came")
    if not reception.parts:
        raise UsageError("rest: the tiles of the scene are in one part, there is none")
    if ALL in rest:
        return set(range(grid.count))
    region = Region.read(rest, reception.header, grid.tile, grid.groups)
    return {index for index in range(grid.count) if region.touches(index)}


def _incomplete(
    reception: Reception, index: int, tile: TileReception[Any], whole: int, lacks: bool
) -> IncompleteTile:
    arrived = reception.arrived(index)
    have = {(s.layer, s.first) for s in arrived if s.kind == Kind.TILE}
    masks = {s.first for s in arrived if s.kind == Kind.MASK}
    wanted = tile.packed_side is None or tile.lacks_mask
    return IncompleteTile(
        index, whole, tuple(sorted(have)), tuple(sorted(masks)) if wanted else None, lacks
    )


def _runs(indices: list[int]) -> list[tuple[int, int]]:
    """Return first and last of each run of consecutive numbers, of a sorted list."""
    if not indices:
        return []
    breaks = np.flatnonzero(np.diff(indices) > 1)
    firsts = [indices[0], *(indices[i + 1] for i in breaks)]
    lasts = [*(indices[i] for i in breaks), indices[-1]]
    return list(zip(firsts, lasts, strict=True))


def _segments_missing(reception: Reception, grid: TileGrid) -> int | None:
    """Return how many tile and mask segments are missing of those that the end counts."""
    if reception.end is None:
        return None
    arrived = {
        (index, s.kind, s.layer, s.first)
        for index in range(grid.count)
        for s in reception.arrived(index)
    }
    headers = -(-reception.end.segments // HEADER_EVERY)
    return max(0, reception.end.segments - headers - len(arrived))
