"""Tiles to train on, after the front end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ground.scene import Scene
from ground.scenes.folders import Item, read_item, read_tiles
from ground.scenes.tenbands import COARSE, read_coarse_bands, read_ten_bands
from ground.train.corsa.recipe import Recipe


@dataclass(frozen=True)
class TileSet:
    """Training tiles after the front end.

    Attributes:
        samples: int8 (n, bands, tile, tile), what the encoder sees.
        targets: float32 (n, bands, tile, tile), those samples before rounding and clipping.
        steps: float32 (n,), DN per int8 unit.
    """

    samples: NDArray[np.int8]
    targets: NDArray[np.float32]
    steps: NDArray[np.float32]

    @classmethod
    def read(
        cls, items: Sequence[Item], recipe: Recipe, tell: Callable[[str], None] = lambda _text: None
    ) -> "TileSet":
        """Cut scenes into tiles and send each through the front end; `tell` what they are."""
        form = recipe.tile, recipe.stride, recipe.bands
        return cls.of(read_tiles(items, *form, tell, reader_of(recipe)), recipe)

    @classmethod
    def of(cls, tiles: NDArray[np.uint16], recipe: Recipe) -> "TileSet":
        """Send tiles (n, bands, tile, tile) through the front end."""
        valid = np.ones(tiles.shape[2:], np.bool_)
        samples = np.empty(tiles.shape, np.int8)
        targets = np.empty(tiles.shape, np.float32)
        steps = np.empty(len(tiles), np.float32)
        for i, tile in enumerate(tiles):
            side = recipe.front_end.analyse(tile, valid)
            samples[i] = recipe.front_end.normalise(tile, valid, side)
            steps[i] = side.step
            means = np.array(side.means, np.float32)[:, None, None]
            targets[i] = (tile - means) / steps[i]
        return cls(samples, targets, steps)

    def batch(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Return samples (float), targets and steps of the tiles in `index`."""
        samples = torch.from_numpy(self.samples[index]).float()
        return samples, torch.from_numpy(self.targets[index]), torch.from_numpy(self.steps[index])


def reader_of(recipe: Recipe) -> Callable[[Item], Scene]:
    """Return what reads the scenes of a recipe."""
    if recipe.coarse_bands:
        return read_ten_bands
    return read_coarse_bands if recipe.bands == len(COARSE) else read_item
