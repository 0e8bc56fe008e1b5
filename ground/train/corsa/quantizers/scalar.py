"""Finite scalar quantizer: codewords are the points of a grid along a few axes.

Latents are rounded to the grid and held within it, without the tanh of the paper: so the nearest
point is that of the rule on board, and the encoder needs no operation that an int8 engine lacks.

Source: Mentzer et al. 2023 (arXiv:2309.15505), section 3, and its projection to few dimensions.
"""

import torch
from torch import Tensor

from ground.train.corsa.quantizers.composed import shares
from ground.train.corsa.quantizers.quantizer import Quantizer

_BITS = 3
"""Of an axis, at most while there are dimensions left: 8 values, as in the paper's tables."""
_TRIED = torch.linspace(0.1, 2.0, 96)


class ScalarQuantizer(Quantizer):
    """Codewords on a grid that is set once.

    Attributes:
        levels: values along each axis.
        axes: (axes, dims), orthonormal.
        steps: (axes,), from value to value.
    """

    axes: Tensor
    steps: Tensor

    def __init__(self, codewords: int, dims: int) -> None:
        super().__init__(codewords, dims)
        bits = (codewords - 1).bit_length()
        parts = max(1, min(dims, -(-bits // _BITS)))
        self.levels = [1 << share for share in shares(bits, parts)]
        self.register_buffer("axes", torch.eye(parts, dims))
        self.register_buffer("steps", torch.ones(parts))

    def table(self) -> Tensor:
        """Return all codewords (codewords, dims)."""
        index = torch.arange(self.size)
        places: list[Tensor] = []
        for levels in reversed(self.levels):
            places.insert(0, index % levels - (levels - 1) / 2)
            index = index // levels
        return (torch.stack(places, 1) * self.steps) @ self.axes

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the index of the nearest point: axis by axis, as these are orthonormal."""
        index = torch.zeros(len(vectors), dtype=torch.int64)
        parts = (vectors @ self.axes.T).unbind(1)
        for along, step, levels in zip(parts, self.steps, self.levels, strict=True):
            place = _rounded(along, step, levels) + (levels - 1) / 2
            index = index * levels + place.round().long()
        return index

    def learn(self, vectors: Tensor) -> None:
        """Set axes and steps: principal axes of vectors (n, dims), steps of least error."""
        _, rows = torch.linalg.eigh((vectors.T @ vectors).double())
        self.axes.copy_(rows.T.flip(0)[: len(self.levels)])
        for axis, levels in enumerate(self.levels):
            along = vectors @ self.axes[axis]
            tried = _TRIED * along.square().mean().sqrt().clamp_min(1e-9)
            left = [_rounded(along, step, levels) * step - along for step in tried]
            errors = torch.stack([error.square().mean() for error in left])
            self.steps[axis] = tried[int(errors.argmin())]


def _rounded(along: Tensor, step: Tensor, levels: int) -> Tensor:
    """Return the nearest of so many values, in steps: half-odd ones, of an odd number whole."""
    most = (levels - 1) / 2
    offset = most % 1
    return ((along / step - offset).round() + offset).clamp(-most, most)
