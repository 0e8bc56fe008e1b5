"""Model: what training makes of a lapped codec, all of it integers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import FREQUENCIES, ContextModel
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

    @cached_property
    def power(self) -> NDArray[np.int64]:
        """Squared length of the synthesis filter of each channel, in 1/256, in order."""
        filters = self.transform.synthesis.reshape(FREQUENCIES, -1).astype(np.int64)
        power = (filters * filters).sum(axis=1) >> 20
        return np.asarray(power[self.contexts.order % FREQUENCIES], np.int64)
