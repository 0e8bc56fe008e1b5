"""Salvaged: what of damaged segments goes into tiles, and what may not."""

from copy import copy
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

from ground.decode.reception import Reception
from ground.decode.tile import TileReception
from ground.station.salvage.madeout import Salvage
from onboard.codec.tile import ALL_NODATA
from onboard.errors import StreamError
from onboard.image.tiles import TileGrid
from onboard.link.segment import Kind, Segment

Tile = TypeVar("Tile", bound=TileReception[Any])


class Mended(NamedTuple, Generic[Tile]):
    """A tile with what was salvaged of it.

    Attributes:
        tile: all of it.
        salvage: what of it is salvaged.
    """

    tile: Tile
    salvage: tuple[Salvage, ...]


def places(reception: Reception, grid: TileGrid, index: int) -> list[list[Salvage]]:
    """Return what was made out of a tile, place by place, in the order in which it is read.

    Of each place first what has the fewest wrong bits, last what is as it came; nothing where a
    segment arrived intact. Masks are those of the first group of bands.
    """
    made_out, own = reception.salvage.made_out, []
    for kind, of in ((Kind.TILE, index), (Kind.MASK, grid.first(index))):
        if of in made_out:
            intact = {_place(segment) for segment in reception.arrived(of)}
            found = (one for one in made_out[of] if one.segment.kind == kind)
            own += [one for one in found if _place(one.segment) not in intact]
    unique = {(one.segment, one.wrong): one for one in own}.values()
    ranked = sorted(unique, key=lambda one: (*_place(one.segment), not one.wrong, one.wrong))
    return [list(group) for _, group in groupby(ranked, lambda one: _place(one.segment))]


def _place(segment: Segment) -> tuple[int, int, int]:
    return segment.kind, segment.layer, segment.first


def with_segment(tile: Tile, segment: Segment, side: int) -> Tile | None:
    """Return a tile with what a salvaged segment carries.

    None if that makes no sense, contradicts what arrived, or says that the tile is all nodata. And
    where a mask says that there are no data, it is as if it did not: only what arrived tells that.

    Args:
        tile: what arrived of it.
        segment: salvaged segment, of whatever group of bands.
        side: rows and columns of tiles that are not cut.
    """
    found = copied(tile)
    edge = None if tile.rows == tile.cols == side else (tile.rows, tile.cols)
    try:
        if segment.edge != edge:
            return None
        found.place(segment)
    except StreamError:
        return None
    if found.state == ALL_NODATA:
        return None
    if segment.kind == Kind.MASK:
        if (found.mask_known == tile.mask_known).all():
            return None
        found.mask_known &= tile.mask_known | ~found.nodata
        found.nodata = tile.nodata
    return found


def copied(tile: Tile) -> Tile:
    """Return a copy of a tile whose own parts can be filled apart."""
    found = copy(tile)
    for name, value in vars(tile).items():
        if isinstance(value, list):
            setattr(found, name, [*map(copy, value)])
        elif isinstance(value, dict) or name in ("nodata", "mask_known"):
            setattr(found, name, copy(value))
    return found
