"""Fields: the step codes of blocks, in bytes and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from onboard.codec.lapped.blocks.field import SIDES, Field
from onboard.errors import StreamError

CODES = arrays(
    np.int64, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 9)
)


@settings(max_examples=60, deadline=None)
@given(blocks=CODES, side=st.sampled_from(SIDES), times=st.integers(1, 28), full=st.booleans())
def test_what_is_packed_is_unpacked(
    blocks: NDArray[np.int64], side: int, times: int, full: bool
) -> None:
    blocks = (blocks - blocks.min()) * times
    rows, cols = side * blocks.shape[0], side * blocks.shape[1] - (side - 1)
    packed = Field(blocks, side, full).pack()
    if not blocks.any():
        with pytest.raises(StreamError, match="0 among them"):
            Field.unpack(packed, rows, cols)
        return
    found, length = Field.unpack(packed + b"rest", rows, cols)
    assert length == len(packed)
    assert (found.side, found.full) == (side, full)
    assert np.array_equal(found.coarser, blocks)
    for stop in range(len(packed)):
        with pytest.raises(StreamError, match="field"):
            Field.unpack(packed[:stop], rows, cols)


def test_the_bytes_are_those_of_the_page() -> None:
    assert Field(np.array([[0, 3], [1, 3]]), 4).pack() == bytes.fromhex("218488")
    found, _ = Field.unpack(bytes.fromhex("218488"), 8, 8)
    assert found.coarser.tolist() == [[0, 3], [1, 3]]
    assert (found.side, found.full) == (4, False)
    in_fours = Field(np.array([[0, 4], [4, 0]]), 4)
    assert in_fours.pack() == bytes.fromhex("309280")
    found, _ = Field.unpack(bytes.fromhex("309280"), 8, 8)
    assert np.array_equal(found.coarser, in_fours.coarser)


def test_codes_of_a_common_factor_take_fewer_bits_and_any_factor_is_read() -> None:
    steps = np.random.default_rng(5).integers(0, 3, (8, 8))
    steps[0, 0] = 0
    lengths = [len(Field(steps << unit, 2).pack()) for unit in range(4)]
    assert lengths == lengths[:1] * 4
    assert len(Field(steps * 5, 2).pack()) > lengths[0]
    for_ones = bytes.fromhex("22842380")  # 0, 4, 4, 0 told as they are: L = 2
    plain, length = Field.unpack(for_ones + b"\0", 8, 8)
    assert (plain.coarser.tolist(), length) == ([[0, 4], [4, 0]], 4)


@pytest.mark.parametrize(
    "damaged", ["", "08", "3f", "60", "218408", "21848c", "20ff", "210000", "20" + "00" * 80 + "ff"]
)
def test_what_is_no_field_is_refused(damaged: str) -> None:
    with pytest.raises(StreamError, match="field"):
        Field.unpack(bytes.fromhex(damaged), 8, 8)


def test_codes_beyond_the_coarsest_are_refused() -> None:
    field = Field(np.array([[0, 3], [1, 3]]), 2)
    field.check(252)
    with pytest.raises(StreamError, match="below 256"):
        field.check(253)


def test_a_field_has_the_largest_blocks_that_tell_it() -> None:
    codes = np.full((8, 8), 100)
    assert Field.of(codes, 50) is None
    codes[:4, 4:] = 107
    found = Field.of(codes, 50)
    assert found is not None
    assert (found.side, found.coarser.tolist()) == (4, [[0, 7], [0, 0]])
    codes[0:2, 0:2] = 103
    found = Field.of(codes, 50)
    assert found is not None
    assert found.side == 2
    assert np.array_equal(found.of_positions(8, 8), codes - 100)


def test_where_there_is_little_room_blocks_are_larger_and_finer() -> None:
    codes = 100 + 30 * (np.indices((16, 16)).sum(axis=0) // 2 % 2)
    codes[8:, 8:] = 110
    whole = Field.of(codes, 500)
    assert whole is not None
    less = Field.of(codes, len(whole.pack()) - 1)
    assert less is not None
    assert less.side > whole.side
    assert (less.of_positions(16, 16) <= codes - 100).all()
    assert less.coarser.any()
    assert Field.of(codes, 1) is None
