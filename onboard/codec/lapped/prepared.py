"""Prepared tiles: a batch analysed once, to be coded at any step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import FREQUENCIES
from onboard.codec.lapped.frontends.frontend import Analysed
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.transform import BEYOND, Latents
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
        untouched: the same tiles with all angles 0, where a step decides which are coded.
    """

    means: NDArray[np.int64]
    angles: NDArray[np.uint8]
    latents: Latents
    untouched: "PreparedTiles | None" = None

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
        analyse = analyse or model.transform.analyse
        found = cls._of(model, model.front_end.analyse(tiles, present), analyse)
        other = model.front_end.untouched(tiles, present)
        return found if other is None else replace(found, untouched=cls._of(model, other, analyse))

    @classmethod
    def _of(cls, model: LappedModel, analysed: Analysed, analyse: Analyse) -> "PreparedTiles":
        latents = analyse(analysed.planes)
        if len(analysed.large):
            latents = latents.astype(np.float64)  # the filters are linear, the sums exact
            latents[analysed.large] += float(BEYOND) * analyse(analysed.beyond)
        sums = latents.reshape(*analysed.means.shape, *latents.shape[1:])
        contexts = model.contexts
        sorted_ = Latents.of(sums, contexts.order, contexts.cuts, analysed.shifts)
        return cls(analysed.means, analysed.angles, sorted_)

    def take(self, tiles: NDArray[np.int64]) -> "PreparedTiles":
        """Return some tiles of the batch."""
        if np.array_equal(tiles, np.arange(len(self.means))):
            return self
        other = self.untouched.take(tiles) if self.untouched else None
        return PreparedTiles(self.means[tiles], self.angles[tiles], self.latents.take(tiles), other)

    def join(self, others: Sequence["PreparedTiles"]) -> "PreparedTiles":
        """Return this batch and others of the same shape as one."""
        if not others:
            return self
        batches = (self, *others)
        means = np.concatenate([batch.means for batch in batches])
        angles = np.concatenate([batch.angles for batch in batches])
        found = PreparedTiles(means, angles, Latents.join([batch.latents for batch in batches]))
        if not any(batch.untouched for batch in batches):
            return found
        first, *rest = (batch.untouched or batch for batch in batches)
        return replace(found, untouched=first.join(rest))

    def either(self, are_untouched: NDArray[np.bool_]) -> "PreparedTiles":
        """Return the batch with each tile as it is or, where that is said, untouched."""
        if self.untouched is None:
            return self
        own = np.arange(len(self.means))
        both = replace(self, untouched=None).join([self.untouched])
        return both.take(np.where(are_untouched, len(own) + own, own))

    def energy(self, tile: int) -> int:
        """Return the squared error that a tile without its means has, in DN^2."""
        _, rows, cols = self.latents.shape
        return int((self.means[tile] ** 2).sum()) * rows * cols * FREQUENCIES

    def finest(self, model: LappedModel) -> Steps:
        """Return the finest step code that each tile allows."""
        own = self.latents.finest_step(model.transform.mantissas)
        return np.maximum(own, self.untouched.finest(model)) if self.untouched else own
