"""Qualities: hundredths of a dB, and the squared errors that they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.encoder import Options
from onboard.encoder.fixedquality import goals_of
from onboard.encoder.quality import (
    LOSSLESS,
    Quality,
    QualityMap,
    quality_of_psnr,
    quality_of_rmse,
    squared_error,
)
from onboard.errors import InputError, UsageError


@settings(deadline=None)
@given(st.integers(1, 11_000))
def test_squared_errors_are_those_of_the_psnr(quality: int) -> None:
    exact = 4_096 * 65_535**2 / 10 ** (quality / 1_000)
    assert abs(squared_error(quality) - exact) <= 1.25 + exact * 2e-4  # rounded down, four times
    assert squared_error(quality + 1) <= squared_error(quality)


@settings(deadline=None)
@given(st.integers(100, 9_000))
def test_an_rmse_is_the_psnr_that_it_is(quality: int) -> None:
    assert abs(quality_of_rmse(65_535 / 10 ** (quality / 2_000)) - quality) <= 1
    assert quality_of_psnr(quality / 100) == quality


def test_both_ways_to_say_it_are_the_same() -> None:
    assert quality_of_rmse(65.535) == quality_of_psnr(60) == 6_000
    assert quality_of_rmse(65_535) == quality_of_psnr(0) == 1


def test_a_map_has_the_finest_of_a_box() -> None:
    cells = np.array([[5_000, 0, 6_000], [0, 7_000, 0], [0, 0, 0]], np.uint16)
    quality = Quality(4_000, 32, QualityMap(cells, 10))
    assert quality.goal(0, 0, 10, 10) == squared_error(5_000)
    assert quality.goal(0, 0, 16, 16) == squared_error(7_000)
    assert quality.goal(0, 21, 5, 5) == squared_error(6_000)
    assert quality.goal(20, 0, 9, 9) == quality.goal(500, 0, 9, 9) == squared_error(4_000)
    with pytest.raises(InputError, match="no quality of the pixels from column 0, row 20"):
        Quality(0, 32, QualityMap(cells, 10)).goal(20, 0, 9, 9)


def test_a_map_of_another_width_is_refused() -> None:
    cells = QualityMap(np.full((1, 3), LOSSLESS, np.uint16), 10)
    cells.check(21)
    with pytest.raises(UsageError, match="expected 4 columns of cells of 10 pixels, found 3"):
        cells.check(31)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"psnr": 60.0, "rmse": 9.0}, "a PSNR or an RMSE"),
        ({"psnr": 201.0}, "0..200"),
        ({"rmse": 0.0}, "more than 0"),
        ({"quality_block": 64}, "a PSNR or an RMSE, too"),
        ({"quality_block": 8, "psnr": 60.0}, "expected 64, 32, 16, found 8"),
        ({"quality_map": QualityMap(np.ones((1, 1), np.uint16), 64)}, "side of its blocks"),
        ({"ratio": 9.0, "budget": 9}, "a budget, a ratio and a bound"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Options(**fields)  # type: ignore[arg-type]


def test_goals_of_components_that_are_coarser_than_a_dn() -> None:
    target, samples, fixed = (np.array([n]) for n in (4_341, 64, 341))
    assert goals_of(target, samples, fixed, 1).tolist() == [64 * (16_000 - 341)]
    assert goals_of(target, samples, fixed, -1).tolist() == [64 * (1_000 - 341)]
