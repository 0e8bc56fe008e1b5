"""Dump of CORSA: index and codeword maps of a scene as they were read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.corsa.maps import MISSING, MapTile
from onboard.codec.corsa.quantizer import Level
from onboard.image.tiles import TileGrid, positions


def dump_indices(
    levels: Sequence[Level], grid: TileGrid, tiles: Sequence[MapTile]
) -> dict[str, NDArray[Any]]:
    """Return arrays of a scene, as `ground.decode.dump` documents them.

    Args:
        levels: levels of the pyramid, coarse to fine.
        grid: tiles of the scene.
        tiles: what arrived of each of them.
    """
    whole = np.array([tile.complete for tile in tiles], np.uint8)
    found: dict[str, NDArray[Any]] = {"whole": whole.reshape(grid.rows, grid.columns)}
    for number, level in enumerate(levels, 1):
        shape = positions(grid.height, grid.width, level.reduction)
        indices = np.full(shape, MISSING, np.int32)
        for index, tile in enumerate(tiles):
            row, col, *_ = (side // level.reduction for side in grid.box(index))
            part = tile.maps[number - 1]
            indices[row : row + part.shape[0], col : col + part.shape[1]] = part
        codewords = level.codebook.codewords[np.maximum(indices, 0)]
        codewords[indices == MISSING] = 0
        found[f"index{number}"] = indices
        found[f"codeword{number}"] = np.ascontiguousarray(codewords.transpose(2, 0, 1))
    return found
