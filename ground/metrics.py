"""Image quality: one definition of each figure that the project quotes.

Images are (bands, rows, cols) of any real dtype in DN; arithmetic is float64. `valid` is a
(rows, cols) bool mask of the pixels that count; without it all of them do.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from onboard.errors import InputError

PEAK_16_BIT = 65535.0
PEAK_REFLECTANCE = 10000.0
RED, NEAR_INFRARED = 2, 3
WORST_TILE = 64
WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03

AnyImage = NDArray[np.generic]
Valid = NDArray[np.bool_] | None


@dataclass(frozen=True)
class Quality:
    """How near a decoded image is to the original.

    Attributes:
        psnr16: PSNR in dB, peak 65535, from the MSE over all bands; inf when identical.
        psnr10k: PSNR in dB, peak 10000, likewise from the MSE over all bands.
        rmse: root mean squared error over all bands, DN.
        ssim: mean structural similarity over bands, range 10000 DN; 1 when identical.
        spectral_angle_deg: mean spectral angle over pixels, degrees, 0 to 180.
        histogram_distance: Wasserstein-1 distance per band, DN.
    """

    psnr16: float
    psnr10k: float
    rmse: float
    ssim: float
    spectral_angle_deg: float
    histogram_distance: tuple[float, ...]


def measure(original: AnyImage, decoded: AnyImage, valid: Valid = None) -> Quality:
    """Return every figure for a pair of images.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    return Quality(
        psnr16=psnr(original, decoded, PEAK_16_BIT, valid),
        psnr10k=psnr(original, decoded, PEAK_REFLECTANCE, valid),
        rmse=rmse(original, decoded, valid),
        ssim=ssim(original, decoded, PEAK_REFLECTANCE, valid),
        spectral_angle_deg=spectral_angle(original, decoded, valid),
        histogram_distance=histogram_distance(original, decoded, valid),
    )


def _checked_mask(a: AnyImage, b: AnyImage, valid: Valid) -> NDArray[np.bool_]:
    """Return the mask of pixels that count, after a check of all shapes.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    if a.ndim != 3 or a.shape != b.shape or a.shape[0] == 0:
        raise InputError(
            f"images: expected two of one shape (bands, rows, cols), found {a.shape} and {b.shape}"
        )
    mask = np.ones(a.shape[1:], np.bool_) if valid is None else valid
    if mask.shape != a.shape[1:] or mask.dtype != np.bool_:
        raise InputError(f"valid: expected bool {a.shape[1:]}, found {mask.dtype} {mask.shape}")
    if not mask.any():
        raise InputError(f"valid: expected at least one pixel, found none of {mask.size}")
    return mask


def rmse(a: AnyImage, b: AnyImage, valid: Valid = None) -> float:
    """Return the root of the mean squared error over all bands, in DN.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    mask = _checked_mask(a, b, valid)
    per_band = [
        np.mean(np.square(x[mask].astype(np.float64) - y[mask])) for x, y in zip(a, b, strict=True)
    ]
    return math.sqrt(float(np.mean(per_band)))


def psnr(a: AnyImage, b: AnyImage, peak: float, valid: Valid = None) -> float:
    """Return 20 log10(peak / RMSE) in dB, the RMSE over all bands; inf when identical.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    error = rmse(a, b, valid)
    return math.inf if error == 0 else 20 * math.log10(peak / error)


def psnr_of_level(level: float, peak: float) -> float:
    """Return the PSNR in dB of an MSE that is given as its level, 10 log10(MSE / DN^2)."""
    return 20 * math.log10(peak) - level


def ssim(
    a: AnyImage, b: AnyImage, data_range: float = PEAK_REFLECTANCE, valid: Valid = None
) -> float:
    """Return the structural similarity, mean over positions, then over bands; -1 to 1.

    An 11x11 Gaussian window of sigma 1.5. Only windows wholly inside the image and the mask count;
    where there is none (an image smaller than 11, a thin mask) the centre alone decides.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004, eq. 13, K1 0.01, K2 0.03.

    Args:
        a: one image, DN.
        b: another image of the same shape, DN.
        data_range: L of the paper, DN.
        valid: pixels that count.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    mask = _checked_mask(a, b, valid)
    whole = scipy.ndimage.binary_erosion(mask, np.ones((WINDOW, WINDOW)), border_value=0)
    counted = whole if whole.any() else mask
    return float(
        np.mean([_ssim_map(x, y, data_range)[counted].mean() for x, y in zip(a, b, strict=True)])
    )


def _ssim_map(
    x: NDArray[np.generic], y: NDArray[np.generic], data_range: float
) -> NDArray[np.float64]:
    """Return the SSIM index of one band (rows, cols) at every position, mirrored at the border."""
    p, q = x.astype(np.float64), y.astype(np.float64)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_p, mean_q = _blur(p), _blur(q)
    var_p = _blur(p * p) - mean_p * mean_p
    var_q = _blur(q * q) - mean_q * mean_q
    cov = _blur(p * q) - mean_p * mean_q
    luminance = (2 * mean_p * mean_q + c1) / (mean_p * mean_p + mean_q * mean_q + c1)
    index: NDArray[np.float64] = luminance * (2 * cov + c2) / (var_p + var_q + c2)
    return index


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian-weighted local mean."""
    blurred: NDArray[np.float64] = scipy.ndimage.gaussian_filter(plane, SIGMA, radius=WINDOW // 2)
    return blurred


def seam_ratio(a: AnyImage, b: AnyImage, tile: int, reach: int = 4) -> float:
    """Return RMSE within `reach` pixels of inner tile borders over RMSE elsewhere; 1 is no seams.

    NaN where the image has no inner border, or no error elsewhere.
    """
    _checked_mask(a, b, None)
    rows, cols = (_near_seam(length, tile, reach) for length in a.shape[1:])
    near = rows[:, None] | cols[None]
    squared = np.square(a.astype(np.float64) - b.astype(np.float64)).mean(axis=0)
    elsewhere = squared[~near].mean() if (~near).any() else 0.0
    if not near.any() or elsewhere == 0:
        return math.nan
    return float(np.sqrt(squared[near].mean() / elsewhere))


def _near_seam(length: int, tile: int, reach: int) -> NDArray[np.bool_]:
    """Return which of `length` positions lie within `reach` of a border between two tiles."""
    position = np.arange(length)
    border = (position + tile // 2) // tile * tile
    inner = (border > 0) & (border < length)
    near: NDArray[np.bool_] = inner & (position >= border - reach) & (position < border + reach)
    return near


def spectral_angle(a: AnyImage, b: AnyImage, valid: Valid = None) -> float:
    """Return the mean angle between the spectra of a pixel, in degrees, 0 to 180.

    Two zero spectra are 0 apart, a zero one and another 90. Written with atan2, which keeps its
    precision at small angles where arccos loses it.

    Source: Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing of
    Environment 44, 1993; the formula: Kahan, "How futile are mindless assessments of roundoff",
    2006, section 12.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    mask = _checked_mask(a, b, valid)
    u, v = _unit(a[:, mask]), _unit(b[:, mask])
    half = np.arctan2(np.linalg.norm(u - v, axis=0), np.linalg.norm(u + v, axis=0))
    return math.degrees(2 * float(half.mean()))


def _unit(spectra: NDArray[np.generic]) -> NDArray[np.float64]:
    """Scale spectra (bands, pixels) to length 1; zero ones stay zero."""
    real = spectra.astype(np.float64)
    length = np.linalg.norm(real, axis=0)
    unit: NDArray[np.float64] = real / np.where(length > 0, length, 1)
    return unit


def histogram_distance(a: AnyImage, b: AnyImage, valid: Valid = None) -> tuple[float, ...]:
    """Return the Wasserstein-1 distance between the histograms of each band, in DN.

    The area between the two cumulative histograms, each of area 1 (so independent of the number of
    pixels): for equally many samples, the mean absolute difference of the sorted samples.

    Source: Vallender, "Calculation of the Wasserstein distance between probability distributions
    on the line", Theory of Probability 18(4), 1974.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    mask = _checked_mask(a, b, valid)
    return tuple(
        float(np.abs(np.sort(x[mask]).astype(np.float64) - np.sort(y[mask])).mean())
        for x, y in zip(a, b, strict=True)
    )


def band_bias(a: AnyImage, b: AnyImage, valid: Valid = None) -> tuple[float, ...]:
    """Return the mean of `b` minus `a` of each band, in DN: what the codec adds or takes away.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    mask = _checked_mask(a, b, valid)
    return tuple(
        float((y[mask].astype(np.float64) - x[mask]).mean()) for x, y in zip(a, b, strict=True)
    )


def ndvi_error(a: AnyImage, b: AnyImage, valid: Valid = None) -> float | None:
    """Return the mean absolute error of the NDVI over the pixels where that of `a` is defined.

    Bands 2 and 3 are red (B04) and near infrared (B08). Where both are 0 in `b` its NDVI is 0.

    Returns:
        0 to 2; None with fewer than 4 bands, or where red and near infrared are 0 everywhere.

    Raises:
        InputError: shapes differ, or no pixel is valid.
    """
    mask = _checked_mask(a, b, valid)
    if len(a) <= NEAR_INFRARED:
        return None
    mask = mask & (a[RED].astype(np.float64) + a[NEAR_INFRARED] > 0)
    if not mask.any():
        return None
    return float(np.abs(_ndvi(a)[mask] - _ndvi(b)[mask]).mean())


def _ndvi(image: AnyImage) -> NDArray[np.float64]:
    """Return (near infrared - red) / (near infrared + red), (rows, cols); 0 where both are 0."""
    red, infrared = image[RED].astype(np.float64), image[NEAR_INFRARED].astype(np.float64)
    total = infrared + red
    index: NDArray[np.float64] = (infrared - red) / np.where(total == 0, 1, total)
    return index


def worst_tile_psnr(a: AnyImage, b: AnyImage, peak: float, side: int = WORST_TILE) -> float:
    """Return the PSNR, over all bands, of the tile of `side` x `side` pixels with most error.

    Tiles begin in the north-west; the last row and column of tiles end at the border and overlap
    those before. An image with a shorter side has tiles of that side.

    Raises:
        InputError: shapes differ.
    """
    _checked_mask(a, b, None)
    squared = np.square(a.astype(np.float64) - b.astype(np.float64)).mean(axis=0)
    worst = max(
        float(squared[row : row + side, col : col + side].mean())
        for row in _tile_starts(squared.shape[0], side)
        for col in _tile_starts(squared.shape[1], side)
    )
    return math.inf if worst == 0 else 10 * math.log10(peak * peak / worst)


def _tile_starts(length: int, side: int) -> list[int]:
    """Return where tiles that cover a length begin, each whole if one fits."""
    last = max(length - side, 0)
    return sorted({*range(0, last, side), last})
