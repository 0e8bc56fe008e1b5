"""Transforms: a trained network, one image at a time, from numpy and back."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.codecs.modulated.network import Modulated
from onboard.errors import BundleError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Transforms:
    """What of a network is left to floating point: nothing that decides how bytes are read.

    Attributes:
        network: as trained.
        multiple: pixels that the sides of an image are filled to multiples of.
    """

    network: Modulated
    multiple: int

    @classmethod
    def of(
        cls,
        network: Modulated,
        multiple: int,
        weights: Mapping[str, NDArray[np.float16]],
        whole: tuple[str, ...],
    ) -> "Transforms":
        """Give a network weights by name.

        Args:
            network: the network.
            multiple: see above.
            weights: of all parts but those in whole numbers.
            whole: how names of these begin.

        Raises:
            BundleError: weights are missing, or of another shape.
        """
        known = {name: torch.from_numpy(array).float() for name, array in weights.items()}
        try:
            left = network.load_state_dict(known, strict=False)
        except RuntimeError as error:
            raise BundleError(f"network: expected weights of its layout: {error}") from error
        missing = [name for name in left.missing_keys if not name.startswith(whole)]
        if missing or left.unexpected_keys:
            raise BundleError(
                f"network: expected weights of its layout, found none of {missing} and "
                f"others {left.unexpected_keys}"
            )
        return cls(network.eval(), multiple)

    @torch.no_grad()
    def analyse(self, samples: Floats) -> Floats:
        """Return latents (latents, rows, cols) of samples (bands, rows, cols), filled."""
        fill = [(0, 0), *((0, -length % self.multiple) for length in samples.shape[1:])]
        padded = np.pad(samples, fill, "edge")
        return _array(self.network.analysis(torch.from_numpy(padded)[None]))

    @torch.no_grad()
    def mask(self, shares: NDArray[np.float64]) -> Floats:
        """Return the mask (latents, rows, cols) of the share of each latent's place, 0 to 1."""
        found = self.network.mask(torch.from_numpy(shares.astype(np.float32)))
        return np.moveaxis(found.numpy(), -1, 0)

    @torch.no_grad()
    def hyper(self, latents: Floats) -> NDArray[np.int32]:
        """Return the side information of modulated latents, rounded (maps, rows, cols)."""
        found = _array(self.network.hyper(torch.from_numpy(latents)[None]))
        return np.rint(found).astype(np.int32)

    @torch.no_grad()
    def synthesise(self, latents: Floats, shape: tuple[int, ...]) -> Floats:
        """Return samples (bands, rows, cols) of latents that are modulated no longer."""
        rows, cols = shape
        return _array(self.network.synthesis(torch.from_numpy(latents)[None]))[:, :rows, :cols]


def _array(maps: Tensor) -> Floats:
    found: Floats = maps[0].numpy()
    return found
