"""`features`: vectors of tiles, of their symbols alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ground.__main__ import main
from ground.decode.dump import dump_scene
from ground.decode.features import Features, features_of_scene
from ground.decode.lapped.features import LAST
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.blocks import FIELD
from onboard.encoder.array import encode_array
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

NAMES = {"rans": "skybook", "fixed": "corsa-2level-1024"}


def segments_of(name: str = "skybook", bands: int = 4, **options: Any) -> list[Segment]:
    """Segments of a scene of 2 x 2 tiles of 64 x 64, those at the border cut, with nodata."""
    image = procedural(3, 100, 90 if name == "skybook" else 150, bands).image.astype(np.uint16)
    tile = 64 if bands == 4 and name == "skybook" else None
    header = replace(SceneHeader.of(image), tile=tile)
    stream = encode_array(image, name, nodata=0, header=header, segment_bytes=200, **options)
    return [s for s in read_segments(stream) if isinstance(s, Segment)]


def features(segments: list[Segment], name: str = "skybook") -> Features:
    return features_of_scene(bundles.load(name), segments)


@pytest.fixture(scope="module")
def plain() -> list[Segment]:
    return segments_of(ratio=8.0)


def column(found: Features, name: str) -> Any:
    return found.arrays["vector"][..., found.arrays["names"].tolist().index(name)]


@pytest.mark.parametrize("trellis", [False, True])
def test_energies_are_those_of_the_symbols(trellis: bool) -> None:
    """Against a dump, which reads all layers; its indices of dependent tiles are in half steps."""
    segments = segments_of(ratio=8.0, trellis=trellis)
    found, dump = features(segments), dump_scene(bundles.load("skybook"), segments).arrays
    assert not found.lacking
    assert not found.bounded
    names = [name for name in found.arrays["names"].tolist() if name.startswith("energy")]
    assert len(names) == len(set(names)) == 18
    unit = 2.0 ** (dump["step_code"] / 16 - 1) * np.where(dump["state"] & 4, 0.5, 1)
    unit *= 2.0 ** -bundles.load("skybook").for_scene(4, 16).codec.fraction
    for name in names:
        _, component, frequency = name.split(".")
        symbols = dump["symbol"][int(component) - 1, int(frequency)]
        for row, col in np.ndindex(2, 2):
            own = symbols[8 * row : 8 * row + 8, 8 * col : 8 * col + 8].astype(np.float64)
            wanted = np.log2(1 + np.sqrt(np.square(own).mean()) * unit[row, col])
            assert column(found, name)[row, col] == pytest.approx(wanted, rel=1e-4, abs=1e-4)
    means = column(found, "mean.2")
    assert means == pytest.approx(np.log2(1 + dump["means"][..., 1]), rel=1e-5)


def test_energies_of_blocks_of_their_own_steps() -> None:
    """Blocks of 16 x 16 have steps of their own: energies are in DN all the same."""
    image = procedural(3, 128, 128, nodata=False).image.astype(np.uint16)
    streams = encode_array(image, rmse=10.0), encode_array(image, rmse=60.0, quality_block=16)
    fine, blocks = (
        features([s for s in read_segments(stream) if isinstance(s, Segment)]) for stream in streams
    )
    assert (blocks.arrays["state"] & FIELD).all()
    for name in ("energy.1.1", "energy.1.2", "energy.1.8"):
        assert column(blocks, name) == pytest.approx(column(fine, name), abs=0.05)


def test_quantiles_and_ratios_are_those_of_the_image() -> None:
    """Halves of a tile are 500 and 1000 DN in one band, 2000 in the other."""
    image = np.full((2, 128, 128), 2000, np.uint16)
    image[0, :, :64], image[0, :, 64:] = 500, 1000
    segments = read_segments(encode_array(image, rmse=1.0))
    found = features([s for s in segments if isinstance(s, Segment)])
    for name, wanted in {
        "mean.1": np.log2(751),
        "low.1": np.log2(501),
        "high.1": np.log2(1001),
        "middle.2": np.log2(2001),
        "low.1/2": np.log2(501) - np.log2(2001),
        "high.1/2": np.log2(1001) - np.log2(2001),
        "spread.2": 0,
    }.items():
        assert column(found, name) == pytest.approx(wanted, abs=0.03), name


def test_finer_layers_change_nothing(plain: list[Segment]) -> None:
    """What is lost of layers that features do not take is not read; what they take is named."""
    left = [s for s in plain if s.kind != Kind.TILE or s.layer <= LAST]
    assert len(left) < len(plain)
    whole, lossy = features(plain), features(left)
    assert not lossy.lacking
    assert np.array_equal(whole.arrays["vector"], lossy.arrays["vector"])


@pytest.mark.parametrize("lost", ["all", "symbols", "ac"])
def test_what_is_missing_is_named(plain: list[Segment], lost: str) -> None:
    """Tile 1 lacks everything, all symbols but the first, or AC; others stay as they are."""
    least = {"all": 0, "symbols": 1, "ac": 4}[lost]
    left = [s for s in plain if s.kind != Kind.TILE or s.tile != 1 or s.layer < least]
    whole, lossy = features(plain), features(left)
    assert list(lossy.lacking) == [1]
    assert lossy.lacking[1] == lossy.arrays["layers"][0, 1, 0] < lossy.arrays["wanted"] == 1 + LAST
    vectors = lossy.arrays["vector"]
    others = np.ones((2, 2), np.bool_)
    others[0, 1] = False
    assert np.array_equal(vectors[others], whole.arrays["vector"][others])
    assert np.isnan(column(lossy, "energy.2.9")[0, 1])
    assert np.isnan(column(lossy, "mean.1")[0, 1]) == (lost == "all")
    known = ~np.isnan(vectors[0, 1])
    assert np.array_equal(vectors[0, 1][known], whole.arrays["vector"][0, 1][known])
    assert (lossy.arrays["state"][0, 1] == 255) == (lost == "all")


def test_tiles_within_a_bound_have_none() -> None:
    image = procedural(3, 64, 192).image.astype(np.uint16)
    stream = encode_array(image, max_error=4)
    segments = [s for s in read_segments(stream) if isinstance(s, Segment)]
    found = features(segments)
    assert found.bounded == (0, 1, 2)
    assert found.arrays["bounded"].all()
    assert found.arrays["vector"].shape == (1, 3, 0)
    assert not found.lacking
    left = features([s for s in segments if s.kind != Kind.TILE or s.tile != 1])
    assert left.bounded == (0, 2)
    assert list(left.lacking) == [1]


def test_codewords_are_pooled() -> None:
    segments = segments_of(NAMES["fixed"])
    found = features(segments, NAMES["fixed"])
    dump = dump_scene(bundles.load(NAMES["fixed"]), segments).arrays
    assert not found.lacking
    rows, cols = (found.arrays["place"][0, 0, 2:] // 4).tolist()
    own = dump["codeword1"][2, :rows, :cols]
    assert column(found, "level1.mean.3")[0, 0] == pytest.approx(own.mean(), rel=1e-5)
    assert column(found, "level1.spread.3")[0, 0] == pytest.approx(own.std(), rel=1e-5)
    lossy = [s for s in segments if s.kind != Kind.TILE or s.tile != 0 or s.layer < 2]
    named = features(lossy, NAMES["fixed"])
    assert list(named.lacking) == [0]


def test_many_bands_and_mosaics() -> None:
    cube = segments_of(bands=18, ratio=20.0)
    found = features(cube)
    names = found.arrays["names"].tolist()
    assert found.arrays["vector"].shape == (2, 2, len(names))
    assert names[0] == "group1.mean.1"
    assert column(found, "group2.mean.9").shape == (2, 2)
    assert np.isfinite(found.arrays["vector"]).all()

    planes = procedural(5, 64, 100).image.astype(np.uint16)
    header = SceneHeader.of(planes, bayer="rggb")
    segments = read_segments(encode_array(planes, header=header, ratio=8.0))
    mosaic = features([s for s in segments if isinstance(s, Segment)])
    assert mosaic.arrays["place"][0].tolist() == [[0, 0, 128, 128], [0, 128, 128, 72]]


def test_nodata_is_told(plain: list[Segment]) -> None:
    dump = dump_scene(bundles.load("skybook"), plain).arrays
    found = features(plain)
    valid = 1 - dump["nodata"][:64, :64].mean()
    assert 0 < valid < 1
    assert found.arrays["valid"][0, 0] == pytest.approx(valid)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def call(segments: list[Segment], *arguments: str) -> tuple[int, str, str]:
        Path("scene.sky").write_bytes(b"".join(s.pack() for s in segments))
        code = main(["features", "scene.sky", *arguments])
        return (code, *capsys.readouterr())

    return call


def test_command(run: Callable[..., tuple[int, str, str]], plain: list[Segment]) -> None:
    code, out, err = run(plain, "-o", "x.npz", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["tiles"] == [2, 2]
    assert told["lacking"] == {}
    with np.load("x.npz") as arrays:
        assert arrays["vector"].shape == (2, 2, told["features"])
        assert arrays["vector"].dtype == np.float32
        assert (arrays["names"] == features(plain).arrays["names"]).all()

    left = [s for s in plain if s.kind != Kind.TILE or s.tile != 1 or s.layer < 4]
    code, out, err = run(left, "-o", "x.npz", "--json")
    assert code == 4
    assert "1 tiles lack layers: 1 (" in err
    assert list(json.loads(out)["lacking"]) == ["1"]

    assert run(plain, "-o", "x.txt")[0] == 2
    assert run(plain, "-o", "scene.sky")[0] == 2
