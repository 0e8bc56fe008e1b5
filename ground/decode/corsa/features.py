"""Features of CORSA: codewords of each level, pooled over a tile."""

from collections.abc import Sequence

import numpy as np

from ground.decode.corsa.maps import MISSING, MapTile
from ground.decode.vectors import Vectors
from onboard.codec.corsa.quantizer import Level
from onboard.codec.tile import ALL_NODATA

_POOLS = ("mean", "spread")


def pooled_codewords(levels: Sequence[Level], tiles: Sequence[MapTile]) -> Vectors:
    """Return mean and deviation of each dimension of the codewords, level by level, in half units.

    Args:
        levels: levels of the pyramid, coarse to fine.
        tiles: what arrived of each tile.
    """
    sizes = [level.codebook.codewords.shape[1] for level in levels]
    names = [
        f"level{number}.{pool}.{dim}"
        for number, size in enumerate(sizes, 1)
        for pool in _POOLS
        for dim in range(1, size + 1)
    ]
    found = Vectors.none(len(tiles), names, 1 + len(levels))
    for index, tile in enumerate(tiles):
        found.layers[index] = tile.complete
        if tile.state == ALL_NODATA:
            continue
        parts = []
        for level, indices, size in zip(levels, tile.maps, sizes, strict=True):
            codewords = level.codebook.codewords[np.maximum(indices, 0)].reshape(-1, size)
            whole = np.float32(np.nan if (indices == MISSING).any() else 1)
            parts += [codewords.mean(axis=0) * whole, codewords.std(axis=0) * whole]
        found.values[index] = np.concatenate(parts)
    return found
