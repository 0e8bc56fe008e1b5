"""Sides: what the layers 0 that arrived of a scene say of its tiles."""

from contextlib import suppress

from ground.decode.reception import Reception
from ground.decode.tile import AnySide, FrontEnd
from onboard.codec.tile import ALL_NODATA
from onboard.errors import StreamError
from onboard.image.tiles import TileGrid


def sides_of(
    reception: Reception, grid: TileGrid, front_end: FrontEnd[AnySide]
) -> dict[int, AnySide]:
    """Return the side information of each tile of the grid that has any."""
    found: dict[int, AnySide] = {}
    bounded = reception.bounded()
    for index, body in reception.first_layers(grid):
        length = front_end.side_length(body[1:])
        is_told = len(body) > length and body[0] != ALL_NODATA
        if is_told and index not in bounded:
            with suppress(StreamError):
                side = front_end.unpack(body[1 : 1 + length], reception.signed)
                found.setdefault(index, side)
    return found


def empty_tiles(reception: Reception, grid: TileGrid) -> set[int]:
    """Return the tiles of the grid of which it has arrived that they are all nodata."""
    layers = reception.first_layers(grid)
    return {index for index, body in layers if body == bytes([ALL_NODATA])}
