"""Training tiles: what the tables of all variants are fitted to."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.ablation.variants import SEED, Tiles
from ground.scene import Scene
from ground.scenes.folders import find_scenes, read_item
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import InputError

PROCEDURAL_SCENES, PROCEDURAL_SIDE = 12, 256
TILES = 400
"""Tiles to fit to, about as many from each scene."""


def training_tiles(folder: Path | None, bands: int, tile: int) -> list[Tiles]:
    """Return whole tiles (n, bands, tile, tile) without nodata, scene by scene.

    Args:
        folder: folder of GeoTIFFs that each give some tiles; None takes procedural scenes and a
            quarter of the spyndex scene, if that has so many bands.
        bands: bands of the scenes; others are left out.
        tile: side of a tile, pixels.

    Raises:
        InputError: there is not one tile.
    """
    rng = np.random.default_rng(SEED)
    scenes = [_tiles(scene, tile) for scene in _scenes(folder) if len(scene.image) == bands]
    scenes = [tiles for tiles in scenes if len(tiles)]
    each = -(-TILES // max(len(scenes), 1))
    found = [tiles[rng.permutation(len(tiles))[:each]] for tiles in scenes]
    if not found:
        raise InputError(f"training: expected a tile of {bands} x {tile} x {tile}, found none")
    return found


def _scenes(folder: Path | None) -> Iterator[Scene]:
    if folder is not None:
        yield from (read_item(item) for item in find_scenes(folder))
        return
    for seed in range(PROCEDURAL_SCENES):
        yield procedural(seed, PROCEDURAL_SIDE, PROCEDURAL_SIDE, nodata=False)
    whole = spyndex_scene()
    rows, cols = (side // 2 for side in whole.image.shape[1:])
    yield replace(whole, image=whole.image[:, :rows, :cols])


def _tiles(scene: Scene, tile: int) -> Tiles:
    bands, rows, cols = scene.image.shape
    valid = scene.valid if scene.nodata is not None else (scene.image != 0).any(axis=0)
    cut = [
        scene.image[:, row : row + tile, col : col + tile]
        for row in range(0, rows - tile + 1, tile)
        for col in range(0, cols - tile + 1, tile)
        if valid[row : row + tile, col : col + tile].all()
    ]
    return np.array(cut).reshape(-1, bands, tile, tile)
