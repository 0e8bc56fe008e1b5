"""Erasure code: any k of n restore, exact values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard.errors import UsageError
from onboard.link import erasure

GOLDEN = [[23891, 38891], [65222, 55853], [53020, 13061], [1763, 9268]]


def multiply(a: int, b: int) -> int:
    """Multiply in GF(2^16) bit by bit, as the definition has it."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = a << 1, b >> 1
        a ^= 0x1100B if a >> 16 else 0
    return product


def symbols(size: int, length: int, seed: int) -> NDArray[np.uint16]:
    """Return random symbols, with zeros among them."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 1 << 16, (size, length)) * rng.integers(0, 4, (size, length)).clip(0, 1)
    return drawn.astype(np.uint16)


def test_the_code_is_its_definition() -> None:
    source = symbols(5, 3, 1)
    rows = [0, 1, 7, 65_530]
    for row, coded in zip(rows, erasure.encode(source, rows), strict=True):
        # coded is the sum of s / (x + y): multiply by the product of all (x + y) instead
        points = [65_535 - row ^ place for place in range(5)]
        for column in range(3):
            total = 0
            for place in range(5):
                term = int(source[place, column])
                for other in points[:place] + points[place + 1 :]:
                    term = multiply(term, other)
                total ^= term
            expected = int(coded[column])
            for point in points:
                expected = multiply(expected, point)
            assert expected == total


def test_golden_values() -> None:
    source = np.array([[0x0001, 0x8000], [0x1234, 0x0000], [0xFFFF, 0xABCD]], np.uint16)
    assert erasure.encode(source, [0, 1, 1_000, 65_532]).tolist() == GOLDEN


@given(size=st.integers(1, 40), extra=st.integers(0, 30), length=st.integers(1, 9), data=st.data())
def test_any_k_of_n_restore(size: int, extra: int, length: int, data: st.DataObject) -> None:
    source = symbols(size, length, data.draw(st.integers(0, 99)))
    rows = data.draw(
        st.lists(st.integers(0, 65_535 - size), min_size=extra, max_size=extra, unique=True)
    )
    places = st.integers(0, size - 1)
    erased = data.draw(st.lists(places, max_size=min(size, extra), unique=True))
    coded = erasure.encode(source, rows)
    assert coded.shape == (extra, length)
    damaged = source.copy()
    damaged[erased] = 0xDEAD
    used = rows[: len(erased)]
    restored = erasure.decode(damaged, erased, used, coded[: len(used)])
    assert np.array_equal(restored, source[erased])


@pytest.mark.parametrize(("size", "lost"), [(30_000, 3), (65_535, 1), (2_000, 300)])
def test_large_groups(size: int, lost: int) -> None:
    source = symbols(size, 2, 4)
    last = 65_535 - size
    rows = list(range(last, last - lost, -1))
    erased = [size - 1 - 6 * i for i in range(lost)]
    coded = erasure.encode(source, rows)
    assert np.array_equal(erasure.decode(source, erased, rows, coded), source[erased])


@pytest.mark.parametrize(
    ("size", "rows"), [(3, [-1]), (3, [65_533]), (1, [65_535]), (65_536, [0]), (0, [0])]
)
def test_rows_that_do_not_exist(size: int, rows: list[int]) -> None:
    with pytest.raises(UsageError, match="erasure: expected"):
        erasure.encode(np.zeros((size, 1), np.uint16), rows)


@pytest.mark.parametrize(
    ("erased", "rows"), [([0, 1], [0]), ([0, 0], [0, 1]), ([0, 1], [4, 4]), ([3], [0]), ([-1], [0])]
)
def test_places_and_rows_that_do_not_fit(erased: list[int], rows: list[int]) -> None:
    with pytest.raises(UsageError, match="erasure:"):
        erasure.decode(
            np.zeros((3, 1), np.uint16), erased, rows, np.zeros((len(rows), 1), np.uint16)
        )
