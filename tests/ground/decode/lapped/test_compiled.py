"""Reading in compiled code: the exact image of numpy to the bit, whatever arrived."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import Decoded, Decoder
from ground.decode.lapped.compiled import CompiledReader
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.encoder import Encoder, Options
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, unpack_segments

BUNDLE = bundles.find("skybook")
NONE = "no library is here"


def decoders(engine_c: Path, **options: Any) -> tuple[Decoder, Decoder]:
    """A decoder with the library, and one without."""
    found = []
    for folder in (str(engine_c), NONE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SKYBOOK_ENGINES", folder)
            found.append(Decoder(BUNDLE, **options))
    return found[0], found[1]


@pytest.fixture(scope="module")
def exact(engine_c: Path) -> tuple[Decoder, Decoder]:
    return decoders(engine_c, exact=True)


@pytest.fixture(autouse=True)
def _encoded_by_c(engine_c: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYBOOK_ENGINES", str(engine_c))


def coded(image: NDArray[Any], options: Options, header: SceneHeader | None = None) -> bytes:
    header = header or SceneHeader.of(image)
    bundle = bundles.load("skybook").for_scene(len(image), header.significant_bits)
    return b"".join(Encoder(bundle).encode(image, header, options))


def assert_alike(pair: tuple[Decoder, Decoder], stream: bytes) -> Decoded:
    found, expected = (decoder.decode(stream) for decoder in pair)
    assert np.array_equal(found.scene.image, expected.scene.image)
    assert np.array_equal(found.mask, expected.mask)
    assert found.reception.counts == expected.reception.counts
    assert sorted(found.reception.problems) == sorted(expected.reception.problems)
    assert found.expected_error == pytest.approx(expected.expected_error)
    return found


@pytest.mark.parametrize("bands", [1, 2, 4, 7, 16])
@pytest.mark.parametrize("options", [Options(ratio=12.0), Options(ratio=2.0, trellis=True)])
def test_exact_images_are_those_of_numpy(
    exact: tuple[Decoder, Decoder], bands: int, options: Options
) -> None:
    assert_alike(exact, coded(procedural(3, 75, 150, bands).image, options))


def test_full_tiles_raw_lanes_and_single_layers(exact: tuple[Decoder, Decoder]) -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 65_536, (4, 66, 70)).astype(np.uint16)
    assert_alike(exact, coded(noise, Options(ratio=1.2)))
    assert_alike(exact, coded(noise, Options(ratio=4.0, trellis=True, one_layer=True)))
    dots = np.full((2, 64, 64), 300, np.uint16)
    dots[:, 20, 31] = 65_000
    assert_alike(exact, coded(dots, Options(rmse=2.0)))


def test_nodata_and_samples_below_0(exact: tuple[Decoder, Decoder]) -> None:
    image = procedural(4, 80, 70, 3).image.astype(np.int16) - 900
    image[:, 10:40, 5:70] = -999
    assert_alike(exact, coded(image, Options(), replace(SceneHeader.of(image), nodata=-999)))


def test_what_is_missing_or_wrong_goes_to_numpy(exact: tuple[Decoder, Decoder]) -> None:
    rng = np.random.default_rng(7)
    image = procedural(5, 130, 140).image
    for trellis in (False, True):
        options = Options(ratio=5.0, trellis=trellis, segment_bytes=400)
        header = SceneHeader.of(image, tile=64)
        whole = unpack_segments(coded(image, options, header))
        for _ in range(3):
            some = []
            for segment in whole:
                body = bytearray(segment.body)
                chance = rng.random()
                if segment.kind == Kind.TILE and chance < 0.15:
                    body[rng.integers(len(body))] ^= 1 << rng.integers(8)
                elif segment.kind == Kind.TILE and chance < 0.2:
                    del body[rng.integers(1, len(body) + 1) :]
                if chance < 0.9:
                    some.append(replace(segment, body=bytes(body)).pack())
            found = assert_alike(exact, b"".join(some))
            assert len(np.unique(found.mask)) > 1


def test_other_images_differ_by_rounding_alone(engine_c: Path) -> None:
    stream = coded(procedural(6, 140, 130).image, Options(ratio=10.0))
    for linear in (True, False):
        pair = decoders(engine_c, linear=linear)
        found, expected = (decoder.decode(stream).scene.image.astype(int) for decoder in pair)
        assert np.abs(found - expected).max() <= 1
        assert np.count_nonzero(found != expected) < found.size / 1_000


def test_numpy_does_what_it_does_not(engine_c: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = LappedCodec.of(bundles.load("skybook").codec)
    monkeypatch.setenv("SKYBOOK_ENGINES", NONE)
    assert CompiledReader.of(codec) is None
    monkeypatch.setenv("SKYBOOK_ENGINES", str(engine_c))
    assert CompiledReader.of(codec) is not None
    transform = codec.model.transform
    crooked = transform.synthesis.copy()
    crooked[3, 0, 0] += 1
    other = replace(codec.model, transform=replace(transform, synthesis=crooked))
    assert CompiledReader.of(replace(codec, model=other)) is None
    mosaic = replace(codec.model, front_end=codec.model.front_end.for_mosaic())
    assert CompiledReader.of(replace(codec, model=mosaic)) is None
