"""Codecs: what every rival promises, and why one is left out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.codecs.codec import Codec, round_trip
from benchmarks.codecs.jpeg2000 import Jpeg2000
from benchmarks.codecs.klt import Klt, scene_covariance, side_bytes
from benchmarks.codecs.skybook import PLAIN, bundle_codecs
from benchmarks.codecs.table import BASELINES, TIMED, Rival
from ground import metrics
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import LimitError, UsageError

CODECS = TIMED | BASELINES


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint16]:
    return procedural(5, 96, 130, nodata=False).image.astype(np.uint16)


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return CODECS[request.param]


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_one_pass_codes_what_the_codec_decodes(
    codec: Codec, image: NDArray[np.uint16], bands: int
) -> None:
    scene = Scene(image[:bands])
    one = codec.one_pass(scene, 12)
    coded = one.encode()
    decoded = codec.decode(coded)
    assert (decoded.dtype, decoded.shape) == (np.uint16, scene.image.shape)
    assert coded.length == sum(map(len, coded.parts))
    if codec.variable_rate:
        assert scene.raw_bytes / coded.length == pytest.approx(12, rel=0.03)
        assert metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT) > 50
        assert "ratio 12" in one.setting
    else:
        np.testing.assert_array_equal(decoded, scene.image)


def test_a_budget_is_kept_or_refused(codec: Codec, image: NDArray[np.uint16]) -> None:
    scene = Scene(image)
    if not codec.variable_rate:
        with pytest.raises(UsageError, match="expected no budget, found 5000 bytes"):
            codec.encode(scene, 5_000)
        return
    assert round_trip(codec, scene, 5_000)[0] <= 5_000
    assert codec.encode(scene).length <= scene.raw_bytes / 20.48
    with pytest.raises(LimitError):
        codec.encode(scene, 30)


def test_samples_are_taken_as_uint16(codec: Codec, image: NDArray[np.uint16]) -> None:
    coded = codec.one_pass(Scene((image % 256).astype(np.uint8)), 6).encode()  # of half the bytes
    assert coded == codec.one_pass(Scene(image % 256), 12).encode()


def test_side_information_of_a_klt_is_what_it_counts(image: NDArray[np.uint16]) -> None:
    klt = Klt.of(image, scene_covariance(image))
    packed = klt.pack()
    assert len(packed) == side_bytes(4) == 41
    again = Klt.unpack(packed)
    np.testing.assert_array_equal(again.basis, klt.basis)
    np.testing.assert_array_equal(again.means, klt.means)
    assert again.shift == klt.shift


@pytest.mark.parametrize(("bits", "most"), [(4, 0), (8, 0), (16, 5)])
def test_rotated_bands_fill_16_bits_so_that_to_round_them_costs_nothing(
    image: NDArray[np.uint16], bits: int, most: int
) -> None:
    scaled = image.astype(np.float64) * ((1 << bits) - 1) / image.max()
    samples = np.rint(scaled).astype(np.uint16)
    klt = Klt.of(samples, scene_covariance(samples))
    there_and_back = klt.rotate_back(klt.rotate(samples)).astype(int)
    assert np.abs(there_and_back - samples).max() <= most


def test_a_rival_without_its_library_says_so() -> None:
    assert Rival(Jpeg2000(), None, None, "numpy").reason == ""
    reason = Rival(Jpeg2000(), None, None, "no_such_library").reason
    assert reason == "no_such_library is not installed; pip install 'skybook[bench]'"


def test_a_bundle_of_variable_rate_is_measured_twice() -> None:
    along, plain = bundle_codecs("skybook")
    assert (along.name, plain.name) == ("skybook", f"skybook{PLAIN}")
    assert (along.trellis, plain.trellis) == (True, False)
    (fixed,) = bundle_codecs("corsa-2level-1024")
    scene = procedural(5, 64, 64)
    assert fixed.one_pass(scene, 12).encode() == fixed.encode(scene)
    assert (fixed.one_pass(scene, 12).setting, fixed.bands) == ("rate: fixed", 4)
    tiles = [codec.tile_of(procedural(5, 90, 140)) for codec in (fixed, along, plain)]
    assert tiles == [120, 96, 96]
    budget = int(scene.raw_bytes / 12)
    assert along.one_pass(scene, 12).encode() == along.encode(scene, budget)
    assert plain.one_pass(scene, 12).encode().length <= budget
