"""Match: how the samples of a picture are distributed, and whether that is as in the original."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.metrics import band_bias, histogram_distance, psnr, rmse, spectral_angle

_BINS = 64
_SHOWN = (0.1, 99.9)
"""Percentiles between which histograms are shown; what is beyond counts to the outer bins."""


def match(
    image: NDArray[Any], original: NDArray[Any] | None, names: tuple[str, ...], peak: int
) -> dict[str, Any]:
    """Return histograms of each band and, where there is an original, figures of both.

    Args:
        image: samples (bands, pixels).
        original: samples of the same pixels.
        names: names of bands.
        peak: peak of the PSNR.
    """
    both = [image] if original is None else [image, original]
    bands: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        low, high = np.percentile(np.concatenate([part[index] for part in both]), _SHOWN)
        edges = np.linspace(low, max(high, low + 1), _BINS + 1)
        told = {
            what: _of_band(part[index], edges)
            for what, part in zip(("image", "original"), both, strict=False)
        }
        bands.append({"name": name, "low": edges[0], "high": edges[-1], **told})
    return {"pixels": image.shape[1], "bands": bands, **_beside(image, original, bands, peak)}


def _of_band(samples: NDArray[Any], edges: NDArray[np.float64]) -> dict[str, Any]:
    inside = np.clip(samples, edges[0], edges[-1])
    share = np.histogram(inside, edges)[0] / samples.size
    return {
        "share": share.tolist(),
        "mean": float(samples.mean()),
        "deviation": float(samples.std()),
    }


def _beside(
    image: NDArray[Any], original: NDArray[Any] | None, bands: list[dict[str, Any]], peak: int
) -> dict[str, Any]:
    """Add to bands how far they are apart; return the same of all of them together."""
    if original is None:
        return {}
    pair = original[:, None], image[:, None]
    distances, biases = histogram_distance(*pair), band_bias(*pair)
    for band, distance, bias in zip(bands, distances, biases, strict=True):
        one, other = (np.array(band[what]["share"]) for what in ("image", "original"))
        overlap = float(np.minimum(one, other).sum())
        band |= {"distance": distance, "bias": bias, "overlap": overlap}
    found = psnr(*pair, float(peak))
    return {
        "psnr": None if math.isinf(found) else found,
        "peak": peak,
        "rmse": rmse(*pair),
        "spectral_angle_deg": spectral_angle(*pair),
        "overlap": min(band["overlap"] for band in bands),
    }
