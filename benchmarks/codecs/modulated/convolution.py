"""Convolutions in whole numbers, which no machine rounds apart.

Weights are in units of 2^-12, what flows between layers in units of 2^-8. Each sum of a layer is
one of whole numbers below 2^53, which 64-bit floats hold exactly in any order of its terms; so the
products may be left to whatever BLAS there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError

WEIGHT_BITS, FLOW_BITS = 12, 8
MOST_WEIGHT, MOST_FLOW, MOST_BIAS = 1 << 15, 1 << 20, 1 << 40
"""Magnitudes; with at most `MOST_TERMS` products a sum stays below 2^53."""
MOST_TERMS = 1 << 17
_WIDE = 5

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """Weights of a convolution.

    Attributes:
        weights: units of 2^-12; (outputs, inputs, taps, taps), 1 or 3 taps, of one that keeps the
            grid, (inputs, outputs, 5, 5) of one that doubles it.
        bias: (outputs,), units of 2^-20.
    """

    weights: Whole
    bias: Whole

    def __post_init__(self) -> None:
        """Check that no sum can leave what is exact.

        Raises:
            BundleError: a weight is too large, or the layer too wide.
        """
        weights, bias = np.abs(self.weights).max(initial=0), np.abs(self.bias).max(initial=0)
        terms = self.weights.size // max(len(self.bias), 1)
        if weights > MOST_WEIGHT or bias > MOST_BIAS or terms > MOST_TERMS:
            raise BundleError(
                f"layer: expected weights up to {MOST_WEIGHT} and biases up to {MOST_BIAS}, found "
                f"{weights} and {bias}"
            )

    @classmethod
    def of(cls, weights: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> "Layer":
        """Round the weights and biases of a trained layer; without biases they are 0."""
        whole = np.rint(weights.astype(np.float64) * (1 << WEIGHT_BITS)).astype(np.int64)
        if bias is None:
            return cls(whole, np.zeros(len(weights), np.int64))
        scaled = bias.astype(np.float64) * (1 << WEIGHT_BITS + FLOW_BITS)
        return cls(whole, np.rint(scaled).astype(np.int64))

    @property
    def doubles(self) -> bool:
        """Whether its output has twice the rows and columns."""
        return bool(self.weights.shape[-1] == _WIDE)

    def sums(self, flow: Floats) -> Floats:
        """Return the sums (outputs, rows, cols), units of 2^-20, of maps (inputs, rows, cols)."""
        total = _spread(flow, self.weights) if self.doubles else _gather(flow, self.weights)
        return total + self.bias[:, None, None]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return what is kept of it, by names that begin with its own."""
        return {f"{name}.weights": self.weights.astype(np.int16), f"{name}.bias": self.bias}

    @classmethod
    def kept(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> "Layer":
        """Return the layer of `arrays`. Raises KeyError where there is none of that name."""
        return cls(arrays[f"{name}.weights"].astype(np.int64), arrays[f"{name}.bias"])


def shifted(sums: Floats, bits: int) -> Floats:
    """Divide by 2^bits and round to the nearest, halves up; exact, as all are powers of two."""
    return np.asarray(np.floor((sums + (1 << bits - 1)) * 2.0**-bits), np.float64)


def rectified(sums: Floats) -> Floats:
    """Return what flows on of the sums of a layer: nothing below 0."""
    return np.clip(shifted(sums, WEIGHT_BITS), 0, MOST_FLOW)


def _gather(flow: Floats, weights: Whole) -> Floats:
    """Convolve with weights (outputs, inputs, taps, taps); beyond the border is 0."""
    _, rows, cols = flow.shape
    taps = weights.shape[-1]
    padded = np.pad(flow, [(0, 0), (taps // 2, taps // 2), (taps // 2, taps // 2)])
    total = np.zeros((len(weights), rows, cols))
    for i, j in np.ndindex(taps, taps):
        if weights[:, :, i, j].any():
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
