"""Spherical quantizer: codewords are directions, all of one length.

What is sent says nothing of how far a latent reaches: of codewords of one length the nearest is
that of its direction, so that the rule on board is the one of any codebook.

Source: Wang et al. 2024 (arXiv:2412.02632), section 3: latents and codewords of length one.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ground.train.corsa.quantizers.codewords import gathered, kmeans, revive
from ground.train.corsa.quantizers.quantizer import Quantizer


class SphericalQuantizer(Quantizer):
    """Codewords of one length, which is that of what they stand for, in the mean.

    Attributes:
        sums: (codewords, dims), of the directions that chose each, a moving average.
        length: of all codewords.
    """

    sums: Tensor
    length: Tensor

    def __init__(self, codewords: int, dims: int, decay: float = 0.998) -> None:
        super().__init__(codewords, dims, decay)
        self.register_buffer("sums", torch.ones(codewords, dims))
        self.register_buffer("length", torch.ones(()))

    def table(self) -> Tensor:
        """Return all codewords (codewords, dims)."""
        return self.length * functional.normalize(self.sums, dim=1)

    def learn(self, vectors: Tensor) -> None:
        """Make codewords of vectors (n, dims) by k-means of their directions."""
        directions = functional.normalize(vectors, dim=1)
        self.sums.copy_(functional.normalize(kmeans(directions, self.size), dim=1))
        self.usage.fill_(len(vectors) / self.size)
        self.sums.mul_(self.usage[:, None])
        self.length.fill_(self._reach(vectors, self.nearest(vectors)))

    def follow(self, vectors: Tensor, index: Tensor) -> None:
        """Turn codewords to what chose them, all at the length of what is along them."""
        super().follow(vectors, index)
        directions = functional.normalize(vectors, dim=1)
        sums = gathered(directions, index, self.size)[1]
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        revive(self.usage, self.sums, directions)
        self.length.lerp_(self._reach(vectors, index), 1 - self.decay)

    def _reach(self, vectors: Tensor, index: Tensor) -> Tensor:
        """Return how far vectors reach along the codewords they chose, in the mean."""
        return (vectors * functional.normalize(self.sums, dim=1)[index]).sum(1).mean()
