"""Salvage of bounded tiles: damaged segments of which the wrong bits are known.

A lane in which bits are wrong never ends where the next begins, or the tile. What precedes the
damage of one that cannot be put right is not shown: nothing tells where that is, and what is behind
it looks like samples.
"""

from collections.abc import Callable, Mapping, Sequence

from ground.decode.bounded.tile import BoundedTile, Start
from ground.decode.reception import Reception
from ground.decode.salvaged import Mended, places, with_segment
from ground.station.salvage.madeout import Salvage
from onboard.codec.bounded.read.tiles import Read
from onboard.image.tiles import TileGrid
from onboard.link.segment import Kind, Segment


def mended_tiles(
    read: Callable[[Sequence[BoundedTile]], Read],
    reception: Reception,
    grid: TileGrid,
    tiles: Mapping[int, BoundedTile],
) -> dict[int, Mended[BoundedTile]]:
    """Return those of some tiles of which anything of the first part is salvaged.

    Args:
        read: reads first parts of tiles of one shape.
        reception: what arrived of the scene.
        grid: tiles of the scene.
        tiles: what arrived of them, by their numbers; these stay as they are.
    """
    found = {index: _mended(read, reception, grid, index, tiles[index]) for index in tiles}
    return {index: own for index, own in found.items() if own.salvage}


def _mended(
    read: Callable[[Sequence[BoundedTile]], Read],
    reception: Reception,
    grid: TileGrid,
    index: int,
    tile: BoundedTile,
) -> Mended[BoundedTile]:
    """Return a tile with what is salvaged of it, place by place as it is read."""
    own = Mended(tile, ())
    arrived: int | None = None
    for alternatives in places(reception, grid, index):
        tried = [(one, found) for one in alternatives if (found := _with(own.tile, one, grid.tile))]
        if not tried:
            continue
        if arrived is None:
            arrived = int(read([tile]).arrived[0]) if tile.readable else 0
        start = _start(tried[0][0].segment)
        if start[0] * tile.rows * tile.cols + start[1] > arrived:
            continue  # something before it is lost, so that no read gets there
        further = _arrived(read, [found for _, found in tried], start)
        for (one, found), pixels in zip(tried, further, strict=True):
            if pixels > arrived:
                own, arrived = Mended(found, (*own.salvage, one)), pixels
                break
    return own


def _with(tile: BoundedTile, one: Salvage, side: int) -> BoundedTile | None:
    """Return a tile with the first part of a segment put right; None if that cannot be read."""
    segment = one.segment
    if segment.kind != Kind.TILE or segment.layer > tile.bands or not one.wrong:
        return None
    found = with_segment(tile, segment, side)
    return found if found and found.readable and _start(segment) in found.lanes else None


def _start(segment: Segment) -> Start:
    """Return the band and the pixel at which the lane of a segment starts."""
    return max(segment.layer, 1) - 1, segment.first


def _arrived(
    read: Callable[[Sequence[BoundedTile]], Read], tiles: Sequence[BoundedTile], start: Start
) -> list[int]:
    """Return the pixels that arrived of each tile, 0 where its lane does not end as it should."""
    found = read(tiles)
    wrong = {lane.tile for lane in found.wrong if (lane.band, lane.pixel) == start}
    return [0 if n in wrong else int(pixels) for n, pixels in enumerate(found.arrived)]
