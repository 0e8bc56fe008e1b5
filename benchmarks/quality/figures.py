"""Figures of one decoded image, their means, and baselines that are coded once only."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import round_trip
from benchmarks.codecs.table import BASELINES
from ground import metrics
from ground.scene import Scene, raw_bytes

METRICS = ("psnr16", "psnr", "psnr10k", "rmse", "ssim", "spectral_angle_deg")
TRUTH = ("ndvi_error", "bias", "worst_tile_psnr16")
MEANS = (*METRICS, *TRUTH, "bytes", "raw_bits", "ratio")


def figures(original: NDArray[Any], decoded: NDArray[Any], length: int) -> dict[str, Any]:
    """Return quality, bytes and ratio (raw: a byte or two a sample, as its dtype has).

    `psnr` has the peak of the dtype's bits, `peak`; `bias` is the largest of `band_bias` by
    magnitude.
    """
    quality = asdict(metrics.measure(original, decoded))
    histogram = quality.pop("histogram_distance")
    bias = metrics.band_bias(original, decoded)
    peak = Scene(original).peak
    return {
        **quality,
        "psnr": metrics.psnr(original, decoded, peak),
        "peak": peak,
        "histogram_distance": list(histogram),
        "band_bias": list(bias),
        "bias": max(map(abs, bias)),
        "ndvi_error": metrics.ndvi_error(original, decoded),
        "worst_tile_psnr16": metrics.worst_tile_psnr(original, decoded, metrics.PEAK_16_BIT),
        "bytes": length,
        "raw_bits": 8 * original.dtype.itemsize,
        "ratio": raw_bytes(original) / length,
    }


def mean_over_places(values: Iterable[tuple[str, float | None]]) -> float | None:
    """Average (place, value) per place, then over places; None counts as no value."""
    places: dict[str, list[float]] = defaultdict(list)
    for place, value in values:
        if value is not None:
            places[place].append(value)
    return float(np.mean([np.mean(at) for at in places.values()])) if places else None


def mean_figures(of: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, float | None]:
    """Average the figures of (place, figures) per place, then over places."""
    return {key: mean_over_places((place, f.get(key)) for place, f in of) for key in MEANS}


class BaselineCache:
    """Figures of the baselines; one image, baseline and budget is coded once in a run."""

    def __init__(self) -> None:
        self._figures: dict[tuple[bytes, str, int], dict[str, Any]] = {}

    def figures(self, image: NDArray[Any], budget: int) -> dict[str, dict[str, Any]]:
        """Return the figures of every baseline at no more than `budget` bytes.

        Raises:
            LimitError: a baseline cannot do with so few.
        """
        samples = image.astype(np.uint16)
        digest = blake2b(samples.tobytes() + repr(image.shape).encode()).digest()
        for name, codec in BASELINES.items():
            key = (digest, name, budget)
            if key not in self._figures:
                spent, decoded = round_trip(codec, Scene(samples), budget)
                self._figures[key] = figures(image, decoded, spent)
        return {name: self._figures[digest, name, budget] for name in BASELINES}
