"""Aim of blocks: codes of their own, and those that blocks of a tile share."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard.encoder.aim import ROUNDED
from onboard.encoder.blockaim import (
    ALONG_TRELLIS,
    PLAIN,
    AimedBlocks,
    BlockAim,
    Priced,
    offered,
    prices_of,
)

Ints = NDArray[np.int64]
SAMPLES = np.full((1, 2, 2), 1_024)
ALIKE = 16 + 8 * 4
"""Code at which a block of power 1 has an error of `GOAL`."""
FINEST = np.full((1, 2, 2), 5)
BIT = 1 << 16
"""Of prices."""
GOAL = 1_024 * ROUNDED * 16


def of_power(power: Ints) -> Callable[[Ints], Ints]:
    """Return the errors of blocks at codes; those of power p are at their goal p codes earlier."""
    return lambda codes: np.asarray(GOAL * 2.0 ** ((codes - ALIKE + power) / 8), np.int64)


def aimed(
    errors: Callable[[Ints], Ints],
    goals: Ints | None = None,
    trellis: bool = False,
    side: int = 32,
) -> AimedBlocks:
    """Aim at goals of the four blocks of a tile, `GOAL` if none are given."""
    wanted = np.full((1, 2, 2), GOAL) if goals is None else goals
    aim = BlockAim(side, wanted, SAMPLES, lambda _tiles, codes: errors(codes), trellis)
    return aim.shared(aim.own(FINEST), FINEST)


def in_tile(*of_blocks: int) -> Ints:
    return np.array(of_blocks).reshape(1, 2, 2)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_blocks_that_are_alike_have_the_code_of_each(side: int) -> None:
    found = aimed(of_power(in_tile(3, 3, 3, 3)), side=side)
    assert np.array_equal(found.codes, np.full((1, 2, 2), ALIKE - 3))
    assert not (found.missed | found.eased).any()


def test_blocks_share_the_mean_of_their_codes_or_what_is_near_their_own() -> None:
    errors = of_power(in_tile(3, 0, -1, -22))
    found = aimed(errors)
    # a mean of 5 codes above `ALIKE`, but no more than 3 coarser or 10 finer than a block's own
    assert np.array_equal(found.codes - ALIKE, in_tile(0, 3, 4, 12))
    assert np.array_equal(found.errors, errors(found.codes))
    found = aimed(errors, trellis=True)
    assert np.array_equal(found.codes - ALIKE, in_tile(-1, 2, 3, 16))
    assert np.array_equal(found.errors, errors(found.codes))


def test_large_blocks_share_a_code_that_is_next_to_their_own() -> None:
    for trellis in (False, True):
        found = aimed(of_power(in_tile(3, 0, -1, -22)), trellis=trellis, side=64)
        assert np.array_equal(found.codes - ALIKE, in_tile(-2, 1, 2, 21))


def flat_last(power: Ints) -> Callable[[Ints], Ints]:
    """Return the errors of `of_power`, but of the last block an eighth of its goal at any code."""
    others = of_power(power)
    return lambda codes: np.where(in_tile(0, 0, 0, 1) > 0, GOAL // 8, others(codes))


def test_a_block_that_is_better_anyway_has_no_say() -> None:
    found = aimed(flat_last(in_tile(1, 0, -1, 0)))
    assert np.array_equal(found.eased, in_tile(0, 0, 0, 1) > 0)
    assert np.array_equal((found.codes - ALIKE)[~found.eased], [0, 0, 0])
    assert found.codes[found.eased].item() > ALIKE
    alone = aimed(lambda codes: np.full_like(codes, GOAL // 8))
    assert len(np.unique(alone.codes)) == 1


def test_a_block_that_would_be_too_bad_keeps_its_own_code() -> None:
    smooth = of_power(in_tile(3, -3, 0, 0))

    def errors(codes: Ints) -> Ints:
        """Return errors of which that of the first block is larger from `ALIKE` - 1 on."""
        return smooth(codes) * np.where((codes >= ALIKE - 1) & (in_tile(1, 0, 0, 0) > 0), 2, 1)

    found = aimed(errors)
    assert np.array_equal(found.codes - ALIKE, in_tile(-3, 0, 0, 0))
    assert np.array_equal(found.errors, errors(found.codes))
    assert np.array_equal(aimed(smooth).codes - ALIKE, in_tile(0, 0, 0, 0))


def test_blocks_of_other_goals_share_nothing() -> None:
    finer = GOAL // 4
    found = aimed(of_power(in_tile(2, -2, 2, -2)), in_tile(GOAL, GOAL, finer, finer))
    assert np.array_equal(found.codes - ALIKE, in_tile(0, 0, -16, -16))


def test_blocks_out_of_reach_take_the_finest_code_and_have_no_say() -> None:
    found = aimed(of_power(in_tile(1, 0, 0, -1)), in_tile(0, GOAL, GOAL, GOAL))
    assert np.array_equal(found.codes - ALIKE, in_tile(5 - ALIKE, 0, 0, 0))
    assert np.array_equal(found.missed, in_tile(1, 0, 0, 0) > 0)


@settings(deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=4, max_size=4))
def test_no_block_is_a_third_worse_than_asked_for(power: list[int]) -> None:
    found = aimed(of_power(in_tile(*power)))
    own = ALIKE - in_tile(*power)
    assert (found.codes >= own - 10).all()
    assert (found.errors <= GOAL * 4 // 3).all()
    assert np.ptp(found.codes) <= np.ptp(own)


def test_small_blocks_have_one_code_or_codes_in_strides_from_it() -> None:
    alike = aimed(of_power(in_tile(2, -2, 1, -1)), side=16)
    assert np.array_equal(alike.codes - ALIKE, in_tile(0, 0, 0, 0))
    errors = of_power(in_tile(16, 0, 0, -16))
    apart = aimed(errors, side=16)
    away = apart.codes - ALIKE
    assert (away % 4 == 0).all()
    first, *others, last = away.ravel()
    assert first < 0 < last
    assert others == [0, 0]
    assert np.array_equal(apart.errors, errors(apart.codes))


def test_small_blocks_of_other_goals_and_out_of_reach() -> None:
    finer = GOAL // 4
    found = aimed(of_power(in_tile(0, 0, 0, 0)), in_tile(GOAL, GOAL, finer, 0), side=16)
    assert np.array_equal(found.codes - ALIKE, in_tile(0, 0, -16, 5 - ALIKE))
    assert np.array_equal(found.missed, in_tile(0, 0, 0, 1) > 0)


@settings(deadline=None)
@given(st.lists(st.integers(-30, 30), min_size=4, max_size=4))
def test_small_blocks_come_nearer_to_their_goals(power: list[int]) -> None:
    errors = of_power(in_tile(*power))
    found = aimed(errors, side=16)
    alike = np.full((1, 2, 2), (8 * ALIKE - 2 * sum(power) + 4) // 8)
    apart = np.abs(np.log(found.errors / GOAL)).sum()
    assert apart <= np.abs(np.log(errors(alike) / GOAL)).sum() + 1e-9
    assert (np.abs(found.codes - alike) <= 16).all()


def bits(codes: Ints) -> int:
    """Return the bits that section 22 counts for the codes (rows, cols) of a tile."""
    if (codes == codes[0, 0]).all():
        return 0
    total = 13
    for row, col in np.ndindex(*codes.shape):
        if row or col:
            before = codes[row, col - 1] if col else codes[row - 1, 0]
            d = int(codes[row, col] - before)
            total += (2 * d if d >= 0 else -2 * d - 1) // 4 + 1
    return total


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=12, max_size=12), st.booleans())
def test_no_choice_of_codes_costs_less(prices: list[int], apart: bool) -> None:
    priced = np.array(prices).reshape(3, 1, 2, 2) * BIT
    codes = np.array([100, 104, 108]).reshape(3, 1, 1, 1) + np.zeros((3, 1, 2, 2), np.int64)
    codes[:, 0, 1, 1] += 5 if apart else 0
    chosen = Priced(codes, priced).chosen()[0]

    def cost(numbers: tuple[int, ...]) -> int:
        picked = np.array(numbers).reshape(1, 1, 2, 2)
        own = np.take_along_axis(codes, picked, axis=0)[0, 0]
        return int(np.take_along_axis(priced, picked, axis=0).sum()) + BIT * bits(own)

    every = list(product(range(3), repeat=4))
    taken = tuple(((chosen - codes[0, 0]) // 4).ravel().tolist())
    assert cost(taken) == min(map(cost, every))


def test_of_tiles_each_is_chosen_for_itself() -> None:
    rng = np.random.default_rng(3)
    codes = offered(np.full((5, 3, 4), 80), np.full((5, 3, 4), 72))
    prices = rng.integers(0, 60 * BIT, codes.shape)
    together = Priced(codes, prices).chosen()
    for tile in range(5):
        alone = Priced(codes[:, tile : tile + 1], prices[:, tile : tile + 1]).chosen()
        assert np.array_equal(alone[0], together[tile])
    assert set(np.unique(together)) <= {72, 76, 80, 84, 88, 92, 96}


def test_codes_offered_are_no_finer_than_the_finest() -> None:
    codes = offered(np.array([[[40, 250]]]), np.array([[[35, 10]]]))
    assert codes[:, 0, 0, 0].tolist() == [35, 35, 35, 36, 40, 44, 48, 52, 56]
    assert codes[:, 0, 0, 1].tolist() == [234, 238, 242, 246, 250, 254, 255, 255, 255]


def test_the_code_of_all_is_cheapest_where_blocks_are_at_their_goal_there() -> None:
    alike = np.full((1, 1, 2), 64)
    codes = offered(alike, alike * 0)
    errors = np.asarray(10**6 * 2.0 ** ((codes - 64) / 8), np.int64)
    prices = prices_of(errors, np.full((1, 1, 2), 10**6), alike, PLAIN)
    assert np.array_equal(prices.argmin(axis=0), np.full((1, 1, 2), 4))
    finer = prices_of(errors, np.full((1, 1, 2), 10**5), alike, ALONG_TRELLIS)
    assert (finer.argmin(axis=0) < 4).all()
