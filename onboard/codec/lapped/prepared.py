"""Prepared tiles: a batch analysed once, to be coded at any step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.transform import Latents
from onboard.codec.tile import Steps

Analyse = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Planes (n, rows, cols) to latents (n, rows/8, cols/8, 64)."""


@dataclass(frozen=True)
class PreparedTiles:
    """Tiles of one shape after front end and transform.

    Attributes:
        means: int64 (tiles, bands), mean of each band in DN.
        angles: u8 (tiles, angles), parameters of the front end.
        latents: latents of all tiles.
    """

    means: NDArray[np.int64]
    angles: NDArray[np.uint8]
    latents: Latents

    @classmethod
    def of(
        cls,
        model: LappedModel,
        tiles: NDArray[Any],
        present: NDArray[np.bool_],
        analyse: Analyse | None = None,
    ) -> "PreparedTiles":
        """Analyse tiles.

        Args:
            model: all integers of the codec.
            tiles: (tiles, bands, rows, cols) samples in DN.
            present: (tiles, rows, cols), False where a pixel is nodata; one of a tile must be True.
            analyse: an engine's transform; None uses numpy.
        """
        analysed = model.front_end.analyse(tiles, present)
        latents = (analyse or model.transform.analyse)(analysed.planes)
        sums = latents.reshape(*analysed.means.shape, *latents.shape[1:])
        contexts = model.contexts
        sorted_ = Latents.of(sums, contexts.order, contexts.cuts, analysed.shifts)
        return cls(analysed.means, analysed.angles, sorted_)

    def take(self, tiles: NDArray[np.int64]) -> "PreparedTiles":
        """Return some tiles of the batch."""
        if np.array_equal(tiles, np.arange(len(self.means))):
            return self
        return PreparedTiles(self.means[tiles], self.angles[tiles], self.latents.take(tiles))

    def join(self, others: Sequence["PreparedTiles"]) -> "PreparedTiles":
        """Return this batch and others of the same shape as one."""
        if not others:
            return self
        batches = (self, *others)
        means = np.concatenate([batch.means for batch in batches])
        angles = np.concatenate([batch.angles for batch in batches])
        return PreparedTiles(means, angles, Latents.join([batch.latents for batch in batches]))

    def finest(self, model: LappedModel) -> Steps:
        """Return the finest step code that each tile allows."""
        return self.latents.finest_step(model.transform.mantissas)

    def side(self, tile: int, step: int) -> bytes:
        """Return the packed side information of one tile."""
        means = self.means[tile].astype(np.uint16).astype(">u2")
        packed: bytes = bytes([step]) + self.angles[tile].tobytes() + means.tobytes()
        return packed
