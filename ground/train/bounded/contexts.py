"""Context weights: by gradient descent on what Laplace distributed residuals would cost."""

import numpy as np
import torch
from numpy.typing import NDArray

UNIT = 1024
"""Weights that add up to this give the mean of the energies."""
_STEPS = 400
_LEAST = 0.02


def fit(features: NDArray[np.float32], magnitudes: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return weights.

    Args:
        features: (samples, n), energies around each residual.
        magnitudes: (samples,), magnitudes of the residuals.
    """
    torch.manual_seed(0)
    given, wanted = torch.from_numpy(features), torch.from_numpy(magnitudes)
    logs = torch.full((features.shape[1],), -float(np.log(features.shape[1])), requires_grad=True)
    offset = torch.full((1,), -2.0, requires_grad=True)
    optimiser = torch.optim.Adam([logs, offset], lr=0.05)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        mean = given @ logs.exp() + offset.exp() + _LEAST
        # Discrete Laplace: P(r) = (1 - t) / (1 + t) t^|r| of mean magnitude 2 t / (1 - t^2).
        decay = torch.exp(-1 / mean)
        bits = torch.log1p(decay) - torch.log1p(-decay) + wanted / mean
        loss = bits.mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    found: NDArray[np.uint16] = np.rint(UNIT * logs.detach().exp().numpy()).astype(np.uint16)
    return found
