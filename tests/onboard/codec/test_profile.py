"""Spectral profiles: exact integers one way, a bounded error back, a file that nothing slips by."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.bundle import load
from onboard.codec.lapped.bandtransform import UNTURNED, angle_count
from onboard.codec.lapped.context import FREQUENCIES
from onboard.codec.lapped.frontends.components import ComponentFrontEnd
from onboard.codec.profile import SHIFT, Profile
from onboard.errors import BundleError, InputError, StreamError
from tests.conftest import model_of
from tests.profiles import cube, drawn, learnt

BANDS = st.integers(17, 300)
BITS = st.integers(1, 16)
SEEDS = st.integers(0, 1 << 30)


@settings(max_examples=15, deadline=None)
@given(BANDS, BITS, SEEDS)
def test_components_are_exact_and_bounded(bands: int, bits: int, seed: int) -> None:
    """The same as in whole numbers; the largest samples there are stay below 2^19."""
    profile = drawn(bands, seed, 0)
    fraction = profile.fraction(bits)
    rng = np.random.default_rng(seed)
    most = (1 << bits) - 1
    samples = rng.integers(0, most + 1, (bands, 9)).astype(np.int64)
    samples[:, 0] = np.where(profile.matrix[0] > 0, most, 0)  # the largest component
    found = profile.components(samples.astype(np.uint16).reshape(1, bands, 3, 3), fraction)
    shift = SHIFT - fraction
    whole = (profile.matrix @ samples + (1 << shift - 1)) >> shift
    assert np.array_equal(found.reshape(bands, 9), whole)
    assert np.abs(whole).max() < 1 << 19


@settings(max_examples=15, deadline=None)
@given(BANDS, BITS, SEEDS)
def test_what_comes_back_is_off_by_the_rounding_of_components(
    bands: int, bits: int, seed: int
) -> None:
    profile = drawn(bands, seed, 1 << bits - 1)
    fraction = profile.fraction(bits)
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 1 << bits, (bands, 4, 5))
    components = profile.components(samples[None], fraction)[0]
    back = profile.samples((components / 2.0**fraction).astype(np.float32))
    off = np.sqrt(((back - samples) ** 2).sum(axis=0))
    assert off.max() <= 2.0**-fraction / 2 * sqrt(bands * 16 / 15)


@settings(max_examples=10, deadline=None)
@given(BANDS, SEEDS)
def test_error_in_components_is_error_in_samples(bands: int, seed: int) -> None:
    """Within a sixteenth of its square, and much less for rounded matrices."""
    profile = drawn(bands, seed, 0)
    error = np.random.default_rng(seed).normal(0, 50, (bands, 2, 3)).astype(np.float32)
    ratio = (profile.samples(error) ** 2).sum() / (error.astype(np.float64) ** 2).sum()
    assert abs(ratio - 1) < 0.004


@pytest.mark.parametrize("bands", [17, 48, 240, 241, 300, 1024])
def test_fraction(bands: int) -> None:
    """As many bits as keep components below 2^19, at most 4."""
    profile = Profile(np.zeros(bands, np.int64), np.eye(bands, dtype=np.int64) << SHIFT)
    for bits in range(1, 17):
        fraction = profile.fraction(bits)
        largest = 2.0 ** (bits + fraction) * sqrt(17 / 16 * bands)
        assert largest <= 1 << 19
        assert fraction == 4 or 2 * largest > 1 << 19


def test_bytes() -> None:
    profile = drawn(17, 1, -300)
    packed = profile.pack()
    assert packed[:3] == bytes([0, 17, 14])
    assert packed[3:7] == (-300).to_bytes(4, "big", signed=True)
    assert len(packed) == 3 + 17 * 4 + 17 * 17 * 2
    back = Profile.unpack(packed)
    assert np.array_equal(back.matrix, profile.matrix)
    assert np.array_equal(back.offsets, profile.offsets)
    assert back.digest == profile.digest == profile.sha256[:8]


def test_refusals() -> None:
    profile = drawn(17, 2)
    packed = profile.pack()
    for wrong in (b"", packed[:-1], packed + b"\0", packed[:2] + b"\x0d" + packed[3:]):
        with pytest.raises(BundleError, match="expected"):
            Profile.unpack(wrong)
    for bands in (0, 16, 1025):
        with pytest.raises(BundleError, match=r"17\.\.1024 bands"):
            Profile.unpack(bands.to_bytes(2, "big") + packed[2:])
    matrix = profile.matrix.copy()
    matrix[3] = matrix[2]
    with pytest.raises(BundleError, match=r"orthonormal within 0\.0625, found"):
        Profile(profile.offsets, matrix)
    with pytest.raises(BundleError, match="offsets below 65536"):
        Profile(profile.offsets + 65_536, profile.matrix)


def test_a_scene_must_fit() -> None:
    profile = drawn(17, 2, 1_000)
    profile.check(17, 0, 1_023)
    with pytest.raises(InputError, match="made for 17 bands, found 18"):
        profile.check(18, 0, 65_535)
    with pytest.raises(InputError, match=r"its means are 1000..1000 DN, samples of .* 0..255"):
        profile.check(17, 0, 255)


def test_learnt_profiles_put_the_strongest_first() -> None:
    profile = learnt(40)
    exact = profile.matrix @ profile.matrix.T / 2.0**28 - np.eye(40)
    assert np.abs(exact).sum(axis=1).max() < 0.004
    found = profile.components(cube(40)[None, :, :50], 0)[0]
    energy = (found.astype(np.int64) ** 2).sum(axis=(1, 2))
    assert energy[0] > 4 * energy[1] > 40 * energy[6:].max()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(1 << 19), 1 << 19), min_size=2, max_size=16), st.data())
def test_side_information(means: list[int], data: st.DataObject) -> None:
    front_end = ComponentFrontEnd(len(means))
    count = angle_count(len(means))
    turned = data.draw(st.booleans())
    angles = np.full(count, UNTURNED, np.uint8)
    if turned:
        angles[:] = data.draw(st.lists(st.integers(0, 255), min_size=count, max_size=count))
    packed = front_end.pack(77, angles, np.array(means))
    assert front_end.side_length(packed + b"\x7f\x80") == len(packed)
    found = front_end.unpack(packed, data.draw(st.booleans()))
    assert (found.means, found.step_code) == (tuple(means), 77)
    assert found.angles == tuple(angles.tolist())
    assert len(packed) <= front_end.side_bytes
    for stop in range(1, len(packed)):
        with pytest.raises(StreamError):
            front_end.unpack(packed[: front_end.side_length(packed[:stop])], False)


def test_side_information_has_one_form() -> None:
    front_end = ComponentFrontEnd(2)
    good = bytes([9, 0, 5, 4])
    assert front_end.unpack(good, False).means == (-3, 2)
    for wrong in (
        bytes([9, 2, 5, 4]),  # unknown form
        bytes([9, 0, 5, 0x84, 0]),  # a mean longer than it must be
        bytes([9, 0, 5, 0x84, 0x80, 0x80, 1]),  # and one of four bytes
        bytes([9, 0, 5, 4, 4]),
        bytes([9]),
    ):
        with pytest.raises(StreamError):
            front_end.unpack(wrong, False)
    assert front_end.unpack(b"", False).means == (0, 0)


@pytest.mark.parametrize("turns", [True, False])
def test_large_components_are_filtered_exactly(turns: bool) -> None:
    """What passes 12 bits is two planes, whose latents are those of the component as it is."""
    rng = np.random.default_rng(8)
    size = np.array([500_000, 60_000, 2_048, 2_047, 30])[:, None, None]
    tiles = np.rint(size * rng.uniform(-1, 1, (2, 5, 16, 16))).astype(np.int32)
    front_end = ComponentFrontEnd(5, turns=turns)
    found = front_end.analyse(tiles, np.ones((2, 16, 16), np.bool_))
    assert np.abs(found.planes).max() <= 2_047
    assert np.abs(found.beyond).max() <= 2_047
    assert len(found.large)
    whole = found.planes.astype(np.int64)
    whole[found.large] += 2_048 * found.beyond.astype(np.int64)
    away = tiles - found.means[:, :, None, None]
    if not turns:
        assert np.array_equal(whole.reshape(tiles.shape), away)
    energy = (whole.astype(np.float64) ** 2).sum()
    assert energy == pytest.approx((away.astype(np.float64) ** 2).sum(), rel=0.001)
    model = model_of(load("skybook"))
    filters = model.transform.analysis.astype(np.int64).reshape(FREQUENCIES, -1)
    wide = np.pad(whole, ((0, 0), (4, 4), (4, 4)), mode="symmetric")
    exact = filters @ wide[:, 8:24, 8:24].reshape(len(wide), -1).T
    got = model.transform.analyse(found.planes).astype(np.float64)
    got[found.large] += 2_048.0 * model.transform.analyse(found.beyond)
    assert np.array_equal(got[:, 1, 1], exact.T)
