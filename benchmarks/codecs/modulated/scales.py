"""Scales: how large each latent is expected to be, in whole numbers that no machine rounds apart.

A table that a decoder picks by the rounding of its own processor ends a stream: one scale that
comes out otherwise, and all that follows is noise. So the hyper synthesis is one of whole numbers
here. Weights are in units of 2^-12, what flows between layers in units of 2^-8. Each sum of a layer
is one of whole numbers below 2^53, which 64-bit floats hold exactly in any order of its terms; so
the products may be left to whatever BLAS there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.modulated.layout import SCALES
from onboard.errors import BundleError

WEIGHT_BITS, FLOW_BITS = 12, 8
MOST_WEIGHT, MOST_FLOW, MOST_BIAS = 1 << 15, 1 << 20, 1 << 40
"""Magnitudes; with at most `MOST_TERMS` products a sum stays below 2^53."""
MOST_TERMS = 1 << 17
MOST_HYPER = MOST_FLOW >> FLOW_BITS
_TAPS, _WIDE = 3, 5

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """Weights of a convolution.

    Attributes:
        weights: units of 2^-12; (outputs, inputs, 3, 3) of one that keeps the grid, (inputs,
            outputs, 5, 5) of one that doubles it.
        bias: (outputs,), units of 2^-20.
    """

    weights: Whole
    bias: Whole

    @property
    def doubles(self) -> bool:
        """Whether its output has twice the rows and columns."""
        return bool(self.weights.shape[-1] == _WIDE)

    def sums(self, flow: Floats) -> Floats:
        """Return the sums (outputs, rows, cols), units of 2^-20, of maps (inputs, rows, cols)."""
        total = _spread(flow, self.weights) if self.doubles else _gather(flow, self.weights)
        return total + self.bias[:, None, None]


@dataclass(frozen=True)
class HyperSynthesis:
    """The way from side information to the table of each latent.

    Attributes:
        layers: two that double the grid, one that keeps it; ReLU between them.
    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        """Check that no sum can leave what is exact.

        Raises:
            BundleError: a weight is too large, or a layer too wide.
        """
        for layer in self.layers:
            weights, bias = np.abs(layer.weights).max(initial=0), np.abs(layer.bias).max(initial=0)
            if weights > MOST_WEIGHT or bias > MOST_BIAS or layer.weights.size > MOST_TERMS * 192:
                raise BundleError(
                    f"hyper synthesis: expected weights up to {MOST_WEIGHT} and biases up to "
                    f"{MOST_BIAS}, found {weights} and {bias}"
                )

    @classmethod
    def of(
        cls, layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    ) -> "HyperSynthesis":
        """Round the weights and biases of trained layers."""
        return cls(
            [
                Layer(
                    np.rint(weights.astype(np.float64) * (1 << WEIGHT_BITS)).astype(np.int64),
                    np.rint(bias.astype(np.float64) * (1 << WEIGHT_BITS + FLOW_BITS)).astype(
                        np.int64
                    ),
                )
                for weights, bias in layers
            ]
        )

    def tables(self, hyper: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return which of the 64 tables each latent has.

        Args:
            hyper: side information, rounded (maps, rows, cols).

        Returns:
            (latents, 4 rows, 4 cols), from 0 (smallest latents) to 63.
        """
        flow = np.clip(hyper, -MOST_HYPER, MOST_HYPER).astype(np.float64) * (1 << FLOW_BITS)
        for layer in self.layers[:-1]:
            flow = np.clip(_shifted(layer.sums(flow), WEIGHT_BITS), 0, MOST_FLOW)
        last = _shifted(self.layers[-1].sums(flow), WEIGHT_BITS + FLOW_BITS)
        return np.clip(last, 0, SCALES - 1).astype(np.uint8)


def _shifted(sums: Floats, bits: int) -> Floats:
    """Divide by 2^bits and round to the nearest, halves up; exact, as all are powers of two."""
    return np.asarray(np.floor((sums + (1 << bits - 1)) * 2.0**-bits), np.float64)


def _gather(flow: Floats, weights: Whole) -> Floats:
    """Convolve with 3 x 3 weights (outputs, inputs, 3, 3); beyond the border is 0."""
    _, rows, cols = flow.shape
    padded = np.pad(flow, [(0, 0), (1, 1), (1, 1)])
    total = np.zeros((len(weights), rows, cols))
    for i, j in np.ndindex(_TAPS, _TAPS):
        total += _mixed(weights[:, :, i, j], padded[:, i : i + rows, j : j + cols])
    return total


def _spread(flow: Floats, weights: Whole) -> Floats:
    """Return the transposed convolution of stride 2 with weights (inputs, outputs, 5, 5)."""
    _, rows, cols = flow.shape
    total = np.zeros((weights.shape[1], 2 * rows + 3, 2 * cols + 3))
    for i, j in np.ndindex(_WIDE, _WIDE):
        total[:, i : i + 2 * rows : 2, j : j + 2 * cols : 2] += _mixed(weights[:, :, i, j].T, flow)
    return total[:, 2 : 2 + 2 * rows, 2 : 2 + 2 * cols]


def _mixed(matrix: Whole, maps: Floats) -> Floats:
    """Return the products of a matrix (outputs, inputs) with each pixel of maps."""
    flat = matrix.astype(np.float64) @ maps.reshape(len(maps), -1)
    return np.asarray(flat.reshape(-1, *maps.shape[1:]), np.float64)
