"""Rate control on tiles whose sizes are known in closed form, guessed badly."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard.codec.tile import STEPS
from onboard.encoder.search import Search

Numbers = NDArray[np.int64]
Sizes = Callable[[Numbers, Numbers], Numbers]
EVERY = np.arange(STEPS)


def sizes_of(count: int, seed: int, spread: float = 0.3) -> Sizes:
    """Return bytes that fall as the code rises, each tile at its own rate."""
    rng = np.random.default_rng(seed)
    scale = 40_000 * np.exp(spread * rng.normal(size=count))
    rate = rng.uniform(0.03, 0.05, count)

    def sizes(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.asarray(20 + scale[tiles] * np.exp(-rate[tiles] * codes), np.int64)

    return sizes


def guess_of(sizes: Sizes, count: int, factor: float, seed: int) -> Numbers:
    """Return bits that are off by a factor for all tiles and by some percent for each."""
    own = factor * np.random.default_rng(seed).normal(1, 0.03, count)[:, None]
    exact = np.stack([sizes(np.full(STEPS, tile), EVERY) for tile in range(count)])
    return np.asarray(8 * own * exact, np.int64)


def searched(
    sizes: Sizes, guess: Numbers, budget: int, finest: int = 0
) -> tuple[Search, list[int]]:
    """Search as the encoder does; return it and how many tiles were quantised each time."""
    search = Search.of(guess, np.full(len(guess), finest))
    quantised = []
    for part in search.parts():
        chosen = search.choose(part, budget)
        search.learn(chosen, sizes(chosen, search.steps[chosen]))
        quantised.append(len(chosen))
    for _ in range(20):
        changed = search.adjust(budget - int(search.sizes.sum()), budget)
        if not len(changed):
            break
        search.learn(changed, sizes(changed, search.steps[changed]))
        quantised.append(len(changed))
    return search, quantised


def total(sizes: Sizes, codes: Numbers) -> int:
    return int(sizes(np.arange(len(codes)), codes).sum())


@given(
    count=st.integers(1, 200),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.02, 0.6),
    factor=st.sampled_from([0.7, 1.0, 1.4]),
)
@settings(max_examples=60, deadline=None)
def test_a_budget_is_kept_and_nearly_used(
    count: int, seed: int, share: float, factor: float
) -> None:
    sizes = sizes_of(count, seed)
    budget = int(share * total(sizes, np.zeros(count, np.int64)))
    search, _ = searched(sizes, guess_of(sizes, count, factor, seed), budget)
    spent = total(sizes, search.steps)
    assert int(search.sizes.sum()) == spent
    assert spent <= budget
    # A tile of one that is next grows by up to a twentieth.
    assert spent >= budget * (0.98 - 0.06 / count)


@pytest.mark.parametrize("count", [12, 100])
def test_the_tiles_of_a_window_have_nearly_one_step(count: int) -> None:
    sizes = sizes_of(count, 1)
    for factor in (0.6, 1.05, 1.6):
        search, _ = searched(sizes, guess_of(sizes, count, factor, 1), 3_000 * count)
        assert search.steps.max() - search.steps.min() <= 4


@pytest.mark.parametrize("count", [4, 8, 16, 32, 256])
def test_most_tiles_are_quantised_once(count: int) -> None:
    spent = []
    for seed in range(20):
        sizes = sizes_of(count, seed)
        _, quantised = searched(sizes, guess_of(sizes, count, 1.1, seed), 2_700 * count)
        spent.append(sum(quantised) / count)
    assert np.mean(spent) <= 1.35


def test_a_guess_that_is_far_off_costs_few_tiles() -> None:
    for count in (16, 32, 256):
        for factor in (0.6, 0.8, 1.2, 1.6):
            sizes = sizes_of(count, 1)
            guess = guess_of(sizes, count, factor, 1)
            _, quantised = searched(sizes, guess, 2_700 * count)
            assert sum(quantised) <= 1.5 * count


def test_parts_are_all_tiles_once_and_the_last_of_few_tiles_few() -> None:
    for count in (0, 1, 2, 3, 7, 8, 16, 17, 32, 1000):
        search = Search.of(np.ones((count, STEPS), np.int64), np.zeros(count, np.int64))
        parts = list(search.parts())
        assert sorted(np.concatenate([[], *parts]).tolist()) == list(range(count))
        assert all(len(part) for part in parts)
        assert not 0 < count <= 32 or len(parts[-1]) == -(-count // 8)


@pytest.mark.parametrize("count", [1, 30])
def test_a_budget_below_the_coarsest_step(count: int) -> None:
    sizes = sizes_of(count, 5)
    budget = total(sizes, np.full(count, STEPS - 1)) // 2
    search, _ = searched(sizes, guess_of(sizes, count, 1, 5), budget)
    assert search.is_coarsest


@pytest.mark.parametrize("count", [1, 30])
@pytest.mark.parametrize("finest", [0, 40])
def test_a_budget_above_the_finest_step(count: int, finest: int) -> None:
    sizes = sizes_of(count, 6)
    budget = 10 * total(sizes, np.zeros(count, np.int64))
    search, _ = searched(sizes, guess_of(sizes, count, 1, 6), budget, finest)
    assert (search.steps == finest).all()


def test_sizes_that_no_step_changes() -> None:
    """Tiles of one colour take the same at every step."""

    def sizes(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.full(len(tiles), 19)

    guess = np.full((30, STEPS), 19 * 8)
    assert not searched(sizes, guess, 40 * 30)[0].steps.any()
    assert searched(sizes, guess, 5 * 30)[0].is_coarsest


def test_the_finer_tiles_are_spread_over_the_window() -> None:
    guess = np.tile(8 * (3_000 - 10 * EVERY), (16, 1))

    def sizes(tiles: Numbers, codes: Numbers) -> Numbers:
        return np.asarray(3_000 - 10 * codes + 0 * tiles, np.int64)

    codes = searched(sizes, guess, 16 * 2_000 + 80 + 125)[0].steps  # all but 1/256
    finer = np.flatnonzero(codes < codes.max())
    assert len(finer) == 8
    assert np.diff(finer).max() <= 4


def test_the_next_finer_tile_is_the_first_of_the_coarsest_that_may() -> None:
    def in_turn(search: Search) -> list[int]:
        vain: list[int] = []
        while (tile := search.next_finer(vain)) is not None:
            vain.append(tile)
        return vain

    search = Search.of(np.ones((5, STEPS), np.int64), np.array([0, 90, 0, 0, 0]))
    assert search.next_finer([]) is None
    search.steps[:] = [80, 90, 80, 70, 80]
    assert in_turn(search) == [0, 4, 2, 3]  # 0, 3, 1, 4, 2 is the order
    search.take_coarsest()
    assert in_turn(search) == [0, 3, 1, 4, 2]


@pytest.mark.parametrize("count", [1, 7])
def test_places_lead_from_the_finest_steps_to_the_coarsest_one_tile_at_a_time(count: int) -> None:
    search = Search.of(np.ones((count, STEPS), np.int64), np.full(count, 30))
    search.go_to(0)
    assert search.is_finest
    for place in range(1, search.places + 1):
        before = search.steps.copy()
        changed = search.go_to(place)
        assert np.array_equal(changed, np.flatnonzero(search.steps != before))
        assert (search.steps - before).sum() == (place > 30 * count)
    assert search.is_coarsest
