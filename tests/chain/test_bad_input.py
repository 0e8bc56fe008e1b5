"""Bad input: a clear error of our tree or an image with a truthful mask; nothing else, ever."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.bundle.container import canonical_json
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.quantizer import pack_levels
from onboard.encoder import Encoder, Options
from onboard.errors import (
    BundleError,
    InputError,
    LimitError,
    SkybookError,
    StreamError,
)
from onboard.image.files import check_image, read_npy
from onboard.link.end import EndOfScene
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import NAME, Run


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
    with pytest.raises(InputError, match="uint8, uint16, int16 or int8, found"):
        list(encoder.encode(np.zeros((4, 8, 8), dtype)))


def test_nan_is_counted(encoder: Encoder) -> None:
    image = np.zeros((4, 8, 8), np.float32)
    image[0, 0, :3] = np.nan
    with pytest.raises(InputError, match="3 NaN"):
        list(encoder.encode(image))


@pytest.mark.parametrize("shape", [(3, 8, 8), (5, 8, 8), (8, 8), (4, 0, 8), (4, 8, 0), (0, 8, 8)])
def test_wrong_shape(encoder: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected the 4 that|expected .bands, rows, cols"):
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
            continue  # decoding depends on the intact segments alone
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
            continue  # decoding depends on the intact segments alone
        seen.add(kept)
        decoded = decoder.decode(bytes(broken), Wanted(width=30))
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


def tile_segment(bundle: Bundle, tile: int, body: bytes = b"\2") -> Segment:
    return Segment(Kind.TILE, 0, bundle.tag, tile, 0, 0, None, body)


def test_a_tile_far_beyond_the_scene(bundle: Bundle, decoder: Decoder, small: bytes) -> None:
    far = tile_segment(bundle, 1_000_000).pack()
    binding = survivors(small)[0].binding
    decoded = decoder.decode(
        small + replace(tile_segment(bundle, 1_000_000), binding=binding).pack()
    )
    assert not decoded.complete
    assert decoded.reception.counts["damaged"] == 1
    with pytest.raises(LimitError, match="pixels"):
        decoder.decode(far, Wanted(width=1_000_000))


def test_max_pixels(decoder: Decoder, small: bytes) -> None:
    with pytest.raises(LimitError, match="30 x 24"):
        decoder.decode(small, Wanted(max_pixels=30 * 24 - 1))


def test_segments_of_another_scene_are_left_out(
    encoder: Encoder, decoder: Decoder, small: bytes
) -> None:
    image = np.full((4, 20, 20), 700, np.uint16)
    other = b"".join(encoder.encode(image, options=Options(scene_id=9)))
    first = decoder.decode(small + other)
    assert first.complete
    assert first.scene.image.shape == (4, 24, 30)
    second = decoder.decode(small + other, Wanted(scene_id=9))
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
        if int(position) == 5 or 44 <= int(position) < 108:
            continue  # a newer minor version is accepted; a signature is checked with a key
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
    options = ["--layout", layout, "--width", 9, "--bands", 4, "--bundle", NAME, "-o", "x.sky"]
    done = run("onboard", "encode", "x.raw", *options)
    assert done.returncode == 3
    assert "multiple of 72 bytes" in done.stderr


def test_errors_keep_their_codes() -> None:
    tree = [SkybookError, *SkybookError.__subclasses__()]
    assert {e.__name__: (e.code, e.exit_code) for e in tree} == {
        "SkybookError": (100, 1),
        "UsageError": (200, 2),
        "InputError": (300, 3),
        "StreamError": (400, 4),
        "BundleError": (500, 5),
        "LimitError": (600, 6),
        "EngineError": (700, 7),
    }


@pytest.mark.parametrize("option", ["-o", "--json"])
def test_the_input_is_never_overwritten(run: Run, tmp_path: Path, option: str) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 20, 20), 7, np.uint16))
    before = (tmp_path / "a.npy").read_bytes()
    options = ["-o", "x.sky", "--json", "x.json"]
    options[options.index(option) + 1] = "a.npy"
    done = run("onboard", "encode", "a.npy", "--bundle", NAME, *options)
    assert done.returncode == 2
    assert "is the input" in done.stderr
    assert (tmp_path / "a.npy").read_bytes() == before


def test_outputs_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 20, 20), 7, np.uint16))
    done = run("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "none/x.sky")
    assert done.returncode == 2
    done = run("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error 200: /dev/full: ")
    assert "No space" in done.stderr


@pytest.mark.parametrize(("kind", "nodata"), [("u16", -9_999), ("u8", 256), ("i16", 40_000)])
def test_nodata_that_no_sample_can_be(encoder: Encoder, kind: str, nodata: int) -> None:
    image = np.zeros((4, 9, 9), {"u8": np.uint8, "u16": np.uint16, "i16": np.int16}[kind])
    with pytest.raises(InputError, match="nodata"):
        list(encoder.encode(image, SceneHeader.of(image, nodata=nodata)))


def test_samples_beyond_the_significant_bits(encoder: Encoder) -> None:
    image = np.full((4, 9, 9), 4_096, np.uint16)
    header = replace(SceneHeader.of(image), significant_bits=12)
    with pytest.raises(InputError, match=r"0\.\.4095 .* found 4096"):
        list(encoder.encode(image, header))


def other_side(segment: Segment) -> Segment:
    """Return a tile segment with another step code, its CRC right."""
    assert (segment.kind, segment.layer) == (Kind.TILE, 0)
    body = bytearray(segment.body)
    body[1] ^= 8
    return replace(segment, body=bytes(body))


def test_segments_that_contradict_each_other(
    bundle: Bundle, decoder: Decoder, encoder: Encoder
) -> None:
    scene = procedural(1, 24, 30, nodata=False)
    good = survivors(b"".join(encoder.encode(scene.image, scene.header())))
    whole = decoder.decode(b"".join(s.pack() for s in good))
    head, tile, end = good[0], good[1], good[-1]
    contradictions = [
        other_side(tile),
        replace(tile, body=b"\2"),
        replace(tile, body=tile.body[:-1] + bytes([tile.body[-1] ^ 1])),
        replace(tile, edge=None),
        replace(tile, kind=Kind.MASK, layer=0, body=b"\0\5\5"),
        replace(head, body=SceneHeader("u16", 16, 4, 300, 100).pack()),
        replace(head, body=SceneHeader("u16", 12, 4, 30, 24).pack()),
        replace(end, body=EndOfScene(999, 3).pack()),
        replace(end, tile=4),
    ]
    for number, wrong in enumerate(contradictions):
        decoded = decoder.decode(b"".join(s.pack() for s in (*good, wrong)))
        assert not decoded.complete, number
        assert decoded.reception.counts["damaged"] == 1, number
        assert np.array_equal(decoded.scene.image, whole.scene.image), number
        assert np.array_equal(decoded.mask, whole.mask), number
    repeated = decoder.decode(b"".join(s.pack() for s in good * 2))
    assert repeated.complete


def test_metadata_that_no_geotiff_holds_does_not_cost_the_image(
    run: Run, tmp_path: Path, encoder: Encoder
) -> None:
    image = np.full((4, 20, 20), 700, np.uint16)
    header = SceneHeader.of(image, crs="EPSG:999999", band_ids=("B02", "B03"))
    (tmp_path / "x.sky").write_bytes(b"".join(encoder.encode(image, header)))
    done = run("ground", "decode", "x.sky", "-o", "x.tif")
    assert done.returncode == 4
    assert "without CRS" in done.stderr
    assert geotiff.read(tmp_path / "x.tif").image.shape == image.shape


def test_a_bundle_whose_levels_are_not_those_of_its_graph(bundle: Bundle) -> None:
    swapped = [
        replace(level, reduction=2 * level.reduction)
        for level in CorsaCodec.of(bundle.codec).levels
    ]
    entries, part = pack_levels(swapped)
    wire = {**bundle.manifest["wire"], "levels": entries}
    parts = {**bundle.parts, "codebooks": part}
    wrong = Bundle.assemble("wrong", wire, parts, {"macs_per_pixel": 1}, {})
    with pytest.raises(BundleError, match="expected maps of"):
        Encoder(wrong, "ort")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bytes", float("inf")),
        ("bytes", -1),
        ("bytes", "9"),
        ("name", "other"),
        ("macs", float("inf")),
        ("macs", True),
        ("model", "../../x"),
        ("model", ["x"]),
        ("model", "\ud800"),
    ],
)
def test_manifests_that_make_no_sense(bundle: Bundle, key: str, value: object) -> None:
    manifest = json.loads(canonical_json(bundle.manifest))
    if key == "macs":
        manifest["encoder"]["macs_per_pixel"] = value
    elif key == "model":
        manifest["name"] = value
    else:
        manifest["parts"][0][key] = value
    packed = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    head = b"SKYB\1\0\0\0" + len(packed).to_bytes(4, "big")
    head += hashlib.sha256(packed).digest() + bytes(64)
    with pytest.raises(BundleError):
        Bundle.unpack(head + packed + b"".join(bundle.parts.values()))


@pytest.mark.parametrize(
    "shape",
    ["(4, 99999999999999999999, 2)", "(True, 2, 2)", "(4, 2", "-" * 6_000, "()", "(4,-1,2)"],
)
def test_npy_headers_that_make_no_sense(tmp_path: Path, shape: str) -> None:
    text = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    file = tmp_path / "x.npy"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(InputError):
        check_image(read_npy(file))


def test_start_time_and_significant_bits(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((4, 9, 9), 700, np.uint16))
    command = ("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "x.sky")
    good = ("--start-time", "1958-01-02T00:00:01.5", "--significant-bits", 12)
    assert run(*command, *good).returncode == 0
    header = SceneHeader.unpack(survivors((tmp_path / "x.sky").read_bytes())[0].body)
    assert header.start_time == (86_401, 32_768)
    assert header.significant_bits == 12
    for bad in ("noon", "1957-12-31T23:59:59", "2026-01-01T00:00:00+01:00"):
        assert run(*command, "--start-time", bad).returncode == 2
    assert run(*command, "--significant-bits", 17).returncode == 3
    assert run(*command, "--significant-bits", 9).returncode == 3


def test_command_values_out_of_range(run: Run, tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "x.sky").write_bytes(tile_segment(bundle, 0, b"\2").pack())
    for options in (["--width", 0], ["--width", -5], ["--width", 9, "--threads", 0]):
        done = run("ground", "decode", "x.sky", "-o", "x.tif", *options)
        assert done.returncode == 2, done.stderr
    assert run("onboard", "info", NAME, "--tile", 0).returncode == 2


def test_kinds_of_a_newer_minor_version_are_skipped(
    decoder: Decoder, bundle: Bundle, small: bytes
) -> None:
    newer = Segment(9, 0, bundle.tag, 77, 3, 5, None, b"later").pack()
    assert decoder.decode(newer + small).complete


def test_a_foreign_segment_in_front_does_not_hide_the_scene(
    run: Run, tmp_path: Path, small: bytes
) -> None:
    foreign = Segment(Kind.SCENE, 0, b"\1\2\3\4", 0, 0, 0, None, b"\2").pack()
    (tmp_path / "x.sky").write_bytes(foreign + small)
    assert run("ground", "decode", "x.sky", "-o", "x.tif").returncode == 0


def test_geotiff_of_ours_is_read_back(tmp_path: Path, image: NDArray[np.uint16]) -> None:
    scene = Scene(image, 7, None, None, ())
    geotiff.write(tmp_path / "x.tif", scene)
    assert np.array_equal(geotiff.read(tmp_path / "x.tif").image, image)
