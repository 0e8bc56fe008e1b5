"""Rate control on sizes and errors that are known in closed form."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard.errors import LimitError
from onboard.ratecontrol import CODES, Measure, code_for_error, codes_for_budget

Numbers = NDArray[np.int64]


def sizes_of(count: int, seed: int, spread: float = 1.0) -> Measure:
    """Return sizes that fall as the code rises, each tile at its own rate, in steps of a byte."""
    rng = np.random.default_rng(seed)
    scale = 4_000 * np.exp(spread * rng.normal(size=count))
    rate = rng.uniform(0.03, 0.06, count)

    def measure(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.asarray(20 + scale[tiles] * np.exp(-rate[tiles] * codes), np.int64)

    return measure


def total(measure: Measure, codes: Numbers) -> int:
    return int(measure(np.arange(len(codes)), codes).sum())


def bounds(measure: Measure, count: int) -> tuple[int, int]:
    """Return the sizes at the coarsest and at the finest step."""
    return total(measure, np.full(count, CODES - 1)), total(measure, np.zeros(count, np.int64))


@given(
    count=st.integers(1, 16),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    spread=st.sampled_from([0.0, 0.5, 2.0]),
)
@settings(max_examples=100, deadline=None)
def test_a_budget_of_few_tiles_is_kept_exactly(
    count: int, seed: int, share: float, spread: float
) -> None:
    measure = sizes_of(count, seed, spread)
    least, most = bounds(measure, count)
    budget = int(least + share**3 * (most - least))
    codes = codes_for_budget(count, budget, measure)
    assert codes.shape == (count,)
    assert codes.min() >= 0
    assert codes.max() - codes.min() <= 1
    assert total(measure, codes) <= budget
    assert total(measure, np.maximum(codes.max() - 1, 0) + 0 * codes) > budget or codes.max() <= 1


def test_a_budget_is_used_up_to_the_next_tile() -> None:
    measure = sizes_of(15, 1, 0.3)
    for budget in range(4_500, 45_000, 4_501):
        codes = codes_for_budget(15, budget, measure)
        coarse = np.full(15, codes.max())
        every = np.arange(15)
        largest = int((measure(every, coarse - 1) - measure(every, coarse)).max())
        assert budget - largest < total(measure, codes) <= budget


@pytest.mark.parametrize("count", [100, 1_000, 5_003])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_budget_of_many_tiles_is_met_nearly(count: int, share: float) -> None:
    measure = sizes_of(count, 2, 0.4)
    budget = int(share * bounds(measure, count)[1])
    codes = codes_for_budget(count, budget, measure)
    assert codes.max() - codes.min() <= 1
    assert total(measure, codes) == pytest.approx(budget, rel=0.02)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_tiles_unlike_those_of_the_sample(factor: float) -> None:
    """A scene may repeat itself as often as it is sampled: all tiles are looked at once more."""
    usual = sizes_of(960, 3, 0.2)

    def measure(tiles: Numbers, codes: Numbers) -> Numbers:
        odd = np.where(tiles % 40 == 0, factor, 1.0)
        return np.asarray(20 + odd * (usual(tiles, codes) - 20), np.int64)

    for budget in (150_000, 600_000):
        codes = codes_for_budget(960, budget, measure)
        assert total(measure, codes) == pytest.approx(budget, rel=0.05)


def test_few_measurements_are_made_of_many_tiles() -> None:
    measure = sizes_of(5_000, 4)
    seen = 0

    def counted(tiles: Numbers, codes: Numbers) -> Numbers:
        nonlocal seen
        seen += len(tiles)
        return measure(tiles, codes)

    codes_for_budget(5_000, 2_000_000, counted)
    assert seen < 4 * 5_000


@pytest.mark.parametrize("count", [1, 30, 500])
def test_a_budget_below_the_coarsest_step(count: int) -> None:
    measure = sizes_of(count, 5)
    least, _ = bounds(measure, count)
    for budget in (0, least // 2):
        with pytest.raises(LimitError, match=f"{budget} bytes.*takes {least}"):
            codes_for_budget(count, budget, measure)


@pytest.mark.parametrize("count", [1, 30, 500])
def test_a_budget_above_the_finest_step(count: int) -> None:
    measure = sizes_of(count, 6)
    codes = codes_for_budget(count, 10 * bounds(measure, count)[1], measure)
    assert not codes.any()


@pytest.mark.parametrize("count", [1, 30, 500])
def test_sizes_that_no_step_changes(count: int) -> None:
    """Tiles of one colour take the same at every step."""

    def measure(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.full(len(tiles), 19)

    assert not codes_for_budget(count, 40 * count, measure).any()
    with pytest.raises(LimitError):
        codes_for_budget(count, 5 * count, measure)


def test_the_finer_tiles_are_spread_over_the_window() -> None:
    def measure(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.asarray(3_000 - 10 * codes + 0 * tiles, np.int64)

    codes = codes_for_budget(16, 16 * 2_000 + 80, measure)
    finer = np.flatnonzero(codes < codes.max())
    assert len(finer) == 8
    assert np.diff(finer).max() <= 4


def errors_of(count: int) -> Callable[[Numbers, Numbers], Numbers]:
    scale = np.random.default_rng(7).uniform(100, 200, count)

    def measure(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.asarray(scale[tiles] * 2.0 ** (codes / 8), np.int64)

    return measure


@pytest.mark.parametrize("most", [0.0, 1e4, 1e6, 1e9])
def test_the_coarsest_step_within_an_error(most: float) -> None:
    measure = errors_of(20)
    codes = code_for_error(20, most, measure)
    assert len(set(codes.tolist())) == 1
    assert total(measure, codes) <= most or codes[0] == 0
    assert total(measure, codes + 1) > most


def test_an_error_that_no_step_reaches() -> None:
    assert (code_for_error(20, 1e30, errors_of(20)) == CODES - 1).all()
