"""The affine front end against its specification, number by number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.codec.corsa import frontend
from onboard.codec.corsa.frontend import AffineFrontEnd, AffineSide, reciprocal_step
from onboard.errors import BundleError, StreamError


def test_steps_are_quarter_octaves() -> None:
    for code in range(64):
        assert reciprocal_step(code) == pytest.approx(2 ** (20 - code / 4), abs=1.5)


def test_side_information_byte_vectors() -> None:
    assert AffineSide((1, 65_535), 9).pack().hex() == "090001ffff"
    assert AffineSide((-1, -32_768), 0).pack().hex() == "00ffff8000"
    assert AffineSide.unpack(bytes.fromhex("00ffff8000"), True).means == (-1, -32_768)
    assert AffineSide.unpack(bytes.fromhex("00ffff8000"), False).means == (65_535, 32_768)
    with pytest.raises(StreamError, match="found 64"):
        AffineSide.unpack(bytes.fromhex("400000"), False)


def test_worked_example() -> None:
    """Two bands of three pixels, one of them nodata, by hand from SPEC.md section 5."""
    tile = np.array([[[100, 203, 0]], [[1_000, 1_600, 0]]], np.uint16)
    present = np.array([[True, True, False]])
    front_end = AffineFrontEnd(2, 16)
    side = front_end.analyse(tile, present)
    # means 151.5 -> 152 and 1300; rms of -52, 51, -300, 300 is isqrt(46326) = 215;
    # 215 / 16 = 13.4 DN, and the first step not below it is 2^(15/4) = 13.45
    assert side == AffineSide((152, 1_300), 15)
    samples = front_end.normalise(tile, present, side)
    assert samples.tolist() == [[[-4, 4, 0]], [[-22, 22, 0]]]


@given(st.integers(0, 65_535), st.integers(1, 20_000), st.integers(0, 9))
def test_samples_come_back_within_half_a_step(mean: int, spread: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tile = np.clip(rng.normal(mean, spread, (3, 20, 20)), 0, 65_535).astype(np.uint16)
    present = np.ones((20, 20), np.bool_)
    front_end = AffineFrontEnd(3, 16)
    side = front_end.analyse(tile, present)
    samples = front_end.normalise(tile, present, side)
    back = front_end.denormalise(samples.astype(np.float32), side)
    step = (1 << 20) / reciprocal_step(side.step_code)
    inside = np.abs(samples.astype(int)) < 127
    assert np.abs(back - tile)[inside].max() <= step / 2 + 0.01
    assert math.sqrt(float((samples.astype(float) ** 2).mean())) < 18


def test_signed_samples() -> None:
    tile = np.full((1, 4, 4), -32_768, np.int16)
    side = AffineFrontEnd(1, 16).analyse(tile, np.ones((4, 4), np.bool_))
    assert AffineSide.unpack(side.pack(), True) == side == AffineSide((-32_768,), 0)


@pytest.mark.parametrize(
    "entry",
    [{}, {"kind": "power"}, {"kind": "affine"}, {"kind": "affine", "target_rms": 0}, {"kind": []}],
)
def test_unknown_front_ends(entry: dict[str, object]) -> None:
    with pytest.raises(BundleError):
        frontend.from_manifest(entry, 4)
