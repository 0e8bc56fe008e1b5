"""Packed indices, byte for byte."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.codec.bitpack import pack, packed_bytes, unpack
from onboard.errors import InputError, StreamError


@pytest.mark.parametrize(
    ("indices", "width", "packed"),
    [
        ([1, 2, 3], 10, "0040200c"),
        ([1, 0, 1, 1], 1, "b0"),
        ([0x5, 0xA], 4, "5a"),
        ([0xAB, 0x01], 8, "ab01"),
        ([0xABC], 12, "abc0"),
        ([0x1234, 0xFFFF], 16, "1234ffff"),
        ([511, 0, 511], 9, "ff803fe0"),
        ([], 10, ""),
    ],
)
def test_byte_vectors(indices: list[int], width: int, packed: str) -> None:
    array = np.array(indices, np.uint16)
    assert pack(array, width).hex() == packed
    assert np.array_equal(unpack(bytes.fromhex(packed), width, len(indices)), array)


@given(st.integers(1, 16), st.data())
def test_round_trip(width: int, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, (1 << width) - 1), max_size=70))
    array = np.array(indices, np.uint16)
    packed = pack(array, width)
    assert len(packed) == packed_bytes(len(indices), width)
    assert np.array_equal(unpack(packed, width, len(indices)), array)


def test_index_that_does_not_fit() -> None:
    with pytest.raises(InputError, match="below 1024, found 1024"):
        pack(np.array([1024], np.uint16), 10)


@pytest.mark.parametrize("width", [0, 17, -1])
def test_width_out_of_range(width: int) -> None:
    with pytest.raises(InputError):
        pack(np.zeros(1, np.uint16), width)


@pytest.mark.parametrize("packed", [b"", b"\0", b"\0\0\0"])
def test_wrong_length(packed: bytes) -> None:
    with pytest.raises(StreamError, match="expected 2 bytes"):
        unpack(packed, 10, 1)


def test_padding_that_is_not_zero() -> None:
    with pytest.raises(StreamError, match="padding"):
        unpack(b"\x00\x01", 10, 1)


@pytest.mark.parametrize("index", [-1, 65_536, 70_000])
def test_index_beyond_16_bits_does_not_wrap(index: int) -> None:
    for width in (10, 16):
        with pytest.raises(InputError, match=str(index)):
            pack(np.array([0, index]), width)
