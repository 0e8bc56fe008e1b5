"""Codewords: the nearest of them, how they are found, and how they follow what chooses them."""

import torch
from torch import Tensor

_SCORES = 1 << 24
"""Numbers of a table of scores, at most."""
_DEAD, _REBORN = 0.02, 0.2
"""Of the mean usage: below the one a codeword starts anew, with the other."""


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index (int64, n) of the nearest codeword for vectors (n, dims), part by part."""
    norms = codebook.square().sum(1)
    parts = torch.split(vectors, max(1, _SCORES // len(codebook)))
    found = [torch.addmm(norms, part, codebook.T, alpha=-2).argmin(1) for part in parts]
    return torch.cat(found)


def kmeans(vectors: Tensor, codewords: int, rounds: int = 15) -> Tensor:
    """Return a (codewords, dims) codebook by Lloyd's algorithm from random starting vectors."""
    start = torch.randperm(len(vectors)).repeat(-(-codewords // len(vectors)))[:codewords]
    codebook = vectors[start].clone()
    for _ in range(rounds):
        index = nearest(vectors, codebook)
        counts, sums = gathered(vectors, index, codewords)
        codebook = sums / counts.clamp_min(1)[:, None]
        empty = counts == 0
        codebook[empty] = vectors[torch.randint(len(vectors), (int(empty.sum()),))]
    return codebook


def gathered(vectors: Tensor, index: Tensor, codewords: int) -> tuple[Tensor, Tensor]:
    """Return how many vectors (n, dims) have each index, and their sums (codewords, dims)."""
    counts = torch.bincount(index, minlength=codewords).to(vectors.dtype)
    sums = torch.zeros(codewords, vectors.shape[1], dtype=vectors.dtype)
    return counts, sums.index_add_(0, index, vectors)


def revive(usage: Tensor, sums: Tensor, vectors: Tensor) -> None:
    """Start codewords that nothing chooses anew, each at one of the vectors (n, dims), in place.

    Args:
        usage: (codewords,), a moving average.
        sums: (codewords, dims), of the vectors that chose each, likewise.
        vectors: what is to be quantised.
    """
    mean = float(usage.mean())
    dead = usage < _DEAD * mean
    if bool(dead.any()):
        replacement = vectors[torch.randint(len(vectors), (int(dead.sum()),))]
        usage[dead] = _REBORN * mean
        sums[dead] = replacement * _REBORN * mean
