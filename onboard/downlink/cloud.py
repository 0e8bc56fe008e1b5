"""Cloud fraction of tiles: one byte each, to rank what is sent first (SPEC.md, section 18).

A pixel is cloud if it is bright in the blue, white, and not green. It is a cheap guess that ranks
tiles, no mask: snow, salt and white roofs count as cloud, thin cirrus does not.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

EVERY = 2
"""Only every second row and column is looked at."""
BLUE_EXCESS = 800
"""Least blue - red / 2 of cloud, DN: haze lifts it, soils and plants have little.

Source: the haze optimised transform, Zhang, Guindon and Cihlar, Remote Sensing of Environment 82
(2002), with the slope of the clear line taken as 1/2.
"""
BRIGHT = 2_500
"""Least mean of the bands of cloud, DN, where they are not the four of Sentinel-2."""
_ALL = 255


def cloud_fractions(tiles: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the share of cloud among the valid pixels of each tile, in 1/255, rounded down.

    Four bands are taken as B02 B03 B04 B08 (blue, green, red, near infrared). A pixel is cloud if
    `2 blue - red > 1600`, and the three visible bands lie within half of the brightest of them, and
    `nir <= 3 red`. Of any other number of bands, it is cloud if their mean is above 2500.

    Args:
        tiles: samples (tiles, bands, rows, cols), integers, DN: reflectance x 10000.
        present: mask (tiles, rows, cols), False where there are no data.

    Returns:
        (tiles,), 255 if all is cloud, 0 if nothing is or if none of the pixels looked at is valid.
    """
    samples = tiles[:, :, ::EVERY, ::EVERY].astype(np.int32)
    valid = present[:, ::EVERY, ::EVERY]
    cloud = _white(samples) if samples.shape[1] == 4 else _bright(samples)
    clouds = np.count_nonzero(cloud & valid, axis=(1, 2))
    pixels = np.count_nonzero(valid, axis=(1, 2))
    return np.asarray(_ALL * clouds // np.maximum(pixels, 1), np.uint8)


def _white(samples: NDArray[np.int32]) -> NDArray[np.bool_]:
    blue, green, red, infrared = samples.transpose(1, 0, 2, 3)
    brightest = np.maximum(np.maximum(blue, green), red)
    darkest = np.minimum(np.minimum(blue, green), red)
    hazy = 2 * blue - red > 2 * BLUE_EXCESS
    return np.asarray(hazy & (2 * darkest >= brightest) & (infrared <= 3 * red))


def _bright(samples: NDArray[np.int32]) -> NDArray[np.bool_]:
    return np.asarray(samples.sum(axis=1, dtype=np.int64) > BRIGHT * samples.shape[1])
