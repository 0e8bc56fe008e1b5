"""Trellis: the quantizer of dependent tiles, which chooses whole paths of indices (SPEC.md, 13)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS, ContextModel, Ints
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.path import Chooser
from onboard.codec.lapped.quantizers.points import STEERED, Points
from onboard.codec.lapped.quantizers.quantizer import Pending, Quantised

WORTH = 369
"""Squared 1/64 steps that a bit is worth when an index is chosen: 0.09 squared steps."""
_BORDER_WORTH = 11
"""Sixteenths of that, in the first and last rows and in the first and last columns."""


@dataclass(frozen=True)
class Trellis:
    """Chooses the path of indices of a tile that costs least: squared error, and bits.

    Attributes:
        chooser: finds the path.
        contexts: says which channels a layer has.
        power: squared length of the synthesis filter of each channel, in 1/256, in order.
    """

    chooser: Chooser
    contexts: ContextModel
    power: NDArray[np.int64]
    points: Points = STEERED
    tiles_at_once: int = 80

    @classmethod
    def of(cls, model: LappedModel) -> "Trellis":
        """Return the quantizer of a model."""
        chooser = Chooser(model.tables, model.quantisation.short)
        return cls(chooser, model.contexts, model.power)

    def check(self, positions: int) -> None:
        """Refuse tables along which indices of tiles of so many positions cannot be chosen.

        Raises:
            BundleError: costs of a path may be more than 31 bits hold.
        """
        self.chooser.check(self.bit_worth, self.contexts.widest_layer * positions)

    def choose(self, pending: Pending) -> Quantised:
        """Choose the paths of all tiles, side by side."""
        worth = self._worth(pending)
        path = self.chooser.choose(pending.away, pending.rows, worth, pending.lengths)
        odd = path.states & 1
        kept = self.points.values(path.indices, odd.astype(np.int32))
        return Quantised(path.indices, pending.rows + LEVELS * odd, kept, path.states)

    def _worth(self, pending: Pending) -> Ints:
        """Return what a bit of each coded symbol is worth.

        Next to the border of a tile that is less, so that errors are not larger there.
        """
        tiles, positions, _ = pending.shape
        of_layer = self.bit_worth[self.contexts.channels_of(pending.layer)]
        of_tile: Ints = np.repeat(of_layer[None], positions, axis=0)
        if pending.borders is not None:
            for others in range(2):
                of_tile[pending.borders > others] *= _BORDER_WORTH
                of_tile[pending.borders > others] >>= 4
        return np.tile(of_tile.reshape(-1), tiles).take(pending.coded)

    @cached_property
    def bit_worth(self) -> Ints:
        """Squared 1/64 steps that a bit is worth, of each channel in order.

        That is less where the synthesis filter is longer than on average.
        """
        power = np.maximum(self.power, 1)
        return (WORTH * int(power.sum()) // (len(power) * power)).astype(np.int32)
