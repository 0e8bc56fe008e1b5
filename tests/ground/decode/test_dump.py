"""`decode --linear` and `--dump`: what can be had with the bundle alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ground.__main__ import main
from ground.decode import decoder as decoders
from ground.decode.decoder import Decoder
from ground.decode.dump import MOST_SAMPLES, dump_scene
from ground.decode.wanted import Wanted
from ground.products import geotiff
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, LimitError, UsageError
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import model_of

LAPPED, CORSA = "skybook", "corsa-2level-1024"
FILES = {LAPPED: "lapped.sky", CORSA: "corsa.sky"}


def segments_of(name: str, **options: Any) -> list[Segment]:
    """Segments of a scene of 2 x 2 tiles, those at the border cut, with nodata."""
    scene = procedural(3, 100, 90 if name == LAPPED else 150)
    image = scene.image.astype(np.uint16)
    header = replace(scene.header(), tile=64 if name == LAPPED else None)
    stream = b"".join(Encoder(bundles.load(name)).encode(image, header, Options(**options)))
    return [s for s in read_segments(stream) if isinstance(s, Segment)]


@pytest.fixture(scope="module")
def lapped() -> list[Segment]:
    return segments_of(LAPPED, ratio=8.0, segment_bytes=300, trellis=True)


@pytest.fixture(scope="module")
def corsa() -> list[Segment]:
    return segments_of(CORSA, segment_bytes=300)


@pytest.fixture
def folder(
    tmp_path: Path,
    lapped: list[Segment],
    corsa: list[Segment],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder of streams, and no decoder graph anywhere."""
    for name, segments in ((LAPPED, lapped), (CORSA, corsa)):
        (tmp_path / FILES[name]).write_bytes(b"".join(s.pack() for s in segments))
    monkeypatch.setattr(decoders, "DECODERS", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def decode(*arguments: str) -> int:
    return main(["decode", *arguments])


def test_what_arrived_is_what_was_sent(lapped: list[Segment]) -> None:
    """Some segments are lost: what is marked as arrived is right, all else counts as 0."""
    bundle = bundles.load(LAPPED)
    whole, lossy = (dump_scene(bundle, part) for part in (lapped, lapped[:9] + lapped[13:]))
    assert whole.complete
    assert not lossy.complete
    sent, came = whole.arrays, lossy.arrays
    assert sent["arrived"][:, :, (sent["nodata"] == 0)[::8, ::8]].all()
    arrived = came["arrived"]
    assert 0 < arrived.sum() < sent["arrived"].sum()
    for name in ("symbol", "residual", "level", "odd"):
        assert (came[name] == sent[name])[arrived].all()
    assert not came["residual"][~arrived].any()
    skip = model_of(bundle).quantisation.skip
    assert not sent["residual"][sent["level"] <= skip].any()
    points = 2 * sent["residual"] - np.sign(sent["residual"]) * sent["odd"]
    assert (sent["symbol"] == points)[:, 1:].all()
    assert set(sent["state"].reshape(-1)) <= {4, 5, 2}
    assert (came["whole"] < sent["whole"]).any()
    assert (sent["whole"] == 1 + model_of(bundle).contexts.layers).all()


def test_a_tile_of_which_nothing_arrived(lapped: list[Segment]) -> None:
    left = [s for s in lapped if s.kind not in (Kind.TILE, Kind.MASK) or s.tile != 1]
    arrays = dump_scene(bundles.load(LAPPED), left).arrays
    assert arrays["state"][0, 1] == 255
    assert arrays["whole"][0, 1] == 0
    assert (arrays["level"][..., :8, 8:] == 255).all()
    assert not arrays["arrived"][..., :8, 8:].any()
    assert (arrays["nodata"][:64, 64:] == 255).all()
    assert arrays["arrived"][..., :8, :8].all()


def test_index_maps(corsa: list[Segment]) -> None:
    bundle = bundles.load(CORSA)
    sent, came = (dump_scene(bundle, part).arrays for part in (corsa, corsa[:6] + corsa[8:]))
    for level in (1, 2):
        index = came[f"index{level}"]
        assert index.shape == (-(-100 // (8 >> level)), -(-150 // (8 >> level)))
        arrived = index >= 0
        assert (index == sent[f"index{level}"])[arrived].all()
        assert not came[f"codeword{level}"][:, ~arrived].any()
        assert (sent[f"index{level}"] >= 0).all()
    assert (came["index2"] < 0).any()
    assert set(sent) == set(came) >= {"model", "shape", "state", "step_code", "means", "nodata"}


def test_the_bundle_alone_is_enough(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = (folder / FILES[LAPPED]).read_bytes()
    with pytest.raises(BundleError):
        Decoder(bundles.find(LAPPED))
    assert decode(FILES[LAPPED], "-o", "x.tif") == 5
    assert decode(FILES[LAPPED], "-o", "x.tif", "--linear", "--dump", "x.npz", "--json") == 0
    assert '"linear": true' in capsys.readouterr().out
    image = geotiff.read(folder / "x.tif").image
    decoded = Decoder(bundles.find(LAPPED), linear=True).decode(stream)
    assert (image == decoded.scene.image).all()
    assert decoded.halo == 0
    with np.load(folder / "x.npz") as arrays:
        assert tuple(arrays["shape"][:3]) == image.shape
        assert (arrays["nodata"] == (decoded.mask == 4)).all()
    original = procedural(3, 100, 90).image.astype(int)
    error = np.abs(image.astype(int) - original)[:, decoded.mask == 0]
    assert np.sqrt(np.square(error).mean()) < 200


def test_a_loss_reaches_no_other_tile(folder: Path, lapped: list[Segment]) -> None:
    decoder = Decoder(bundles.find(LAPPED), linear=True)
    whole = decoder.decode_segments(lapped)
    left = [s for s in lapped if s.kind in (Kind.TILE, Kind.MASK) and s.tile != 0]
    lossy = decoder.decode_segments(left, Wanted(width=90))
    assert set(np.unique(lossy.mask[:64, :64])) <= {3, 4}
    assert set(np.unique(lossy.mask[:64, 64:])) <= {0, 4}
    known = lossy.mask == 0
    assert (lossy.scene.image == whole.scene.image[:, : len(known)])[:, known].all()


def test_corsa_has_no_linear_image(folder: Path) -> None:
    with pytest.raises(UsageError, match="only its decoder graph"):
        Decoder(bundles.find(CORSA), linear=True)
    assert decode(FILES[CORSA], "-o", "x.tif", "--linear") == 2
    assert decode(FILES[CORSA], "--dump", "x.npz") == 0
    assert not (folder / "x.tif").exists()


def test_several_scenes(folder: Path, lapped: list[Segment]) -> None:
    bundle = bundles.load(LAPPED)
    image = procedural(4, 70, 64, nodata=False).image.astype(np.uint16)
    other = b"".join(Encoder(bundle).encode(image, options=Options(scene_id=5, ratio=9.0)))
    (folder / "both.sky").write_bytes(b"".join(s.pack() for s in lapped) + other)
    assert decode("both.sky", "--all-scenes", "--dump", "x.npz") == 0
    with np.load("x-5.npz") as arrays:
        assert arrays["shape"].tolist() == [4, 70, 64, 72]
    assert (folder / "x-0.npz").exists()
    assert not (folder / "x.npz").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--dump", "x.npy"),
        ("--dump", "x.npz", "--linear"),
        ("--dump", "x.npz", "--quicklook", "x.png"),
        ("--dump", "link.npz"),
        ("--dump", "x.npz", "--json", "x.npz"),
        ("-o", "x.tif", "--dump", "missing/x.npz"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "link.npz").hardlink_to(folder / FILES[LAPPED])
    kept = (folder / FILES[LAPPED]).read_bytes()
    assert decode(FILES[LAPPED], *arguments, *(("--linear",) if "-o" in arguments else ())) == 2
    assert (folder / FILES[LAPPED]).read_bytes() == kept


def test_a_loss_is_told(folder: Path, lapped: list[Segment], capsys: Any) -> None:
    (folder / "lossy.sky").write_bytes(b"".join(s.pack() for s in lapped[:9] + lapped[13:]))
    assert decode("lossy.sky", "--dump", "x.npz") == 4
    assert "some segments are missing, see whole of the dump" in capsys.readouterr().err
    assert (folder / "x.npz").exists()


def test_a_huge_scene_is_refused() -> None:
    bundle = bundles.load(LAPPED)
    side = int((MOST_SAMPLES / 4) ** 0.5) + 64
    header = SceneHeader("u16", 16, 4, side, side)
    segment = Segment(Kind.SCENE, 0, bundle.tag, 0, 0, 0, None, header.pack())
    with pytest.raises(LimitError, match="samples"):
        dump_scene(bundle, [segment])
