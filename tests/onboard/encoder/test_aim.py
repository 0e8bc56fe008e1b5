"""Aim: codes whose errors are nearest to goals."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.encoder.aim import TRIES, Aim, eighths

SAMPLES = np.array([16_384])


@settings(deadline=None)
@given(st.integers(1, 2**62))
def test_eighths_are_logarithms_rounded_down(value: int) -> None:
    found = int(eighths(np.array([value]))[0])
    assert abs(found - 8 * math.log2(value)) <= 1.001
    assert found <= 8 * math.log2(value) + 0.01


def settled(goal: int, finest: int, error: dict[int, int]) -> tuple[Aim, int]:
    """Return an aim settled where each code has an error, and how many were looked at."""
    aim = Aim.at(np.array([goal]), SAMPLES, np.array([finest]))
    looks = 0
    while aim.open.any() and looks < TRIES:
        aim.take(np.array([error[int(aim.codes[0])]]))
        looks += 1
    aim.settle()
    return aim, looks


@settings(deadline=None)
@given(
    code=st.integers(20, 200),
    slope=st.floats(0.3, 1),
    level=st.floats(0.2, 1.2),
    past=st.floats(0.001, 0.999),
)
def test_the_nearest_code_is_found_in_a_few_looks(
    code: int, slope: float, level: float, past: float
) -> None:
    """At coarse steps an error follows the step as its power, being bounded by what there is."""
    alike = 16_384 * 341 * 2.0 ** (np.arange(256) / 8 - 2)
    error = level * np.where(
        np.arange(256) > code - 10, alike[code - 10] * (alike / alike[code - 10]) ** slope, alike
    )
    goal = int(error[code] ** (1 - past) * error[code + 1] ** past)
    aim, looks = settled(goal, 0, dict(enumerate(error.astype(np.int64).tolist())))
    if aim.eased[0]:
        return  # beyond what may serve
    assert looks <= TRIES
    found = int(aim.codes[0])
    assert abs(math.log(error[found] / goal)) <= math.log(error[code + 1] / error[code]) / 2 + 1e-6


def test_out_of_reach_are_the_finest_and_the_coarsest_that_serves() -> None:
    alike = {code: int(16_384 * 341 * 2.0 ** (code / 8)) for code in range(256)}
    aim, _ = settled(alike[40], 64, alike)
    assert (aim.codes[0], bool(aim.missed[0]), bool(aim.eased[0])) == (64, True, False)
    aim, _ = settled(0, 16, alike)
    assert (aim.codes[0], bool(aim.missed[0])) == (16, True)
    flat = dict.fromkeys(alike, 5_000)
    aim, _ = settled(alike[80], 0, flat)
    assert (bool(aim.missed[0]), bool(aim.eased[0])) == (False, True)
    assert 80 < aim.codes[0] < 140
