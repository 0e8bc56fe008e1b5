"""Partial: what is told of tiles, or read of them, without reading all; an index makes it cheap."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ground.decode.reception import Reception
from ground.station.index.records import UNTOLD, IndexedTiles, is_told


def coarse(reception: Reception, last: int, most: int | None) -> Reception:
    """Return a reception of what layers up to `last` need; more may be in it.

    Where an index tells where segments lie, no others are read, and of those with layer 0 only
    `most` bytes of what they carry. Problems count in both.
    """
    if isinstance(reception.tiles, IndexedTiles):
        return replace(reception, tiles=reception.tiles.coarse(last, most))
    return reception


def states(reception: Reception, count: int) -> NDArray[np.uint8]:
    """Return the first byte of layer 0 of so many tiles, `UNTOLD` where it did not arrive."""
    if isinstance(reception.tiles, IndexedTiles):
        return reception.tiles.states(count)
    found = np.full(count, UNTOLD, np.uint8)
    for index, segments in reception.tiles.items():
        told = (segment.body[0] for segment in segments if is_told(segment))
        found[index] = next(told, UNTOLD)
    return found


def tile_bytes(reception: Reception) -> int:
    """Return the bytes of the segments of tiles."""
    if isinstance(reception.tiles, IndexedTiles):
        return reception.tiles.size
    return sum(segment.size for segments in reception.tiles.values() for segment in segments)
