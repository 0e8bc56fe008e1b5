"""Transforms: the trained network, one frame at a time, from numpy and back."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.codecs.modulated.layout import HYPER_STRIDE, Layout
from benchmarks.codecs.modulated.network import ModulatedHyperprior
from onboard.errors import BundleError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Transforms:
    """What of the network is left to floating point: nothing that decides how bytes are read.

    Attributes:
        network: as trained.
    """

    network: ModulatedHyperprior

    @classmethod
    def of(cls, layout: Layout, weights: Mapping[str, NDArray[np.float16]]) -> "Transforms":
        """Build the network with weights by name; the hyper synthesis is not looked at.

        Raises:
            BundleError: weights are missing, or of another shape.
        """
        network = ModulatedHyperprior(layout)
        known = {name: torch.from_numpy(array).float() for name, array in weights.items()}
        try:
            left = network.load_state_dict(known, strict=False)
        except RuntimeError as error:
            raise BundleError(
                f"modulated hyperprior: expected weights of {layout}: {error}"
            ) from error
        missing = [name for name in left.missing_keys if not name.startswith("hyper_synthesis.")]
        if missing or left.unexpected_keys:
            raise BundleError(
                f"modulated hyperprior: expected weights of {layout}, found none of {missing} and "
                f"others {left.unexpected_keys}"
            )
        return cls(network.eval())

    @torch.no_grad()
    def analyse(self, samples: Floats) -> Floats:
        """Return latents (latents, rows / 16, cols / 16) of samples, filled to multiples of 64."""
        rows, cols = samples.shape
        padded = np.pad(samples, [(0, -rows % HYPER_STRIDE), (0, -cols % HYPER_STRIDE)], "edge")
        return _array(self.network.analysis(torch.from_numpy(padded)[None, None]))

    @torch.no_grad()
    def mask(self, shares: NDArray[np.float64]) -> Floats:
        """Return the mask (latents, rows, cols) of the share of each latent's place, 0 to 1."""
        found = self.network.mask(torch.from_numpy(shares.astype(np.float32)))
        return np.moveaxis(found.numpy(), -1, 0)

    @torch.no_grad()
    def hyper(self, latents: Floats) -> NDArray[np.int32]:
        """Return the side information of modulated latents, rounded (maps, rows, cols)."""
        found = self.network.hyper_analysis(torch.from_numpy(latents)[None].abs())
        return np.rint(_array(found)).astype(np.int32)

    @torch.no_grad()
    def synthesise(self, latents: Floats, shape: tuple[int, ...]) -> Floats:
        """Return samples (rows, cols) of latents that are modulated no longer."""
        rows, cols = shape
        return _array(self.network.synthesis(torch.from_numpy(latents)[None]))[0, :rows, :cols]


def _array(maps: Tensor) -> Floats:
    found: Floats = maps[0].numpy()
    return found
