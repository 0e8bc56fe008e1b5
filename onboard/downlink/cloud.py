"""Cloud fraction of tiles: one byte each, to rank what is sent first (SPEC.md, section 18).

A pixel is cloud if it is bright in the blue, white, and not green. It is a cheap guess that ranks
tiles, no mask: snow, salt and white roofs count as cloud, thin cirrus does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.image.bands import BLUE, GREEN, INFRARED, RED, places_of
from onboard.image.files import Image
from onboard.image.nodata import has_data
from onboard.image.tiles import TileGrid

EVERY = 2
"""Only every second row and column is looked at."""
BLUE_EXCESS = 800
"""Least blue - red / 2 of cloud, reflectance x 10000: haze lifts it, soils and plants have little.

Source: the haze optimised transform, Zhang, Guindon and Cihlar, Remote Sensing of Environment 82
(2002), with the slope of the clear line taken as 1/2.
"""
BRIGHT = 2_500
"""Least mean of the bands of cloud, reflectance x 10000, where names do not tell what they see."""
REFLECTANCE = (1e-4, 0.0)
"""Scale and offset of samples that are reflectance x 10000."""
SHIFTED_REFLECTANCE = (1e-4, -0.1)
"""Scale and offset of Sentinel-2 since January 2022 (processing baselines from 04.00 on)."""
SHIFT = 1_000
"""What that offset adds to samples."""
MOST_BELOW_SHIFT = 100
"""One sample in so many may lie below `SHIFT` where the offset is there: dark noise does."""
_ALL = 255
_MOST = 1 << 20


@dataclass(frozen=True)
class Clouds:
    """What finds the cloud fractions of a scene, row of tiles by row of tiles.

    Attributes:
        tile: rows and columns of a tile.
        band_ids: names of the bands; empty if they have none.
        calibration: scale and offset: reflectance = sample x scale + offset; None if nobody told.
        nodata: sample value that means there are no data, None without one.
        groups: groups of bands that have tiles of their own.
    """

    tile: int
    band_ids: tuple[str, ...]
    calibration: tuple[float, float] | None
    nodata: int | None
    groups: int = 1

    def of_strip(self, lines: Image) -> bytes:
        """Return the cloud fraction of each tile of a strip (bands, rows, cols)."""
        grid = TileGrid(lines.shape[2], lines.shape[1], self.tile)
        tiles = np.stack([grid.cut(lines, index) for index in range(grid.count)])
        present = np.zeros((grid.count, *tiles.shape[2:]), np.bool_)
        for index in range(grid.count):
            _, _, rows, cols = grid.box(index)
            present[index, :rows, :cols] = True
        present &= has_data(tiles, self.nodata, 1)
        calibration = self.calibration or likely_calibration(tiles, present)
        return self.groups * bytes(cloud_fractions(tiles, present, self.band_ids, calibration))


def cloud_fractions(
    tiles: NDArray[Any],
    present: NDArray[np.bool_],
    band_ids: Sequence[str] = (),
    calibration: tuple[float, float] = REFLECTANCE,
) -> NDArray[np.uint8]:
    """Return the share of cloud among the valid pixels of each tile, in 1/255, rounded down.

    In reflectance x 10000 a pixel is cloud if `2 blue - red > 1600`, and the three visible bands
    lie within half of the brightest of them, and `nir <= 3 red` where there is a near infrared
    band. Where names do not tell blue, green and red, it is cloud if the mean of all bands is above
    2500, whatever their order.

    Args:
        tiles: samples (tiles, bands, rows, cols), integers.
        present: mask (tiles, rows, cols), False where there are no data.
        band_ids: names of the bands; empty if they have none.
        calibration: scale and offset: reflectance = sample x scale + offset.

    Returns:
        (tiles,), 255 if all is cloud, 0 if nothing is or if none of the pixels looked at is valid.
    """
    samples = _reflectances(tiles[:, :, ::EVERY, ::EVERY], calibration)
    valid = present[:, ::EVERY, ::EVERY]
    places = places_of(band_ids)
    told = places.keys() >= {BLUE, GREEN, RED}
    cloud = _white(samples, places) if told else _bright(samples)
    clouds = np.count_nonzero(cloud & valid, axis=(1, 2))
    pixels = np.count_nonzero(valid, axis=(1, 2))
    return np.asarray(_ALL * clouds // np.maximum(pixels, 1), np.uint8)


def likely_calibration(tiles: NDArray[Any], present: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the scale and offset of samples of which nobody told them, by how dark they get.

    Args:
        tiles: samples (tiles, bands, rows, cols) of a row of tiles, integers.
        present: mask (tiles, rows, cols), False where there are no data.
    """
    samples = tiles[:, :, ::EVERY, ::EVERY].transpose(1, 0, 2, 3)
    valid = samples[:, present[:, ::EVERY, ::EVERY]]
    below = np.count_nonzero(valid < SHIFT)
    return SHIFTED_REFLECTANCE if MOST_BELOW_SHIFT * below < valid.size else REFLECTANCE


def _reflectances(samples: NDArray[Any], calibration: tuple[float, float]) -> NDArray[np.int32]:
    """Return reflectance x 10000 of samples."""
    if calibration == REFLECTANCE:
        return samples.astype(np.int32)
    scale, offset = calibration
    scaled = np.rint(samples * (scale / REFLECTANCE[0]) + offset / REFLECTANCE[0])
    return np.asarray(np.clip(scaled, -_MOST, _MOST), np.int32)


def _white(samples: NDArray[np.int32], places: dict[str, int]) -> NDArray[np.bool_]:
    """Return where pixels are white in the bands of these places, and bright in the blue."""
    blue, green, red = (samples[:, places[colour]] for colour in (BLUE, GREEN, RED))
    brightest = np.maximum(np.maximum(blue, green), red)
    darkest = np.minimum(np.minimum(blue, green), red)
    white = (2 * blue - red > 2 * BLUE_EXCESS) & (2 * darkest >= brightest)
    if INFRARED in places:
        white &= samples[:, places[INFRARED]] <= 3 * red
    return np.asarray(white)


def _bright(samples: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where the mean of all bands is bright."""
    return np.asarray(samples.sum(axis=1, dtype=np.int64) > BRIGHT * samples.shape[1])
