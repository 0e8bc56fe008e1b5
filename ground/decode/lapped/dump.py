"""Dump of the lapped codec: symbols of a scene as they were read, before they become an image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.lanes import LaneTile, alike, read_lanes
from onboard.codec.lapped.context import BLOCK, FREQUENCIES, LEVELS
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.tile import ALL_NODATA
from onboard.image.tiles import TileGrid, positions

UNKNOWN_LEVEL = 255
"""Level of a symbol of which earlier layers did not arrive whole."""
_TILES_AT_ONCE = 64
_TYPES = {
    "symbol": np.int32,
    "residual": np.int32,
    "level": np.uint8,
    "odd": np.bool_,
    "arrived": np.bool_,
}


def dump_symbols(
    reader: LayerReader, grid: TileGrid, tiles: Sequence[LaneTile]
) -> dict[str, NDArray[Any]]:
    """Return arrays of a scene, as `ground.decode.dump` documents them.

    Args:
        reader: reads the lanes of tiles.
        grid: tiles of the scene.
        tiles: what arrived of each of them.
    """
    bands, layers = reader.model.front_end.bands, reader.model.contexts.layers
    shape = bands, FREQUENCIES, *positions(grid.height, grid.width, BLOCK)
    found: dict[str, NDArray[Any]] = {name: np.zeros(shape, t) for name, t in _TYPES.items()}
    found["level"][:] = UNKNOWN_LEVEL
    whole = np.array([(1 + layers) * (tile.state == ALL_NODATA) for tile in tiles], np.uint8)
    angles = np.zeros((grid.count, bands * (bands - 1) // 2), np.uint8)
    known = {index: tile for index, tile in enumerate(tiles) if tile.side is not None}
    for index, tile in known.items():
        if tile.side is not None:
            angles[index] = tile.side.angles
    for members in alike(known, _TILES_AT_ONCE):
        read = read_lanes(reader, [tiles[index] for index in members])
        whole[members] = 1 + read.complete
        for name, values in _of_batch(reader, read).items():
            for index, one in zip(members, values, strict=True):
                row, col, *_ = (side // BLOCK for side in grid.box(index))
                planes = one.transpose(2, 0, 1).reshape(bands, FREQUENCIES, *one.shape[:2])
                found[name][..., row : row + one.shape[0], col : col + one.shape[1]] = planes
    by_place = grid.rows, grid.columns
    return {
        "whole": whole.reshape(by_place),
        "angles": angles.reshape(*by_place, -1),
        **found,
    }


def _of_batch(reader: LayerReader, read: Read) -> dict[str, NDArray[Any]]:
    """Return arrays (tiles, rows, cols, channels) of a batch, channels by component."""
    order = reader.model.contexts.order
    shape = *read.state.shape, len(order)
    found: dict[str, NDArray[Any]] = {name: np.zeros(shape, t) for name, t in _TYPES.items()}
    first_rows = reader.model.tables.first_row
    right = np.ones(len(read.complete), np.bool_)
    right[[lane.tile for lane in read.wrong]] = False
    for number, (layer, arrival) in enumerate(zip(read.layers, read.arrivals, strict=True), 1):
        alive = (arrival.alive & (right | (read.complete >= number)))[:, None, None]
        rows = layer.rows - first_rows(number, read.points.sets)
        of_layer: dict[str, NDArray[Any]] = {
            "symbol": layer.values + layer.mean,
            "residual": layer.residual,
            "level": np.where(alive, rows % LEVELS, UNKNOWN_LEVEL),
            "odd": rows >= LEVELS,
            "arrived": arrival.known.reshape(rows.shape) & alive,
        }
        for name, values in of_layer.items():
            read.state.set(found[name], number, values)
    place = np.argsort(order)
    return {name: values.take(place, axis=3) for name, values in found.items()}
