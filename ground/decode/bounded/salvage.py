"""Salvage of bounded tiles: damaged segments of which the wrong bits are known.

A lane in which bits are wrong never ends where the next begins, or the tile. What precedes the
damage of one that cannot be put right is not shown: nothing tells where that is, and what is behind
it looks like samples.
"""

from collections.abc import Callable, Mapping, Sequence

from ground.decode.bounded.tile import BoundedTile
from ground.decode.reception import Reception
from ground.decode.salvaged import Mended, places, with_segment
from onboard.codec.bounded.read.course import Lane
from onboard.codec.bounded.read.tiles import Read
from onboard.image.tiles import TileGrid
from onboard.link.segment import Kind


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
    mended: dict[int, Mended[BoundedTile]] = {}
    for index, tile in tiles.items():
        own = Mended(tile, ())
        for alternatives in places(reception, grid, index):
            for one in alternatives:
                segment = one.segment
                if segment.kind != Kind.TILE or segment.layer > tile.bands or not one.wrong:
                    continue
                found = with_segment(own.tile, segment, grid.tile)
                start = max(segment.layer, 1) - 1, segment.first
                if found is not None and _is_right(read, own.tile, found, start):
                    own = Mended(found, (*own.salvage, one))
                    break
        if own.salvage:
            mended[index] = own
    return mended


def _is_right(
    read: Callable[[Sequence[BoundedTile]], Read],
    before: BoundedTile,
    tile: BoundedTile,
    start: tuple[int, int],
) -> bool:
    """Say whether more of a tile can be read, a segment put right, and that ends as it should."""
    if not tile.readable or start not in tile.lanes:
        return False
    found = read([tile])
    arrived = read([before]).arrived[0] if before.readable else 0
    return Lane(0, *start, tile.lanes[start]) not in found.wrong and found.arrived[0] > arrived
