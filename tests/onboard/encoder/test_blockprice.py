"""Price of blocks: codes that cost least with what tells them."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.encoder.blockprice import ALONG_TRELLIS, PLAIN, Priced, offered, prices_of

BIT = 1 << 16


def bits(codes: np.ndarray) -> int:
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
