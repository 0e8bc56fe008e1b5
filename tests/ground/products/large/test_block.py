"""Blocks of a GeoTIFF as their bytes; that GDAL reads them is in `test_blockwise.py`."""

import sys
import zlib

import numpy as np
import pytest

from ground.products.large import block
from ground.products.large.block import SIDE, Coding

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "bits", "differences"),
    [
        ("u1", 8, True),
        ("u1", 8, False),
        ("i1", 8, True),
        ("u2", 16, True),
        ("i2", 16, True),
        ("u1", 1, False),
        ("u1", 7, False),
        ("u2", 10, False),
        ("u2", 12, False),
        ("u2", 15, False),
    ],
)
def test_samples_come_back(dtype: str, bits: int, differences: bool, bands: int) -> None:
    coding = Coding(np.dtype(dtype), bits, differences)
    limits = np.iinfo(dtype)
    most = min(limits.max, (1 << bits) - 1)
    shape = bands, 200, SIDE
    samples = RNG.integers(limits.min, most, shape, endpoint=True).astype(dtype)
    found = coding.decode(coding.encode(samples), bands)
    assert (found.shape, found.dtype) == ((bands, SIDE, SIDE), samples.dtype)
    np.testing.assert_array_equal(found[:, :200], samples)
    np.testing.assert_array_equal(found[:, 200:], np.repeat(samples[:, -1:], SIDE - 200, axis=1))


def test_of_fewer_bits_the_first_is_the_highest_and_bands_alternate() -> None:
    """TIFF 6.0, section 3: 0xABC and 0x123 are AB C1 23."""
    samples = np.zeros((2, SIDE, SIDE), np.uint16)
    samples[:, 0, 0] = 0xABC, 0x123
    coded = Coding(np.dtype("u2"), 12).encode(samples)
    assert zlib.decompress(coded)[:4] == b"\xab\xc1\x23\x00"


def test_without_a_wheel_of_the_faster_library_zlib_does_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    slow, level = block._deflate()
    content = bytes(1_000)
    assert (slow, level) == (zlib, 1)
    assert block._zlib.decompress(slow.compress(content, level)) == content
    assert block.crc32(b"123456789") == 0xCBF43926
