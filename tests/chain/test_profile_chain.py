"""Scenes with a spectral profile through encoder, link and decoder."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ground import metrics
from ground.decode.decoder import Decoded, Decoder
from ground.decode.inventory import take_inventory
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from ground.products import geotiff
from ground.scene import Scene
from onboard import bundle as bundles
from onboard.bundle.profiles import pack_profile
from onboard.codec.bound import Bound
from onboard.codec.profile import Profile
from onboard.codec.tile import EMPTY
from onboard.encoder import Encoder, Options
from onboard.encoder.outcome import Outcome
from onboard.errors import BundleError, InputError, UsageError
from onboard.image.tiles import TileGrid
from onboard.link.binding import bindings_of
from onboard.link.foreign import read_ours
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import Run
from tests.profiles import cube, drawn, learnt

NAME = "skybook"


@cache
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME), linear=True)


def decoded(stream: bytes, profile: Profile | None = None) -> Decoded:
    return decoder().decode(stream, Wanted(profile=profile))


def segments(
    image: NDArray[np.generic], profile: Profile | None, options: Options, nodata: int | None = 0
) -> list[bytes]:
    encoder = Encoder(bundles.load(NAME), profile=profile)
    return list(encoder.encode(image, SceneHeader.of(image, nodata=nodata), options))


def read(stream: bytes) -> list[Segment]:
    return [s for s in read_segments(stream) if isinstance(s, Segment)]


def rmse(image: NDArray[np.generic], found: Decoded) -> float:
    return metrics.rmse(image, found.scene.image, found.mask != Mask.NODATA)


@pytest.mark.parametrize("window", ["scene", "strip"])
def test_a_profile_saves_bytes(window: str) -> None:
    """At the same bytes, and within the budget, the error is little more than half."""
    image = cube(40)
    options = Options(ratio=40.0, window=window)
    plain, ours = (b"".join(segments(image, p, options)) for p in (None, learnt(40)))
    assert len(ours) <= image.nbytes / 40
    found = decoded(ours, learnt(40))
    assert found.complete
    assert ((found.mask == Mask.NODATA) == (image == 0).all(axis=0)).all()
    assert rmse(image, found) < 0.6 * rmse(image, decoded(plain))


@settings(max_examples=6, deadline=None)
@given(
    st.integers(17, 70),
    st.sampled_from(["u8", "u16", "i16", "i8"]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_any_bands_and_samples(bands: int, kind: str, trellis: bool, seed: int) -> None:
    """A profile that fits nothing costs bytes, never the quality that is asked for."""
    rng = np.random.default_rng(seed)
    middle = {"u8": 100, "u16": 30_000, "i16": -200, "i8": 0}[kind]
    spread = {"u8": 20, "u16": 6_000, "i16": 300, "i8": 12}[kind]
    image = middle + spread * rng.standard_normal((bands, 21, 18)).cumsum(axis=1) / 4
    dtype = {"u8": np.uint8, "u16": np.uint16, "i16": np.int16, "i8": np.int8}[kind]
    limits = np.iinfo(dtype)
    samples = np.clip(np.rint(image), limits.min, limits.max).astype(dtype)
    samples[:, 5:9, 3:7] = limits.max
    profile, most = drawn(bands, seed, middle), spread / 20
    stream = b"".join(segments(samples, profile, Options(rmse=most, trellis=trellis), limits.max))
    found = decoded(stream, profile)
    nodata = (samples == limits.max).all(axis=0)
    assert found.complete
    assert ((found.mask == Mask.NODATA) == nodata).all()
    assert (found.scene.image[:, nodata] == limits.max).all()
    assert rmse(samples, found) < 1.25 * most


@pytest.mark.parametrize(("kind", "most"), [(np.uint8, 0.45), (np.uint16, 0.55)])
def test_fine_steps_come_near_to_lossless(kind: type, most: float) -> None:
    samples = (cube(20, 40, 40) >> 6).clip(0, 255).astype(kind)
    header = SceneHeader.of(samples, nodata=None)
    encoder = Encoder(bundles.load(NAME), profile=drawn(20, 1, 60))
    stream = b"".join(encoder.encode(samples, header, Options(rmse=0.3)))
    found = decoded(stream, encoder.profile)
    assert rmse(samples, found) < most


@pytest.mark.parametrize(
    ("bands", "options"),
    [
        (40, Options(rmse=4.0)),
        (40, Options(ratio=30.0)),
        (40, Options(ratio=150.0)),
        (224, Options(rmse=6.0)),
        (224, Options(ratio=60.0, window="strip")),
    ],
)
def test_expected_quality_is_told(bands: int, options: Options) -> None:
    """Of components in parts of a DN and, of 224 bands, in multiples of it."""
    image, profile = cube(bands, 64, 90), learnt(bands)
    outcomes: list[Outcome] = []
    encoder = Encoder(bundles.load(NAME), profile=profile)
    header = SceneHeader.of(image, nodata=0)
    strips = encoder.strips(image, header, options, outcomes.append)
    found = decoded(b"".join(s for strip in strips for s in strip.segments), profile)
    told = sum(outcomes, Outcome()).rmse
    assert told is not None
    assert abs(20 * np.log10(told / rmse(image, found))) < 1.5
    if options.rmse:
        assert rmse(image, found) < 1.15 * options.rmse


@pytest.mark.parametrize("engine", ["ort", "litert"])
def test_bytes_do_not_depend_on_the_engine(engine: str) -> None:
    image, options = cube(40, 64, 90), Options(rmse=8.0)
    header, bundle = SceneHeader.of(image, nodata=0), bundles.load(NAME)
    encoders = [Encoder(bundle, name, profile=learnt(40)) for name in ("numpy", engine)]
    one, other = (list(encoder.encode(image, header, options)) for encoder in encoders)
    assert one == other


def test_empty_groups_cost_a_segment_and_a_byte() -> None:
    image = cube(60, 70, 64)
    found = read(b"".join(segments(image, learnt(60), Options(ratio=150.0))))
    first = [s for s in found if s.kind == Kind.TILE and s.layer == 0]
    grid = TileGrid(64, 70, 64, 4)
    assert {grid.group(s.tile) for s in first if s.body[0] & EMPTY} == {1, 2, 3}
    assert all(len(s.body) == 1 for s in first if s.body[0] & EMPTY)


def test_what_is_whole_does_not_depend_on_what_is_lost() -> None:
    sent = segments(cube(40), learnt(40), Options(ratio=25.0))
    whole = decoded(b"".join(sent), learnt(40))
    rng = np.random.default_rng(3)
    left = b"".join(segment for segment in sent if rng.random() > 0.08)
    found = decoded(left, learnt(40))
    sure = found.mask == Mask.COMPLETE
    assert 0 < sure.sum() < sure.size
    assert np.array_equal(found.scene.image[:, sure], whole.scene.image[:, sure])
    every = decoder().bundle
    missing = take_inventory(every, read_ours(left, bindings_of(left)), Wanted(profile=learnt(40)))
    assert missing.tiles == TileGrid(90, 130, 64, 3).count
    assert not missing.complete
    assert missing.whole_pixels < whole.mask.size * 3


def test_without_its_header_a_profile_can_be_told() -> None:
    sent = segments(cube(40), learnt(40), Options(ratio=25.0, run=1))
    kinds = {number: s.kind for number, s in enumerate(read(b"".join(sent)))}
    left = b"".join(s for number, s in enumerate(sent) if kinds[number] != Kind.SCENE)
    found = decoder().decode(left, Wanted(width=90, run=1, profile=learnt(40)))
    whole = decoded(b"".join(sent), learnt(40))
    here = whole.mask != Mask.NODATA
    assert np.array_equal(found.scene.image[:, here], whole.scene.image[:, here])


def test_a_missing_profile_is_named() -> None:
    stream = b"".join(segments(cube(40), learnt(40), Options(ratio=40.0)))
    name = learnt(40).digest.hex()
    with pytest.raises(BundleError, match=f"expected {name}, which the scene header names"):
        decoded(stream)
    with pytest.raises(BundleError, match=f"expected {name}, found {drawn(40, 1).digest.hex()}"):
        decoded(stream, drawn(40, 1))


def test_what_a_profile_is_not_for() -> None:
    bundle = bundles.load(NAME)
    image = cube(40)
    encoder = Encoder(bundle, profile=learnt(40))
    with pytest.raises(InputError, match="made for 40 bands, found 20"):
        list(encoder.encode(image[:20]))
    with pytest.raises(UsageError, match="max error: expected no spectral profile"):
        list(encoder.encode(image, options=Options(max_error=Bound.parse("2"))))
    with pytest.raises(InputError, match=r"samples of this scene 0\.\.255"):
        list(encoder.encode((image >> 8).astype(np.uint8)))
    with pytest.raises(InputError, match="expected a bundle of coder rans"):
        list(Encoder(bundles.load("corsa-2level-1024"), profile=learnt(40)).encode(image))


@pytest.mark.parametrize("layout", ["bil", "bip"])
def test_lines_of_224_bands_stream(layout: str, tmp_path: Path, run: Run) -> None:
    """Line by line, in any order of samples; the same bytes as from a file as a whole."""
    image = cube(224, 70, 40)
    order = (1, 0, 2) if layout == "bil" else (1, 2, 0)
    (tmp_path / "lines").write_bytes(image.transpose(order).astype("<u2").tobytes())
    (tmp_path / "camera.prof").write_bytes(pack_profile(learnt(224)))
    form = ["--layout", layout, "--bands", 224, "--width", 40, "--nodata", 0, "--bundle", NAME]
    form += ["--profile", tmp_path / "camera.prof", "--ratio", 60]
    done = run("onboard", "stream", "--input", tmp_path / "lines", *form, "-o", tmp_path / "a.pkt")
    assert done.returncode == 0
    found = decoded((tmp_path / "a.pkt").read_bytes(), learnt(224))
    assert found.complete
    assert rmse(image, found) < 10


def test_commands(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user does: encode a GeoTIFF, decode it with the profile named or in its place."""
    image = cube(20, 64, 64)
    geotiff.write(tmp_path / "scene.tif", Scene(image, nodata=0))
    profile = tmp_path / "camera.prof"
    profile.write_bytes(pack_profile(learnt(20)))
    out = tmp_path / "scene.sky"
    done = run(
        "ground",
        "encode",
        tmp_path / "scene.tif",
        "--bundle",
        NAME,
        "--profile",
        profile,
        "-o",
        out,
    )
    assert done.returncode == 0
    back = ["decode", out, "-o", tmp_path / "back.tif", "--json", "-"]
    lacking = run("ground", *back)
    assert lacking.returncode == 5
    assert f"profile: expected {learnt(20).digest.hex()}" in lacking.stderr
    given = run("ground", *back, "--profile", profile)
    assert given.returncode == 0
    assert json.loads(given.stdout)["complete"]
    monkeypatch.setenv("SKYBOOK_BUNDLES", str(tmp_path))
    assert run("ground", *back).returncode == 0
    assert run("ground", "missing", out).returncode == 0
    assert geotiff.read(tmp_path / "back.tif").image.shape == image.shape


def test_rows_of_tiles_of_a_cube_are_coded_one_at_a_time() -> None:
    """So memory holds as many samples of a cube as of a few bands, and never more rows."""
    read: list[int] = []

    def windows() -> Iterator[NDArray[np.uint16]]:
        for number in range(4):
            read.append(number)
            yield cube(224, 64, 16)

    header = replace(SceneHeader.of(cube(224, 64, 16), nodata=0), height=4 * 64)
    encoder = Encoder(bundles.load(NAME), profile=learnt(224))
    strips = encoder.stream(windows(), header, Options(ratio=60.0, window="strip"))
    assert [len(read) for strip in strips][:4] == [1, 2, 3, 4]
