"""Dependent quantisation: the machine, and the paths through it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from onboard.bundle import load
from onboard.codec.lapped.quantizers.path import Chooser
from onboard.codec.lapped.quantizers.viterbi import best_path as best_path_of_lanes
from onboard.codec.lapped.trellis import FOLLOWING, SETS, STATES, odd_before, points
from onboard.errors import BundleError
from tests.conftest import model_of


def best_path(costs: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States and parities (steps, lanes) of costs (steps, sets, parities, lanes), 0 beyond ends."""
    lanes = [costs[:length, ..., lane] for lane, length in enumerate(lengths.tolist())]
    laid = np.concatenate(lanes).reshape(-1, 2 * SETS).T
    branches = best_path_of_lanes(np.ascontiguousarray(laid), lengths)
    found = np.zeros((2, len(costs), len(lengths)), np.int64)
    for lane, of_lane in enumerate(np.split(branches, np.cumsum(lengths)[:-1])):
        found[:, : len(of_lane), lane] = of_lane % STATES, of_lane // STATES
    return found[0], found[1]


def walked(costs: np.ndarray, parities: tuple[int, ...]) -> int:
    """Cost of a sequence of parities, from state 0 on."""
    state = total = 0
    for cost, parity in zip(costs, parities, strict=True):
        total += int(cost[state & 1, parity])
        state = FOLLOWING[state][parity]
    return total


def test_the_machine_is_a_proper_trellis() -> None:
    """Every state follows on two; what follows on an even and on an odd index differs."""
    reached = [after for pair in FOLLOWING for after in pair]
    assert sorted(reached) == sorted(2 * list(range(STATES)))
    assert all(even != odd for even, odd in FOLLOWING)
    assert len(FOLLOWING) == STATES


def test_paths_cost_least() -> None:
    rng = np.random.default_rng(3)
    lengths = np.array([9, 9, 4, 1, 0])
    costs = rng.integers(0, 1_000, (9, SETS, 2, len(lengths))).astype(np.int32)
    states, parities = best_path(costs, lengths)
    for lane, length in enumerate(lengths.tolist()):
        least = min(
            walked(costs[:length, ..., lane], tried)
            for tried in itertools.product((0, 1), repeat=length)
        )
        taken = tuple(parities[:length, lane].tolist())
        assert walked(costs[:length, ..., lane], taken) == least
        assert (states[:length, lane] & 1).tolist() == odd_before(0, taken)


def first_of_the_cheapest(costs: np.ndarray) -> list[int]:
    """Parities of the path that the format tells, of those that cost least, step by step."""
    sums = {0: (0, [])}
    for cost in costs:
        reached: dict[int, list[tuple[int, int, list[int]]]] = {}
        for state, (total, taken) in sums.items():
            for parity in range(2):
                way = total + int(cost[state & 1, parity]), parity, [*taken, parity]
                reached.setdefault(FOLLOWING[state][parity], []).append(way)
        sums = {state: min(ways)[::2] for state, ways in reached.items()}
    return min((total, state, taken) for state, (total, taken) in sums.items())[2]


@pytest.mark.parametrize("most", [2, 5, 3_000, 1 << 25])
def test_ties_are_settled_step_by_step(most: int) -> None:
    rng = np.random.default_rng(most)
    lengths = np.array([61, 60, 31, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    costs = rng.integers(0, most, (61, SETS, 2, len(lengths))).astype(np.int32)
    _, parities = best_path(costs, lengths)
    for lane, length in enumerate(lengths.tolist()):
        expected = first_of_the_cheapest(costs[:length, ..., lane])
        assert parities[:length, lane].tolist() == expected


def test_long_paths_through_dear_steps_cost_least() -> None:
    """However dear steps are, and however many."""
    rng = np.random.default_rng(9)
    few = rng.integers(0, 4, (2_100, SETS, 2, 1)).astype(np.int32)
    expected = best_path(few, np.array([2_100]))
    for worth in (7_000, 1 << 18):  # sums of 31 bits do, and do not
        for found, own in zip(best_path(few * worth, np.array([2_100])), expected, strict=True):
            assert np.array_equal(found, own)
    assert expected[1][:, 0].tolist() == first_of_the_cheapest(few[..., 0])


def test_even_indices_win_ties() -> None:
    _, parities = best_path(np.zeros((6, SETS, 2, 2), np.int32), np.array([6, 3]))
    assert not parities.any()


def test_granular_gain_is_that_of_the_literature() -> None:
    """1.22 dB below a grid of as many points, for an even distribution."""
    values = np.random.default_rng(4).uniform(50, 60, (2_000, 40))
    halves = 2 * values
    costs, tried = [], []
    for odd in range(SETS):
        for parity in range(2):
            index = parity + 2 * np.rint(((halves + odd) / 2 - parity) / 2)
            tried.append(2 * index - odd)
            costs.append(np.rint(1_000 * np.square(halves - tried[-1])))
    laid = np.array(costs, np.int32).reshape(SETS, 2, *values.shape).transpose(2, 0, 1, 3)
    states, parities = best_path(np.ascontiguousarray(laid), np.full(40, 2_000))
    chosen = np.take_along_axis(np.array(tried), (2 * (states & 1) + parities)[None], 0)[0]
    error = np.square(values - chosen / 2).mean()
    assert 10 * np.log10(1 / 12 / error) == pytest.approx(1.22, abs=0.03)


def test_points_of_even_and_odd_states() -> None:
    indices = np.array([-2, -1, 0, 1, 2], np.int32)
    assert points(indices, np.zeros(5, np.int32)).tolist() == [-4, -2, 0, 2, 4]
    assert points(indices, np.ones(5, np.int32)).tolist() == [-3, -1, 0, 1, 3]


def test_indices_follow_the_states_and_the_latents() -> None:
    lapped = model_of(load("skybook"))
    rng = np.random.default_rng(5)
    lengths = np.array([300, 0, 1, 120])
    away = np.rint(rng.laplace(0, 90, lengths.sum())).astype(np.int32)
    away[:4] = 1_000_000, -1_000_000, 64, 0
    rows = np.full(len(away), lapped.tables.first_row(4, SETS) + 30)
    worth = np.full(len(away), 369, np.int32)
    chooser = Chooser(lapped.tables, lapped.quantisation.short)
    path = chooser.choose(away, rows, worth, lengths)
    for part in np.split(np.arange(len(away)), np.cumsum(lengths)[:-1]):
        odd = odd_before(0, path.indices[part].tolist())
        assert (path.states[part] & 1).tolist() == odd
    assert (np.sign(path.indices) * np.sign(away) >= 0).all()
    assert np.abs(32 * points(path.indices, path.states & 1) - away).max() < 200


def test_codewords_that_make_a_false_start_cheap_are_refused() -> None:
    """Else a path could begin in a state other than 0, which a decoder does not know."""
    lapped = model_of(load("skybook"))
    worth = np.ones(len(lapped.power), np.int32)
    Chooser(lapped.tables, lapped.quantisation.short).check(worth, 5)
    wide = np.full_like(lapped.quantisation.codewords, 65_535)
    short = replace(lapped.quantisation, codewords=wide).short
    with pytest.raises(BundleError, match="false start"):
        Chooser(lapped.tables, short).check(worth, 5)


@pytest.mark.parametrize("lanes", [1, 40, 90])
def test_lanes_together_take_the_paths_that_they_take_alone(lanes: int) -> None:
    rng = np.random.default_rng(8)
    lengths = np.sort(rng.integers(0, 60, lanes))[::-1]
    costs = rng.integers(0, 9, (60, SETS, 2, lanes)).astype(np.int32)  # so that many are equal
    together = best_path(costs, lengths)
    for lane, length in enumerate(lengths.tolist()):
        alone = best_path(costs[:length, ..., [lane]], lengths[[lane]])
        for one, all_ in zip(alone, together, strict=True):
            assert np.array_equal(one[:, 0], all_[:length, lane])
            assert not all_[length:, lane].any()
