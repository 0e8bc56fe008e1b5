"""Backbone: the VQVAE-FPN of the paper from random weights, trained to reconstruct.

The linear path that our own models have beside the network is left out here, as the paper has none.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ground.train.corsa.model import Architecture, VqvaeFpn

_RATE, _BATCH, _COMMITMENT, _START = 1e-3, 8, 0.25, 64
Real = NDArray[np.float32]
KINDS = ("latents", "quantised", "indices")


def architecture(bands: int, side: int, depths: tuple[int, ...], codewords: int) -> Architecture:
    """Return the layout of the paper's two levels, with feature maps of some depths."""
    dims = (16,) * len(depths)
    books = (codewords,) * len(depths)
    return Architecture(bands, side, depths, dims, books, 2, depths[0] // 2, depths[0], 1)


def random_model(shape: Architecture, seed: int) -> VqvaeFpn:
    """Return a model of random weights without a linear path."""
    torch.manual_seed(seed)
    model = VqvaeFpn(shape)
    for layer in (*model.encoder.skips, *model.predictions, *model.decoder.linear):
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)
    for layer in (*model.encoder.embeddings, model.decoder.up):
        layer.reset_parameters()
    return model


class Pooled(nn.Module):
    """Encoder, and the mean over its top map: what is trained end to end with a head."""

    def __init__(self, model: VqvaeFpn) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, samples: Tensor) -> Tensor:
        """Return (batch, dims)."""
        top: Tensor = self.encoder(samples)[-1]
        return top.mean(dim=(2, 3))


def reconstruct(model: VqvaeFpn, samples: Tensor, steps: int, seed: int) -> None:
    """Train to reconstruct standardised samples (n, bands, side, side)."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=_RATE)
    for _ in range(steps):
        batch = samples[torch.from_numpy(rng.integers(len(samples), size=_BATCH))]
        made = model.quantise(model.encoder(batch))
        decoded = model.decoder([level.codewords for level in made])
        loss = functional.mse_loss(decoded, batch)
        loss = loss + _COMMITMENT * torch.stack([level.commitment for level in made]).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()


@torch.no_grad()
def start_codebooks(model: VqvaeFpn, samples: Tensor) -> None:
    """Set the codebooks by k-means over what they will quantise."""
    model.eval()
    latents = model.encoder(samples[:_START])
    model.quantise(latents, start=range(model.shape.levels))
    model.train()


@torch.no_grad()
def decoded(model: VqvaeFpn, samples: Tensor) -> Tensor:
    """Return what a model makes of samples."""
    model.eval()
    parts = [model.quantise(model.encoder(batch)) for batch in torch.split(samples, _BATCH)]
    found = [model.decoder([level.codewords for level in made]) for made in parts]
    model.train()
    return torch.cat(found)


@torch.no_grad()
def pooled_features(model: VqvaeFpn, samples: Tensor) -> dict[str, Real]:
    """Return what the head sees of each sample, (n, features), by kind.

    That is the mean over positions of the top level: its latents, the codewords that stand for
    them, and which codewords these are, one number for each.
    """
    model.eval()
    found: dict[str, list[Tensor]] = {kind: [] for kind in KINDS}
    for batch in torch.split(samples, _BATCH):
        latents = model.encoder(batch)
        top = model.quantise(latents)[-1]
        count = model.shape.codewords[-1]
        found["latents"].append(latents[-1].mean(dim=(2, 3)))
        found["quantised"].append(top.codewords.mean(dim=(2, 3)))
        hot = functional.one_hot(top.indices.flatten(1), count)
        found["indices"].append(hot.float().mean(dim=1))
    model.train()
    return {kind: torch.cat(parts).numpy() for kind, parts in found.items()}


def standardised(tiles: NDArray[np.uint16], like: NDArray[np.uint16]) -> Tensor:
    """Return tiles (n, bands, rows, cols), each band by mean and deviation of others."""
    others = like.astype(np.float64)
    mean = others.mean(axis=(0, 2, 3), keepdims=True)
    deviation = np.maximum(others.std(axis=(0, 2, 3), keepdims=True), 1)
    return torch.from_numpy(((tiles - mean) / deviation).astype(np.float32))


def states(
    model: VqvaeFpn, samples: Tensor, rounds: int, epochs: int, steps: int, seed: int
) -> Iterator[int]:
    """Yield the number of epochs trained, `rounds` times; the model is as it is by then."""
    start_codebooks(model, samples)
    for number in range(rounds):
        if number:
            reconstruct(model, samples, epochs * steps, seed + number)
        yield number * epochs
