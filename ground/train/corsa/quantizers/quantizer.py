"""Vector quantizer with an exponential-moving-average codebook, k-means start and restarts.

Source: van den Oord et al. 2017 (arXiv:1711.00937), appendix A.1, for the moving average and the
straight-through gradient; the CORSA paper, section 2.1, for its use on every level.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_CHUNK = 16_384
_KMEANS_VECTORS = 300_000


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index (int64, n) of the nearest codeword for vectors (n, dims), chunk by chunk."""
    norms = codebook.square().sum(1)
    parts = torch.split(vectors, _CHUNK)
    found = [(norms - 2 * part @ codebook.T).argmin(1) for part in parts]
    return torch.cat(found)


def kmeans(vectors: Tensor, codewords: int, rounds: int = 15) -> Tensor:
    """Return a (codewords, dims) codebook by Lloyd's algorithm from random starting vectors."""
    start = torch.randperm(len(vectors))[:codewords]
    codebook = vectors[start].clone()
    for _ in range(rounds):
        index = nearest(vectors, codebook)
        counts = torch.bincount(index, minlength=codewords).to(vectors.dtype)
        sums = torch.zeros_like(codebook).index_add_(0, index, vectors)
        codebook = sums / counts.clamp_min(1)[:, None]
        empty = counts == 0
        codebook[empty] = vectors[torch.randint(len(vectors), (int(empty.sum()),))]
    return codebook


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


class VectorQuantizer(nn.Module):
    """A codebook of `codewords` vectors of `dims` numbers."""

    codebook: Tensor
    usage: Tensor
    sums: Tensor

    def __init__(self, codewords: int, dims: int, decay: float = 0.998) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codebook", torch.zeros(codewords, dims))
        self.register_buffer("usage", torch.ones(codewords))
        self.register_buffer("sums", torch.zeros(codewords, dims))

    @torch.no_grad()
    def start(self, latents: Tensor) -> None:
        """Set the codebook by k-means over latents (batch, dims, rows, cols)."""
        vectors = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        vectors = vectors[torch.randperm(len(vectors))[:_KMEANS_VECTORS]]
        self.codebook.copy_(kmeans(vectors, len(self.codebook)))
        self.usage.fill_(len(vectors) / len(self.codebook))
        self.sums.copy_(self.codebook * self.usage[:, None])

    def forward(self, latents: Tensor) -> Quantized:
        """Quantise latents (batch, dims, rows, cols); in training mode the codebook follows."""
        latents = latents.float()
        vectors = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        index = nearest(vectors.detach(), self.codebook)
        shape = (latents.shape[0], latents.shape[2], latents.shape[3])
        chosen = self.codebook[index].reshape(*shape, -1).permute(0, 3, 1, 2)
        if self.training:
            self._follow(vectors.detach(), index)
        spread = vectors.detach().var(0).sum() / vectors.shape[1]
        commitment = (latents - chosen).square().mean() / spread.clamp_min(1e-9)
        return Quantized(_pass_through(latents, chosen), index.reshape(shape), commitment)

    @torch.no_grad()
    def _follow(self, vectors: Tensor, index: Tensor) -> None:
        """Move codewords to the mean of what chose them; restart those that nothing chooses."""
        counts = torch.bincount(index, minlength=len(self.codebook)).to(vectors.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, index, vectors)
        self.usage.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        mean_usage = float(self.usage.mean())
        dead = self.usage < 0.02 * mean_usage
        if bool(dead.any()):
            replacement = vectors[torch.randint(len(vectors), (int(dead.sum()),))]
            self.usage[dead] = 0.2 * mean_usage
            self.sums[dead] = replacement * 0.2 * mean_usage
        self.codebook.copy_(self.sums / self.usage[:, None])

    def used(self) -> float:
        """Return the share of codewords in use, 0..1: chosen at least a tenth of the mean."""
        return float((self.usage > 0.1 * self.usage.mean()).float().mean())

    def perplexity(self) -> float:
        """Return the effective number of codewords in use, 1..codewords."""
        share = self.usage / self.usage.sum()
        return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))
