"""Quantizer: the codeword nearest to each latent, whatever the codebook is made of.

All kinds send one index of fixed width for each position, and what stands for a latent is the
nearest of their codewords; kinds differ in what codewords can be, and in how these are learned. So
all fly alike: export writes out the codewords (SPEC.md, section 6).

Source: van den Oord et al. 2017 (arXiv:1711.00937) for the straight-through gradient; the CORSA
paper, section 2.1, for a codebook on every level.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ground.train.corsa.quantizers.codewords import nearest

_KMEANS_VECTORS = 300_000


@dataclass(frozen=True)
class Quantized:
    """What the quantizer makes of a map.

    Attributes:
        codewords: (batch, dims, rows, cols), the chosen codewords, straight-through gradient.
        indices: int64 (batch, rows, cols), their indices.
        commitment: scalar, mean squared distance over the variance of the latents.
    """

    codewords: Tensor
    indices: Tensor
    commitment: Tensor


class Quantizer(nn.Module):
    """A codebook of `codewords` vectors of `dims` numbers; a kind says what they are made of.

    Attributes:
        usage: (codewords,), how often each was chosen, a moving average.
    """

    usage: Tensor

    def __init__(self, codewords: int, dims: int, decay: float = 0.998) -> None:
        super().__init__()
        self.size, self.dims, self.decay = codewords, dims, decay
        self.register_buffer("usage", torch.ones(codewords))

    def table(self) -> Tensor:
        """Return all codewords (codewords, dims)."""
        raise NotImplementedError

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the index (int64, n) of the codeword nearest to vectors (n, dims)."""
        return nearest(vectors, self.table())

    def learn(self, vectors: Tensor) -> None:
        """Make codewords of vectors (n, dims)."""
        raise NotImplementedError

    def follow(self, vectors: Tensor, index: Tensor) -> None:
        """Count what chose which codeword, and move codewords there; what is fixed stays."""
        counts = torch.bincount(index, minlength=self.size).to(self.usage.dtype)
        self.usage.mul_(self.decay).add_(counts, alpha=1 - self.decay)

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        """Make codewords of latents (batch, dims, rows, cols)."""
        vectors = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        vectors = vectors[torch.randperm(len(vectors))[:_KMEANS_VECTORS]]
        self.learn(vectors)
        self.usage.fill_(len(vectors) / self.size)

    def forward(self, latents: Tensor) -> Quantized:
        """Quantise latents (batch, dims, rows, cols); in training mode the codebook follows."""
        latents = latents.float()
        vectors = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        index = self.nearest(vectors.detach())
        shape = (latents.shape[0], latents.shape[2], latents.shape[3])
        chosen = self.table()[index].reshape(*shape, -1).permute(0, 3, 1, 2)
        if self.training:
            with torch.no_grad():
                self.follow(vectors.detach(), index)
        spread = vectors.detach().var(0).sum() / vectors.shape[1]
        commitment = (latents - chosen).square().mean() / spread.clamp_min(1e-9)
        return Quantized(_pass_through(latents, chosen), index.reshape(shape), commitment)

    def used(self) -> float:
        """Return the share of codewords in use, 0..1: chosen at least a tenth of the mean."""
        return float((self.usage > 0.1 * self.usage.mean()).float().mean())

    def perplexity(self) -> float:
        """Return the effective number of codewords in use, 1..codewords."""
        return perplexity(self.usage)


def perplexity(counts: Tensor) -> float:
    """Return the effective number of codewords that were chosen so often."""
    share = counts / counts.sum()
    return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))


def _pass_through(latents: Tensor, chosen: Tensor) -> Tensor:
    """Return `chosen` with a gradient towards `latents`, scaled by the quantizer's linear gain.

    The plain straight-through estimator (gain 1) tells the encoder that whatever it writes into a
    latent arrives; a codebook drops most dimensions, and training then makes the codec worse. Here
    the gradient is that of the best linear fit chosen = gain @ latent + noise over the batch
    (Bussgang's decomposition of a quantizer).
    """
    dims = latents.shape[1]
    z = latents.detach().transpose(0, 1).reshape(dims, -1)
    q = chosen.detach().transpose(0, 1).reshape(dims, -1)
    z = z - z.mean(1, keepdim=True)
    ridge = 1e-6 * z.square().sum() / dims * torch.eye(dims)
    gain = torch.linalg.solve(z @ z.T + ridge, z @ q.T).T
    change = torch.einsum("ij,njrc->nirc", gain, latents - latents.detach())
    return chosen + change
