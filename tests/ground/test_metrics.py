"""Quality figures against values worked out by hand and against slow, plain definitions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from ground.metrics import (
    histogram_distance,
    measure,
    psnr,
    rmse,
    seam_ratio,
    spectral_angle,
    ssim,
)
from onboard.errors import InputError


def noisy_pair(bands: int = 2, rows: int = 24, cols: int = 19) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    a = rng.integers(0, 5000, (bands, rows, cols), np.uint16)
    return a, np.clip(a + rng.normal(0, 300, a.shape), 0, 65535).astype(np.uint16)


def naive_ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """Wang et al. 2004, equation 13, window by window."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for x, y in zip(a.astype(float), b.astype(float), strict=True):
        for row in range(x.shape[0] - 10):
            for col in range(x.shape[1] - 10):
                p, q = x[row : row + 11, col : col + 11], y[row : row + 11, col : col + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                values.append(
                    (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
                )
    return float(np.mean(values))


def test_rmse_and_psnr_by_hand():
    a = np.array([[[0, 10]], [[20, 30]]], np.uint16)
    b = np.array([[[3, 10]], [[20, 26]]], np.uint16)
    assert rmse(a, b) == pytest.approx(2.5)  # sqrt((9 + 16) / 4)
    assert psnr(a, b, 65535) == pytest.approx(10 * math.log10(65535**2 / 6.25))
    assert psnr(a, b, 10000) == pytest.approx(72.0412, abs=1e-4)


def test_unsigned_differences_do_not_wrap():
    low, high = np.zeros((1, 2, 2), np.uint16), np.full((1, 2, 2), 65535, np.uint16)
    assert rmse(low, high) == rmse(high, low) == 65535
    assert histogram_distance(low, high) == (65535,)


def test_an_image_is_identical_to_itself():
    image, _ = noisy_pair()
    quality = measure(image, image)
    assert quality.psnr16 == quality.psnr10k == math.inf
    assert quality.rmse == quality.spectral_angle_deg == 0
    assert quality.ssim == pytest.approx(1)
    assert quality.histogram_distance == (0, 0)


@pytest.mark.parametrize("data_range", [255, 10000])
def test_ssim_equals_the_plain_definition(data_range):
    a, b = noisy_pair()
    assert ssim(a, b, data_range) == pytest.approx(naive_ssim(a, b, data_range), abs=1e-9)


def test_ssim_of_two_constants_is_the_luminance_term():
    a, b = np.full((1, 20, 20), 1000.0), np.full((1, 20, 20), 3000.0)
    assert ssim(a, b) == pytest.approx((2 * 3e6 + 1e4) / (1e6 + 9e6 + 1e4))


def test_ssim_of_images_smaller_than_the_window():
    a = np.full((1, 4, 5), 1000.0)
    assert ssim(a, a * 3) == pytest.approx((2 * 3e6 + 1e4) / (1e6 + 9e6 + 1e4))


def test_spectral_angle_by_hand():
    a = np.array([3, 0, 1, 0, 0, 5], np.uint16).reshape(2, 1, 3)  # (3, 0) (0, 0) (1, 5)
    b = np.array([4, 0, 2, 4, 0, 10], np.uint16).reshape(2, 1, 3)  # (4, 4) (0, 0) (2, 10)
    assert spectral_angle(a, b) == pytest.approx(45 / 3)
    zero, one = np.zeros((3, 1, 1)), np.ones((3, 1, 1))
    assert spectral_angle(zero, one) == pytest.approx(90)
    assert spectral_angle(one, -one) == pytest.approx(180)


def test_spectral_angle_resolves_tiny_angles():
    a = np.array([1.0, 0.0]).reshape(2, 1, 1)
    b = np.array([1.0, 1e-10]).reshape(2, 1, 1)
    assert spectral_angle(a, b) == pytest.approx(math.degrees(1e-10), rel=1e-6)


def test_histogram_distance_ignores_where_and_measures_how_far():
    a = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    assert histogram_distance(a, a[:, ::-1, ::-1]) == (0,)
    assert histogram_distance(a, a + np.uint16(7)) == (7,)
    a, b = noisy_pair()
    expected = [wasserstein_distance(x.ravel(), y.ravel()) for x, y in zip(a, b, strict=True)]
    assert histogram_distance(a, b) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pixels_that_are_not_valid_have_no_influence(seed):
    rng = np.random.default_rng(seed)
    a, b = noisy_pair()
    valid = np.ones(a.shape[1:], np.bool_)
    valid[:, : rng.integers(1, 6)] = False
    spoilt = np.where(valid, b, rng.integers(0, 65536, b.shape)).astype(np.uint16)
    assert measure(a, spoilt, valid) == measure(a, b, valid)
    assert rmse(a, spoilt) > rmse(a, b)


def test_a_valid_corner_equals_the_cropped_image():
    a, b = noisy_pair(rows=40, cols=40)
    valid = np.zeros(a.shape[1:], np.bool_)
    valid[:25, :18] = True
    cut = measure(a[:, :25, :18], b[:, :25, :18])
    masked = measure(a, b, valid)
    assert masked.psnr16 == pytest.approx(cut.psnr16)
    assert masked.ssim == pytest.approx(cut.ssim)
    assert masked.spectral_angle_deg == pytest.approx(cut.spectral_angle_deg)


@pytest.mark.parametrize("figure", [rmse, ssim, spectral_angle, histogram_distance, measure])
def test_images_and_masks_that_do_not_fit_are_refused(figure):
    a, _ = noisy_pair()
    with pytest.raises(InputError, match=r"found \(2, 24, 19\) and \(2, 24, 18\)"):
        figure(a, a[:, :, :-1])
    with pytest.raises(InputError, match="expected two of one shape"):
        figure(a[0], a[0])
    with pytest.raises(InputError, match=r"expected bool \(24, 19\)"):
        figure(a, a, valid=np.ones((24, 19), np.uint8))
    with pytest.raises(InputError, match="at least one pixel, found none of 456"):
        figure(a, a, valid=np.zeros((24, 19), np.bool_))


def test_seam_ratio_sees_borders_between_tiles_only() -> None:
    original = np.zeros((1, 24, 20), np.uint16)
    flat = original + 1
    assert seam_ratio(original, flat, 8) == pytest.approx(1)
    seam = flat.copy()
    seam[:, :, 4:20] = 3
    seam[:, 4:20] = 3
    assert seam_ratio(original, seam, 8) == pytest.approx(3)
    assert np.isnan(seam_ratio(original, flat, 24))
