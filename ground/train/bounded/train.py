"""Training of the bounded codec: tiles of scenes to its part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.scenes.folders import Item, read_item
from ground.train.bounded.fit import fit
from ground.train.bounded.recipe import BoundedRecipe
from onboard.codec.bounded import part
from onboard.errors import InputError
from onboard.image.nodata import has_data

PART = "bounded.part"
EIGHT_BIT = 3
"""Bits that are taken off samples so that some tiles are like those of 8-bit cameras."""


def train(recipe: BoundedRecipe, items: Sequence[Item], output: Path) -> Path:
    """Fit the codec to tiles of scenes; return the path of the part.

    Raises:
        InputError: no scene has a whole tile with data.
    """
    packed = part.pack(fit(variants(whole_tiles(recipe, items))))
    output.mkdir(parents=True, exist_ok=True)
    path = output / PART
    path.write_bytes(packed)
    return path


def whole_tiles(recipe: BoundedRecipe, items: Sequence[Item]) -> NDArray[np.int64]:
    """Return tiles (tiles, bands, rows, cols), at random places of each scene."""
    generator = np.random.default_rng(recipe.seed)
    side, found = recipe.tile, []
    for item in items:
        scene = read_item(item)
        _, rows, cols = scene.image.shape
        if min(rows, cols) < side:
            continue
        for _ in range(recipe.tiles_per_scene):
            row, col = generator.integers(rows - side + 1), generator.integers(cols - side + 1)
            tile = scene.image[:, row : row + side, col : col + side]
            if has_data(tile, scene.nodata).all():
                found.append(tile.astype(np.int64))
    if not found:
        raise InputError(f"training: no scene has a tile of {side} x {side} pixels without nodata")
    return np.stack(found)


def variants(tiles: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return tiles, and some of them with fewer bands, in another order, and of fewer bits."""
    last = tiles.shape[1] - 1
    found = [tiles, tiles[::2, last:], (tiles[::2, :3] >> EIGHT_BIT)]
    if last:
        found += [tiles[1::2, last - 1 :], tiles[::3, :0:-1]]
    return found
