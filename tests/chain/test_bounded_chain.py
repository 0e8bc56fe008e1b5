"""A bound on the error, from the command line to the product."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.lapped.bounded import renamed, with_bounded
from ground.decode.decoder import DECODERS, Decoder
from ground.decode.dump import dump_scene
from ground.decode.inventory import take_inventory
from ground.decode.mask import Mask
from onboard import bundle as bundles
from onboard.bundle import Bundle, delta
from onboard.bundle.scrub import Scrub
from onboard.codec.bound import Bound
from onboard.codec.bounded.model import BoundedModel
from onboard.encoder import Encoder, Options
from onboard.encoder.boundedplace import BoundedBox
from onboard.errors import BundleError, UsageError
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from tests.conftest import Run
from tests.onboard.codec.bounded.tiles import PART, smooth


def bounded_bundle(folder: Path) -> Path:
    """Write the shipped bundle with a part `bounded`, its decoder beside it."""
    made = with_bounded(bundles.load("skybook"), PART.read_bytes())
    found = folder / "skybook.skyb"
    found.write_bytes(made.pack())
    decoder = (DECODERS / "skybook.onnx").read_bytes()
    found.with_suffix(".onnx").write_bytes(renamed(decoder, made))
    return found


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bounded_bundle(tmp_path_factory.mktemp("bounded"))


@pytest.fixture(scope="session")
def encoder(path: Path) -> Encoder:
    return Encoder(bundles.load(str(path)))


@pytest.fixture(scope="session")
def decoder(path: Path) -> Decoder:
    return Decoder(path)


def scene(bands: int, rows: int, cols: int) -> NDArray[np.uint16]:
    return smooth((1, bands, rows, cols), 7)[0].astype(np.uint16)


def stream(encoder: Encoder, image: NDArray[np.uint16], bound: str, **options: object) -> bytes:
    header = replace(SceneHeader.of(image), nodata=0)
    asked = Options(max_error=Bound.parse(bound), **options)  # type: ignore[arg-type]
    return b"".join(encoder.encode(image, header, asked))


@pytest.mark.parametrize(("bands", "bound"), [(1, "2"), (4, "0"), (6, "0,1,2,3,4,5"), (16, "3")])
def test_scenes_of_any_bands(encoder: Encoder, decoder: Decoder, bands: int, bound: str) -> None:
    image = scene(bands, 12, 70)
    image[:, 5:9, 60:68] = 0
    image[:, :, :3] = 0
    decoded = decoder.decode(stream(encoder, image, bound))
    assert decoded.complete
    assert ((decoded.mask == Mask.NODATA) == (image == 0).all(axis=0)).all()
    assert ((decoded.scene.image == 0) == (image == 0)).all()
    off = np.abs(decoded.scene.image.astype(int) - image)
    assert (off <= Bound.parse(bound).at(image)).all()


def test_loss_is_told_and_the_rest_is_exact(encoder: Encoder, decoder: Decoder) -> None:
    image = scene(3, 32, 34)
    image[:, 10:12, 10:30] = 0
    segments = list(
        encoder.encode(
            image,
            replace(SceneHeader.of(image), nodata=0),
            Options(max_error=Bound((0,)), segment_bytes=200),
        )
    )
    whole = take_inventory(encoder.bundle, read_segments(b"".join(segments)))
    assert whole.complete
    lost = len(segments) // 2
    left = b"".join(segments[:lost] + segments[lost + 1 :])
    decoded = decoder.decode(left)
    assert not decoded.complete
    right = decoded.mask == Mask.COMPLETE
    assert (decoded.scene.image == image)[:, right].all()
    assert (decoded.mask[10:12, 10:30] == Mask.NODATA).all()
    assert (decoded.scene.image[:, decoded.mask != Mask.NODATA] != 0).all()
    missing = take_inventory(encoder.bundle, read_segments(left))
    assert [tile.tile for tile in missing.incomplete] == [0]
    assert 1 <= missing.incomplete[0].layers < 4
    dump = dump_scene(encoder.bundle, read_segments(left))
    arrived = dump.arrays["arrived"]
    assert not dump.complete
    assert arrived.any(axis=(1, 2)).tolist() == [True, True, False]
    assert (dump.arrays["sample"] == image)[arrived].all()


def test_a_tile_whose_mask_is_lost_is_not_guessed_at(encoder: Encoder, decoder: Decoder) -> None:
    image = scene(2, 20, 20)
    image[:, 4:8, 4:8] = 0
    header = replace(SceneHeader.of(image), nodata=0)
    segments = list(encoder.encode(image, header, Options(max_error=Bound((0,)))))
    without = b"".join(s for s in segments if s[2] & 15 != 2)
    decoded = decoder.decode(without)
    assert (decoded.mask == Mask.CONCEALED).all()


def test_layers_apart_and_packets(encoder: Encoder, decoder: Decoder) -> None:
    image = scene(2, 20, 90)
    for options in ({"one_layer": True}, {"window": "strip", "strips_at_once": 1}):
        decoded = decoder.decode(stream(encoder, image, "1", **options))
        assert decoded.complete
        assert np.abs(decoded.scene.image.astype(int) - image).max() == 1


def test_command_line(run: Run, path: Path, tmp_path: Path) -> None:
    image = scene(5, 12, 70)
    image.transpose(1, 0, 2).tofile(tmp_path / "a.bil")
    raw = ("--layout", "bil", "--bands", 5, "--width", 70, "--bundle", path, "-o", "a.pkt")
    done = run("onboard", "encode", "a.bil", *raw, "--max-error", "0,1,2,3,4", "--json", "a.json")
    assert done.returncode == 0, done.stderr
    assert "max error 0,1,2,3,4 DN" in done.stdout
    told = json.loads((tmp_path / "a.json").read_text())
    assert (told["max_error"], told["asked"], told["met"]) == ("0,1,2,3,4", None, True)
    streamed = run("onboard", "stream", "--input", "a.bil", *raw[:-1], "b.pkt", "--max-error", "0")
    assert streamed.returncode == 0, streamed.stderr
    done = run("ground", "decode", "b.pkt", "--bundle", path, "-o", "b.tif")
    assert done.returncode == 0, done.stderr
    assert "complete 100.00 %" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-error", "1,2"), "one for each of 4 bands"),
        (("--max-error", "-1"), "found '-1'"),
        (("--max-error", "1.5"), "sqrt:K"),
        (("--max-error", "1", "--ratio", "3"), "not allowed with"),
        (("--max-error", "1", "--trellis"), "trellis"),
    ],
)
def test_bounds_that_cannot_be(
    run: Run, path: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    np.save(tmp_path / "a.npy", scene(4, 8, 8))
    done = run("onboard", "encode", "a.npy", "--bundle", path, "-o", "a.sky", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_bundles_without_the_part_say_so() -> None:
    encoder = Encoder(bundles.load("corsa-2level-1024"))
    with pytest.raises(UsageError, match="no part `bounded`"):
        list(encoder.encode(scene(4, 8, 8), None, Options(max_error=Bound((0,)))))


def test_other_scenes_are_as_before(encoder: Encoder) -> None:
    shipped = Encoder(bundles.load("skybook"))
    image = scene(4, 70, 70)
    options = Options(ratio=5, run=7, scene_id=1)
    ours, theirs = (list(e.encode(image, None, options)) for e in (encoder, shipped))
    assert [part[:-4] for part in ours[1:-1]] == [part[:-4] for part in theirs[1:-1]]


def test_the_part_is_checked(encoder: Encoder) -> None:
    bundle = encoder.bundle
    wire = bundle.manifest["wire"]
    said = bundle.manifest
    for spoilt in (
        {k: v for k, v in wire.items() if k != "bounded_sha256"},
        {**wire, "bounded_sha256": "0" * 64},
    ):
        with pytest.raises(BundleError, match="part bounded"):
            Bundle.assemble("x", spoilt, bundle.parts, said["encoder"], said["ground"])
    missing = {name: part for name, part in bundle.parts.items() if name != "bounded"}
    with pytest.raises(BundleError, match="part bounded"):
        Bundle.assemble("x", wire, missing, said["encoder"], said["ground"])
    assert Bundle.unpack(bundle.pack()).pack() == bundle.pack()


def test_a_delta_brings_the_part_and_takes_it_away(encoder: Encoder) -> None:
    old, new = bundles.load("skybook"), encoder.bundle
    update = delta.make(old, new.pack())
    assert len(update) < 20_000
    assert delta.apply(update, old) == new.pack()
    assert delta.apply(delta.make(new, old.pack()), new) == old.pack()


def test_a_flipped_bit_of_the_part_is_found(path: Path) -> None:
    bundle = bundles.load(str(path))
    coder = Encoder(bundle).coder
    scrub = Scrub(bundle, coder)
    scrub.check()
    (model,) = bundle.bounded.memory  # type: ignore[union-attr]
    assert isinstance(model, BoundedModel)
    model.weights[1, 3] ^= 4
    with pytest.raises(BundleError, match="weights changed in memory"):
        scrub.check()
    with pytest.raises(BundleError, match="do not pass"):
        Scrub(bundle, coder)


def test_export_puts_the_part_into_a_bundle(run: Run, tmp_path: Path, path: Path) -> None:
    done = run("export", "bounded", "skybook", PART, "-o", "mine.skyb")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.skyb").read_bytes() == path.read_bytes()
    (tmp_path / "bad.part").write_bytes(PART.read_bytes()[:-1])
    done = run("export", "bounded", "skybook", "bad.part", "-o", "other.skyb")
    assert done.returncode == 5
    assert "part bounded" in done.stderr


def test_boxes_within_a_bound_in_a_scene_of_a_rate(encoder: Encoder, decoder: Decoder) -> None:
    image = scene(4, 130, 200)
    image[:, 20:30, 70:75] = 0
    header = replace(SceneHeader.of(image), nodata=0)
    boxes = (BoundedBox.parse("70,0,90,10", "0"), BoundedBox.parse("0,64,130,65", "2"))
    options = Options(budget=60_000, regions=boxes)
    segments = list(encoder.encode(image, header, options))
    assert 55_000 < sum(map(len, segments)) <= 60_000
    decoded = decoder.decode(b"".join(segments))
    assert decoded.complete
    off = np.abs(decoded.scene.image.astype(int) - image)
    assert off[:, :64, 64:128].max() == 0
    assert 0 < off[:, 64:128, :192].max() <= 2
    assert off[:, :64, :64].max() > 2
    assert ((decoded.scene.image == 0) == (image == 0)).all()
    assert take_inventory(encoder.bundle, read_segments(b"".join(segments))).complete
    assert dump_scene(encoder.bundle, read_segments(b"".join(segments))).complete

    lossy = [n for n, s in enumerate(segments) if s[2:4] == b"\x11\x00" and s[6:8] == b"\x00\x00"]
    left = b"".join(s for n, s in enumerate(segments) if n != lossy[0])
    decoded = decoder.decode(left)
    assert not decoded.complete
    assert (decoded.mask[:64, :64] == Mask.CONCEALED).all()
    assert (
        decoded.mask[:64, 64:128] == np.where((image == 0).all(axis=0)[:64, 64:128], 4, 0)
    ).all()
    assert (decoded.scene.image == image)[:, :64, 64:128].all()


def test_a_box_that_lost_a_segment(encoder: Encoder, decoder: Decoder) -> None:
    image = scene(4, 64, 128)
    options = Options(ratio=4, regions=(BoundedBox((0, 0, 9, 9), Bound((1,))),))
    segments = list(encoder.encode(image, None, options))
    of_box = [n for n, s in enumerate(segments) if s[2] == 0x11 and s[6:8] == b"\x00\x00"]
    left = b"".join(s for n, s in enumerate(segments) if n != of_box[-1])
    decoded = decoder.decode(left)
    arrived = decoded.mask[:, :64] == Mask.COMPLETE
    assert 0 < arrived.sum() < arrived.size
    assert np.abs(decoded.scene.image.astype(int) - image)[:, :, :64][:, arrived].max() <= 1
    assert (decoded.mask[:, 64:] != Mask.CONCEALED).all()
    missing = take_inventory(encoder.bundle, read_segments(left))
    assert [tile.tile for tile in missing.incomplete] == [0]


@pytest.mark.parametrize("box", ["1,2,3", "5,0,5,9", "a,b,c,d", "-1,0,2,2"])
def test_boxes_that_are_none(box: str) -> None:
    with pytest.raises(UsageError, match="region"):
        BoundedBox.parse(box, "0")


def test_a_box_on_the_command_line(run: Run, path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", scene(4, 64, 90))
    common = ("onboard", "encode", "a.npy", "--bundle", path, "-o", "a.sky")
    done = run(*common, "--ratio", "6", "--region-max-error", "0,0,4,4", "0")
    assert done.returncode == 0, done.stderr
    done = run(*common, "--max-error", "6", "--region-max-error", "0,0,4,4", "0")
    assert done.returncode == 2
    assert "whole scene" in done.stderr
