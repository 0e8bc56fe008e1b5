"""Bad input: a clear error of our tree or an image with a truthful mask; nothing else, ever."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ground import geotiff
from ground.decoder import Decoder, Mask
from ground.geotiff import Scene
from ground.scenes import procedural
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.encoder import Encoder, Options
from onboard.errors import (
    BundleError,
    EngineError,
    InputError,
    LimitError,
    StreamError,
)
from onboard.segment import Kind, Segment, read_segments

from .conftest import NAME, Run


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


@pytest.fixture(scope="module")
def small(encoder: Encoder) -> bytes:
    """A stream of one small tile: every byte of it is damaged in the tests."""
    scene = procedural(1, 24, 30)
    return b"".join(encoder.encode(scene.image, scene.header(), Options(segment_bytes=128)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint32, np.bool_])
def test_wrong_dtype(encoder: Encoder, dtype: type) -> None:
    with pytest.raises(InputError, match="uint8, uint16 or int16, found"):
        list(encoder.encode(np.zeros((4, 8, 8), dtype)))


def test_nan_is_counted(encoder: Encoder) -> None:
    image = np.zeros((4, 8, 8), np.float32)
    image[0, 0, :3] = np.nan
    with pytest.raises(InputError, match="3 NaN"):
        list(encoder.encode(image))


@pytest.mark.parametrize("shape", [(3, 8, 8), (5, 8, 8), (8, 8), (4, 0, 8), (4, 8, 0), (0, 8, 8)])
def test_wrong_shape(encoder: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="4 bands"):
        list(encoder.encode(np.zeros(shape, np.uint16)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 121), (7, 3), (119, 120), (121, 1)])
def test_small_and_odd_images(encoder: Encoder, decoder: Decoder, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(500, 700, (4, *shape)).astype(np.uint16)
    decoded = decoder.decode(b"".join(encoder.encode(image)))
    assert decoded.complete
    assert decoded.scene.image.shape == image.shape
    assert np.abs(decoded.scene.image.astype(int) - image).max() < 250


def test_all_nodata(encoder: Encoder, decoder: Decoder) -> None:
    image = np.zeros((4, 130, 250), np.uint16)
    scene = Scene(image, 0, None, None, ())
    stream = b"".join(encoder.encode(image, scene.header()))
    assert len(stream) < 400
    decoded = decoder.decode(stream)
    assert decoded.complete
    assert (decoded.mask == Mask.NODATA).all()
    assert not decoded.scene.image.any()


def test_constant_and_extreme_images(encoder: Encoder, decoder: Decoder) -> None:
    for value in (0, 65_535):
        image = np.full((4, 120, 120), value, np.uint16)
        decoded = decoder.decode(b"".join(encoder.encode(image)))
        assert np.abs(decoded.scene.image.astype(int) - value).max() <= 16
    image = np.zeros((4, 120, 120), np.uint16)
    image[:, ::2] = 65_535
    assert decoder.decode(b"".join(encoder.encode(image))).complete


def survivors(stream: bytes) -> tuple[Segment, ...]:
    return tuple(s for s in read_segments(stream) if isinstance(s, Segment))


def test_truncation_at_every_byte(decoder: Decoder, small: bytes) -> None:
    seen = set()
    for length in range(len(small)):
        kept = survivors(small[:length])
        assert len(kept) < len(survivors(small))
        if kept in seen:
            continue  # decoding hangs on the intact segments alone
        seen.add(kept)
        try:
            decoded = decoder.decode(small[:length])
        except (StreamError, BundleError):
            continue
        assert not decoded.complete
    assert len(seen) == len(survivors(small))


def test_every_bit_flip(decoder: Decoder, small: bytes) -> None:
    whole = decoder.decode(small)
    intact = survivors(small)
    seen = set()
    for bit in range(8 * len(small)):
        broken = bytearray(small)
        broken[bit // 8] ^= 128 >> bit % 8
        kept = survivors(bytes(broken))
        assert len(kept) == len(intact) - 1
        assert set(kept) < set(intact)
        if kept in seen:
            continue  # decoding hangs on the intact segments alone
        seen.add(kept)
        decoded = decoder.decode(bytes(broken), width=30)
        assert not decoded.complete
        if decoded.mask.shape == whole.mask.shape:
            same = decoded.mask == Mask.COMPLETE
            difference = decoded.scene.image[:, same].astype(int) - whole.scene.image[:, same]
            assert np.abs(difference).max(initial=0) <= (0 if decoded.reception.header else 1)
    assert len(seen) == len(intact)


def test_truncated_and_flipped_streams_in_the_command(
    run: Run, tmp_path: Path, small: bytes
) -> None:
    (tmp_path / "cut.sky").write_bytes(small[: 2 * len(small) // 3])
    done = run("ground", "decode", "cut.sky", "-o", "cut.tif")
    assert done.returncode == 4
    assert (tmp_path / "cut.tif").exists()
    assert (tmp_path / "cut.mask.tif").exists()
    for name, content in (("empty", b""), ("noise", bytes(range(256)) * 40), ("none", None)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        done = run("ground", "decode", name, "-o", "x.tif", "--bundle", NAME)
        assert done.returncode in (3, 4)
        assert done.stderr.startswith("error")
        assert not (tmp_path / "x.tif").exists()


def tile_segment(bundle: Bundle, tile: int, body: bytes = b"\0") -> Segment:
    return Segment(Kind.TILE, 0, bundle.model_hash[:4], tile, 0, 0, None, body)


def test_a_tile_far_beyond_the_scene(bundle: Bundle, decoder: Decoder, small: bytes) -> None:
    far = tile_segment(bundle, 1_000_000).pack()
    decoded = decoder.decode(small + far)
    assert not decoded.complete
    assert decoded.reception.counts["damaged"] == 1
    with pytest.raises(LimitError, match="pixels"):
        decoder.decode(far, width=1_000_000)


def test_max_pixels(decoder: Decoder, small: bytes) -> None:
    with pytest.raises(LimitError, match="30 x 24"):
        decoder.decode(small, max_pixels=30 * 24 - 1)


def test_segments_of_another_scene_are_left_out(
    encoder: Encoder, decoder: Decoder, small: bytes
) -> None:
    image = np.full((4, 20, 20), 700, np.uint16)
    other = b"".join(encoder.encode(image, options=Options(scene_id=9)))
    first = decoder.decode(small + other)
    assert first.complete
    assert first.scene.image.shape == (4, 24, 30)
    second = decoder.decode(small + other, scene_id=9)
    assert second.scene.image.shape == (4, 20, 20)


def test_stream_of_another_model(run: Run, tmp_path: Path, decoder: Decoder, small: bytes) -> None:
    foreign = b"".join(
        Segment(s.kind, s.scene_id, b"\1\2\3\4", s.tile, s.layer, s.first, s.edge, s.body).pack()
        for s in read_segments(small)
        if isinstance(s, Segment)
    )
    with pytest.raises(BundleError, match="01020304"):
        decoder.decode(foreign)
    (tmp_path / "x.sky").write_bytes(foreign)
    for options in ([], ["--bundle", NAME]):
        assert run("ground", "decode", "x.sky", "-o", "x.tif", *options).returncode == 5


def test_damaged_bundles(bundle: Bundle) -> None:
    packed = bundle.pack()
    assert Bundle.unpack(packed).model_hash == bundle.model_hash
    rng = np.random.default_rng(2)
    for length in [0, 1, 4, 107, 108, 500, *rng.integers(0, len(packed), 20)]:
        with pytest.raises(BundleError):
            Bundle.unpack(packed[: int(length)])
    for position in [*range(200), *rng.integers(0, len(packed), 50)]:
        broken = bytearray(packed)
        broken[int(position)] ^= 1
        if int(position) == 5:
            continue  # a newer minor version is accepted
        with pytest.raises(BundleError):
            Bundle.unpack(bytes(broken))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("onboard", "info", "no-such-bundle"), 5),
        (("onboard", "encode", "none.npy", "--bundle", NAME, "-o", "x.sky"), 3),
        (("onboard", "encode", "none.raw", "--bundle", NAME, "-o", "x.sky"), 2),
        (("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "x.sky", "--ratio", "20"), 2),
        (("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "x.sky", "--scene-id", "-1"), 2),
        (
            ("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "x.sky", "--segment-bytes", "9"),
            2,
        ),
        (("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "x.sky", "--engine", "numpy"), 7),
        (("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "x.sky", "--engine", "tflite"), 7),
        (("onboard", "encode", "bands.npy", "--bundle", NAME, "-o", "x.sky"), 3),
        (("onboard", "encode", "objects.npy", "--bundle", NAME, "-o", "x.sky"), 3),
        (("onboard", "encode", "cut.npy", "--bundle", NAME, "-o", "x.sky"), 3),
        (("onboard", "encode", "a.npy", "--bundle", "text.skyb", "-o", "x.sky"), 5),
        (("ground", "encode", "text.tif", "--bundle", NAME, "-o", "x.sky"), 3),
        (("ground", "encode", "a.npy"), 2),
        (("onboard", "fly"), 2),
    ],
)
def test_exit_codes(run: Run, tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 9, 9), np.uint16))
    np.save(tmp_path / "bands.npy", np.zeros((3, 9, 9), np.uint16))
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:200])
    for name in ("text.tif", "text.skyb"):
        (tmp_path / name).write_text("not what the name says")
    done = run(*command)
    assert done.returncode == code, done.stderr
    assert done.stderr
    assert not (tmp_path / "x.sky").exists()


def test_float_geotiff_with_nan(run: Run, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    image = np.full((4, 20, 20), np.nan, np.float32)
    with rasterio.open(
        tmp_path / "nan.tif", "w", driver="GTiff", count=4, height=20, width=20, dtype="float32"
    ) as file:
        file.write(image)
    done = run("ground", "encode", "nan.tif", "--bundle", NAME, "-o", "x.sky")
    assert done.returncode == 3
    assert "float32" in done.stderr


@pytest.mark.parametrize(("layout", "length"), [("bsq", 0), ("bil", 71), ("bip", 8 * 9 + 1)])
def test_raw_file_of_the_wrong_length(run: Run, tmp_path: Path, layout: str, length: int) -> None:
    (tmp_path / "x.raw").write_bytes(bytes(length))
    options = ["--layout", layout, "--width", 9, "--bundle", NAME, "-o", "x.sky"]
    done = run("onboard", "encode", "x.raw", *options)
    assert done.returncode == 3
    assert "multiple of 72 bytes" in done.stderr


def test_errors_keep_their_codes() -> None:
    codes = {e.__name__: (e.code, e.exit_code) for e in (StreamError, BundleError, EngineError)}
    assert codes == {"StreamError": (400, 4), "BundleError": (500, 5), "EngineError": (700, 7)}


def test_geotiff_of_ours_is_read_back(tmp_path: Path, image: NDArray[np.uint16]) -> None:
    scene = Scene(image, 7, None, None, ())
    geotiff.write(tmp_path / "x.tif", scene)
    assert np.array_equal(geotiff.read(tmp_path / "x.tif").image, image)
