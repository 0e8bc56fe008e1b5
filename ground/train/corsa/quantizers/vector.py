"""Vector quantizer: codewords are means of what chose them lately; k-means start, restarts.

Source: van den Oord et al. 2017 (arXiv:1711.00937), appendix A.1, for the moving average.
"""

import torch
from torch import Tensor

from ground.train.corsa.quantizers.codewords import gathered, kmeans, revive
from ground.train.corsa.quantizers.quantizer import Quantizer


class VectorQuantizer(Quantizer):
    """Codewords that are free in all dimensions."""

    codebook: Tensor
    sums: Tensor

    def __init__(self, codewords: int, dims: int, decay: float = 0.998) -> None:
        super().__init__(codewords, dims, decay)
        self.register_buffer("codebook", torch.zeros(codewords, dims))
        self.register_buffer("sums", torch.zeros(codewords, dims))

    def table(self) -> Tensor:
        """Return all codewords (codewords, dims)."""
        return self.codebook

    def learn(self, vectors: Tensor) -> None:
        """Make codewords of vectors (n, dims) by k-means."""
        self.codebook.copy_(kmeans(vectors, self.size))
        self.usage.fill_(len(vectors) / self.size)
        self.sums.copy_(self.codebook * self.usage[:, None])

    def follow(self, vectors: Tensor, index: Tensor) -> None:
        """Move codewords to the mean of what chose them; restart those that nothing chooses."""
        super().follow(vectors, index)
        sums = gathered(vectors, index, self.size)[1]
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        revive(self.usage, self.sums, vectors)
        self.codebook.copy_(self.sums / self.usage[:, None])
