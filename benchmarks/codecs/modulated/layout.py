"""Layout: numbers that encoder and decoder of the modulated hyperprior share."""

import math
from dataclasses import dataclass

SCALES = 64
"""Scales of latents, and as many tables."""
SIGMA_LEAST, SIGMA_MOST = 0.11, 256.0
SIGMA_STEP = math.log(SIGMA_MOST / SIGMA_LEAST) / (SCALES - 1)
"""Of the logarithm of the deviation, from one scale to the next."""
STRIDE, HYPER_STRIDE = 16, 64
"""Pixels of a side for each latent, and for each one of the side information."""
LAMBDA_LEAST, LAMBDA_MOST = 3.0, 450.0
"""Range of lambda that is trained, of normalised samples; of DN it is over the scale squared."""


@dataclass(frozen=True)
class Layout:
    """Widths of the network.

    Attributes:
        maps: of the inner layers, N of the paper.
        latents: M of the paper.
    """

    maps: int = 64
    latents: int = 192


@dataclass(frozen=True)
class Sensor:
    """What samples of a sensor are normalised with.

    Attributes:
        name: in results.
        scale: DN that become 1. The mean of a frame becomes 0.
    """

    name: str
    scale: float


def encoder_macs(layout: Layout) -> float:
    """Return multiply-accumulates a pixel: analysis with GDN, and both ways of the hyperprior."""
    return _one_way(layout) + sum(_hyper(layout))


def decoder_macs(layout: Layout) -> float:
    """Return multiply-accumulates a pixel: hyper synthesis, synthesis with GDN."""
    return _one_way(layout) + _hyper(layout)[1]


def _one_way(layout: Layout) -> float:
    """Return those of four convolutions of 25 taps, each a quarter as many places, and GDN."""
    n, m = layout.maps, layout.latents
    products = 25 * (n / 4 + n * n / 16 + n * n / 64 + n * m / 256)
    return products + n * n * (1 / 4 + 1 / 16 + 1 / 64)


def _hyper(layout: Layout) -> tuple[float, float]:
    n, m = layout.maps, layout.latents
    way = 9 * n * m / 256 + 25 * n * n / 1024 + 25 * n * n / 4096
    return way, way
