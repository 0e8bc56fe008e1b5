"""Scenes as other cameras see them."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.train.refinement.cameras import coarser, of_other_bands, present

DRAWS = 24


def scene() -> Scene:
    return procedural(4, 65, 70, nodata=False)


def draws(made_of: Scene) -> list[NDArray[np.uint16]]:
    """Return what cameras of many seeds see."""
    seen = [of_other_bands(made_of, np.random.default_rng(seed)) for seed in range(DRAWS)]
    assert all(one.image.dtype == np.uint16 for one in seen)
    return [one.image for one in seen]


def test_coarser_pixels_are_means_of_four_or_every_second_one() -> None:
    image = scene().image.copy()
    image[:, 10, 11] = 0
    means, seconds = set(), set()
    for seed in range(DRAWS):
        found = coarser(Scene(image), np.random.default_rng(seed)).image
        assert found.shape == (4, 32, 35)
        assert (found[:, 5, 5] == 0).all()
        of_four = image[:, 20:22, 30:32].astype(float).mean((1, 2))
        if np.array_equal(found[:, 10, 15], np.rint(of_four)):
            means.add(seed)
        if np.array_equal(found[:, 10, 15], image[:, 20, 30]):
            seconds.add(seed)
    assert means
    assert seconds
    assert len(means | seconds) == DRAWS
    assert not means & seconds


def test_other_bands_are_those_of_the_scene_in_any_order_and_gain() -> None:
    image = scene().image.astype(np.float64)
    orders, gains = set(), []
    for found in draws(scene()):
        for order in permutations(range(4)):
            ordered = image[list(order)]
            gain = (found * ordered).sum() / (ordered * ordered).sum()
            if np.abs(found - gain * ordered).max() <= 0.51 + 1e-4 * found.max():
                orders.add(order)
                gains.append(gain)
    assert len(orders) > 1  # others have shares of other bands, or noise
    assert min(gains) < 1 < max(gains)
    assert min(gains) > 0.249
    assert max(gains) < 4.01


def test_some_cameras_have_more_noise() -> None:
    flat = Scene(np.full((4, 64, 64), 1_000, np.uint16))
    relative = [found.std((1, 2)) / found.mean((1, 2)) for found in draws(flat)]
    quiet = [bool((one == 0).all()) for one in relative]
    assert any(quiet)
    assert not all(quiet)
    assert max(one.max() for one in relative) < 0.021


def test_some_cameras_see_a_share_of_another_band_in_each() -> None:
    values = np.array([1_000, 2_000, 4_000, 8_000])
    flat = Scene(np.repeat(values, 64).reshape(4, 8, 8).astype(np.uint16))
    shares = []
    for found in draws(flat):
        means = np.sort(found.mean((1, 2)))
        shares.append(np.abs(np.log2(means[1:] / means[:-1]) - 1).max())
    assert min(shares) < 0.05
    assert max(shares) > 0.2


def test_samples_stay_within_16_bits() -> None:
    bright = replace(scene(), image=scene().image + np.uint16(50_000))
    for found in draws(bright):
        # What is too bright for the gain lowers it for all: next to nothing is cut off.
        assert (found == 65_535).mean() < 0.01


@pytest.mark.parametrize("nodata", [None, 0, 7])
def test_pixels_without_data_stay_so(nodata: int | None) -> None:
    image = scene().image.copy()
    image[:, :20, :30] = nodata or 0
    holed = Scene(image, nodata)
    for seed in range(DRAWS):
        other = of_other_bands(holed, np.random.default_rng(seed))
        assert (other.image[:, :20, :30] == (nodata or 0)).all()
        np.testing.assert_array_equal(present(other)[:20], present(holed)[:20])
    half = coarser(holed, np.random.default_rng(1))
    assert not present(half)[:10, :15].any()
    assert present(half)[10:].all()


def test_one_seed_gives_one_camera() -> None:
    one, same, other = (of_other_bands(scene(), np.random.default_rng(n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)
