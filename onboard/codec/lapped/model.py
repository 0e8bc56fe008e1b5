"""Model: what training makes of a lapped codec, all of it integers."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import BLOCK, FREQUENCIES, ContextModel, ContextWeights
from onboard.codec.lapped.frontends.frontend import FrontEnd
from onboard.codec.lapped.quantizers.quantisation import Quantisation
from onboard.codec.lapped.tables import Tables
from onboard.codec.lapped.transform import LappedTransform


@dataclass(frozen=True)
class LappedModel:
    """The parts of a lapped codec.

    Attributes:
        front_end: samples to planes.
        transform: planes to latents.
        contexts: foretells how large each symbol will be.
        quantisation: what quantizers go by.
        tables: frequencies of symbols.
    """

    front_end: FrontEnd
    transform: LappedTransform
    contexts: ContextModel
    quantisation: Quantisation
    tables: Tables

    @property
    def bands(self) -> int:
        """Bands of a tile."""
        return self.front_end.bands

    @property
    def weights(self) -> ContextWeights:
        """Weights of the context model, by classes of components."""
        return self.contexts.by_class

    def of_scene(self, bands: int, fraction: int) -> "LappedModel":
        """Return the model for tiles of so many bands, whose samples get so many fraction bits."""
        return replace(self, front_end=self.front_end.of_scene(bands, fraction)).of_bands(bands)

    def of_bands(self, bands: int) -> "LappedModel":
        """Return the model with the contexts of so many bands: itself where it has these."""
        if self.contexts.bands == bands:
            return self
        return replace(self, contexts=ContextModel(self.weights, bands))

    @cached_property
    def border_power(self) -> NDArray[np.int64]:
        """(4, channels): the same as filters lie within a tile, what is beyond it folded back.

        Of positions inside, in the first or last row, in the first or last column, in both.
        """
        filters = self.transform.synthesis.astype(np.int64)
        by_row = _folded(filters, 1, np.arange(FREQUENCIES) // BLOCK)
        by_col = _folded(filters, 2, np.arange(FREQUENCIES) % BLOCK)
        by_both = _folded(by_row, 2, np.arange(FREQUENCIES) % BLOCK)
        kinds = [filters, by_row, by_col, by_both]
        power = np.stack([(kind * kind).sum(axis=(1, 2)) >> 20 for kind in kinds])
        return np.asarray(power[:, self.contexts.order % FREQUENCIES], np.int64)

    @cached_property
    def power(self) -> NDArray[np.int64]:
        """Squared length of the synthesis filter of each channel, in 1/256, in order."""
        filters = self.transform.synthesis.reshape(FREQUENCIES, -1).astype(np.int64)
        power = (filters * filters).sum(axis=1) >> 20
        return np.asarray(power[self.contexts.order % FREQUENCIES], np.int64)


def _folded(
    filters: NDArray[np.int64], axis: int, frequency: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return filters next to a border of a tile: the position mirrored beyond it adds its own."""
    along = np.moveaxis(filters, axis, 1)
    inside = along[:, BLOCK // 2 :].copy()
    mirrored = along[:, -BLOCK // 2 :] * np.where(frequency % 2, -1, 1)[:, None, None]
    inside[:, : BLOCK // 2] += mirrored
    return np.moveaxis(inside, 1, axis)
