"""Symbols, levels, equations: examples of SPEC.md, and what holds of all."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.codec import rans
from onboard.codec.bounded import leastsquares, part
from onboard.codec.bounded.context import SCALE, levels, scale_between
from onboard.codec.bounded.model import references
from onboard.codec.bounded.neighbours import CAUSAL, neighbours, waves
from onboard.codec.bounded.read.lane import Beside, Cursor, SlotTable, Words
from onboard.codec.bounded.side import SideWriter
from onboard.codec.bounded.tables import LEVELS, SYMBOLS
from onboard.errors import BundleError
from tests.onboard.codec.bounded.tiles import PART, codec


def test_examples_of_residuals() -> None:
    tables = codec().model.tables
    rows, sizes, _ = tables.symbols(np.full(5, 40), np.array([0, 3, -3, 17, -100], np.int32))
    raw = LEVELS * SYMBOLS - 2
    assert (rows - 40 * SYMBOLS)[[0, 1, 2, 3, 5]].tolist() == [0, 5, 6, 33, 54]
    assert rows[[4, 6]].tolist() == [raw + 4 + 0, raw + 16 + 3]
    assert sizes.tolist() == [1, 1, 1, 2, 2]


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(-(1 << 15), (1 << 15) - 1)), max_size=20))
def test_residuals_come_back(pairs: list[tuple[int, int]]) -> None:
    tables = codec().model.tables
    given_levels, values = (
        (np.array(part, np.int64) for part in zip(*pairs, strict=True)) if pairs else ((), ())
    )
    rows, _, _ = tables.symbols(np.array(given_levels, np.int64), np.array(values, np.int32))
    (lane,) = rans.encode([rows], tables.alphabet)
    words, slots = Words([lane]), SlotTable.of(tables)
    cursor = Cursor(words, slots, int(words.states[0]), int(words.begins[0]))
    assert [cursor.residual(level) for level, _ in pairs] == [value for _, value in pairs]
    assert (cursor.state, cursor.following) == (rans.START, words.ends[0])
    beside = Beside(words, slots, words.states.copy(), words.begins.copy())
    for level, value in pairs:
        magnitude, sign = beside.residuals(np.array([level], np.int32))
        assert (magnitude * sign).tolist() == [value]


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=20))
def test_numbers_come_back(values: list[int]) -> None:
    tables = codec().model.tables
    side = SideWriter(tables)
    for value in values:
        side.number(value)
        side.bits(value, 16)
    (lane,) = rans.encode([side.symbols()], tables.alphabet)
    words = Words([lane])
    cursor = Cursor(words, SlotTable.of(tables), int(words.states[0]), 0)
    assert [(cursor.number(), cursor.bits(16)) for _ in values] == [(v, v) for v in values]


def test_levels() -> None:
    sums = np.array([1, 31, 32, 39, 40, 64, 1000, (1 << 24) - 1], np.float32)
    assert levels(sums).tolist() == [0, 0, 0, 0, 1, 4, 19, 63]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (6, 7)])
def test_neighbours_come_before_what_is_predicted_from_them(shape: tuple[int, int]) -> None:
    near, done = neighbours(*shape), {shape[0] * shape[1]}
    for wave in waves(*shape):
        assert set(near.causal[:, wave].reshape(-1).tolist()) <= done
        done |= set(wave.tolist())
    assert len(done) == 1 + shape[0] * shape[1]
    for pixel in range(shape[0] * shape[1]):
        earlier = near.causal[:, pixel]
        assert ((earlier < pixel) | (earlier == shape[0] * shape[1])).all()
    assert len(CAUSAL) == 14


def test_references() -> None:
    assert [list(references(band)) for band in range(4)] == [[], [0], [1, 0], [2, 1]]


@given(st.integers(0, 1 << 27), st.integers(0, 1 << 27), st.integers(1, 16_384))
def test_scales_are_the_nearest(own: int, other: int, count: int) -> None:
    (found,) = scale_between(np.array([own]), np.array([other]), np.array([count])).tolist()
    wanted = Fraction(8 * own + count, 8 * other + count)
    exact = float(wanted) and 4 * np.log2(float(wanted)) + 16
    assert abs(found - np.clip(exact, 0, 31)) < 0.51
    assert SCALE[16] == 256


def test_equations_are_solved() -> None:
    generator = np.random.default_rng(0)
    for size in (1, 13, 25):
        rows = generator.integers(-3000, 3000, (4, 200, size))
        rows[:, :, -1] = rows[:, :, 0] + generator.integers(-40, 40, (4, 200))
        wanted = generator.integers(-60, 60, (4, size))
        gram = np.matmul(rows.transpose(0, 2, 1), rows)
        right = np.matmul(gram, wanted[:, :, None])[:, :, 0] * leastsquares.GRID
        found = leastsquares.solve(gram, right)
        # The first and the last unknown can hardly be told apart; what they leave is small.
        left = np.matmul(rows, (found - wanted)[:, :, None])
        assert np.abs(left).mean() < 0.05 * np.abs(np.matmul(rows, wanted[:, :, None])).mean()


def test_equations_of_nothing_and_of_extremes() -> None:
    for gram, right in (
        (np.zeros((1, 25, 25), np.int64), np.zeros((1, 25), np.int64)),
        (np.full((1, 25, 25), 1 << 46), np.full((1, 25), -(1 << 56))),
        (np.eye(25, dtype=np.int64)[None], np.full((1, 25), 1 << 39)),
    ):
        assert np.abs(leastsquares.solve(gram, right)).max() <= leastsquares.MAX_CHANGE


def test_part_comes_back_and_its_golden_tiles_pass() -> None:
    packed = PART.read_bytes()
    assert part.pack(codec().model) == packed
    assert codec().check().passed


def test_damaged_parts_are_refused() -> None:
    packed = bytearray(PART.read_bytes())
    with pytest.raises(BundleError, match="bytes"):
        part.unpack(bytes(packed[:-1]))
    for place, wrong in ((0, 0x7F), (556, 0xFF), (564, 0x7F), (300, 0xFF)):
        spoilt = bytearray(packed)
        spoilt[place] = wrong
        with pytest.raises(BundleError, match="bounded"):
            part.unpack(bytes(spoilt))
