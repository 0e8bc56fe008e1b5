"""Scales: how large each latent is expected to be, in whole numbers that no machine rounds apart.

A table that a decoder picks by the rounding of its own processor ends a stream: one scale that
comes out otherwise, and all that follows is noise. So the hyper synthesis is one of whole numbers
here, see `convolution.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.modulated.convolution import (
    FLOW_BITS,
    MOST_FLOW,
    WEIGHT_BITS,
    Floats,
    Layer,
    rectified,
    shifted,
)
from benchmarks.codecs.modulated.layout import SCALES

MOST_HYPER = MOST_FLOW >> FLOW_BITS


@dataclass(frozen=True)
class HyperSynthesis:
    """The way from side information to the table of each latent.

    Attributes:
        layers: two that double the grid, one that keeps it; ReLU between them.
    """

    layers: Sequence[Layer]

    @classmethod
    def of(
        cls, layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    ) -> "HyperSynthesis":
        """Round the weights and biases of trained layers."""
        return cls([Layer.of(weights, bias) for weights, bias in layers])

    def tables(self, hyper: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return which of the 64 tables each latent has.

        Args:
            hyper: side information, rounded (maps, rows, cols).

        Returns:
            (latents, 4 rows, 4 cols), from 0 (smallest latents) to 63.
        """
        last = shifted(self._sums(hyper), WEIGHT_BITS + FLOW_BITS)
        return np.clip(last, 0, SCALES - 1).astype(np.uint8)

    def scales(self, hyper: NDArray[np.int64]) -> Floats:
        """Return the same in units of 2^-8, for layers that go on from there."""
        return np.clip(shifted(self._sums(hyper), WEIGHT_BITS), 0, SCALES - 1 << FLOW_BITS)

    def _sums(self, hyper: NDArray[np.int64]) -> Floats:
        flow = np.clip(hyper, -MOST_HYPER, MOST_HYPER).astype(np.float64) * (1 << FLOW_BITS)
        for layer in self.layers[:-1]:
            flow = rectified(layer.sums(flow))
        return self.layers[-1].sums(flow)
