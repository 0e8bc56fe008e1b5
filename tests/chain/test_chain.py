"""The whole chain: what a user, a flight engineer and a ground station see."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ground import metrics
from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.encoder import Encoder, Options
from onboard.link.end import EndOfScene
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Segment
from tests.conftest import NAME, Run


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


def coded(encoder: Encoder, scene: Scene, options: Options | None = None) -> bytes:
    return b"".join(encoder.encode(scene.image, scene.header(), options))


def segments(stream: bytes) -> list[Segment]:
    found = list(read_segments(stream))
    assert all(isinstance(s, Segment) for s in found)
    return [s for s in found if isinstance(s, Segment)]


def test_real_scene_comes_back(encoder: Encoder, decoder: Decoder) -> None:
    scene = spyndex_scene()
    decoded = decoder.decode(coded(encoder, scene))
    assert decoded.complete
    assert not decoded.mask.any()
    assert decoded.scene.image.dtype == np.uint16
    assert metrics.psnr(scene.image, decoded.scene.image, 65_535) > 60


def test_georeference_bands_and_nodata_survive(
    encoder: Encoder, decoder: Decoder, scene: Scene
) -> None:
    decoded = decoder.decode(coded(encoder, scene))
    assert decoded.complete
    for name in ("nodata", "transform", "crs", "band_ids"):
        assert getattr(decoded.scene, name) == getattr(scene, name)
    nodata = (scene.image == scene.nodata).all(axis=0)
    assert nodata.any()
    assert np.array_equal(decoded.mask == Mask.NODATA, nodata)
    assert np.array_equal((decoded.scene.image == scene.nodata).all(axis=0), nodata)


@pytest.mark.parametrize("levels", [2, 3])
def test_payload_is_table_1_of_the_paper(run: Run, levels: int) -> None:
    name = f"corsa-{levels}level-1024"
    if name not in bundles.known():
        pytest.skip(f"{name} is not shipped")
    shown = json.loads(run("onboard", "info", name, "--tile", 120, "--json").stdout)
    table = {2: [1125, 4500], 3: [282, 1125, 4500]}
    assert shown["payload_bytes_per_level"] == table[levels]


@pytest.mark.parametrize(
    ("codewords", "expected"),
    [(256, [225, 900, 3600]), (512, [254, 1013, 4050]), (1024, [282, 1125, 4500])],
)
def test_equation_1(codewords: int, expected: list[int]) -> None:
    from onboard.codec.bitpack import packed_bytes

    width = (codewords - 1).bit_length()
    assert [packed_bytes(side * side, width) for side in (15, 30, 60)] == expected


def test_all_other_bytes_stay_below_4_percent(encoder: Encoder, bundle: Bundle) -> None:
    payload = sum(bundle.codec.payload_bytes(120, 120))
    patch = procedural(1, 120, 120, nodata=False).image
    assert payload < len(b"".join(encoder.encode(patch))) < 1.04 * payload
    scene = procedural(1, 480, 480, nodata=False)
    assert 16 * payload < len(coded(encoder, scene)) < 1.04 * 16 * payload


@pytest.mark.parametrize("limit", [128, 300, 1000, 65_551])
def test_no_segment_is_longer_than_the_limit(
    encoder: Encoder, decoder: Decoder, scene: Scene, limit: int
) -> None:
    header = procedural(3, 150, 260).header()
    pieces = list(encoder.encode(scene.image, header, Options(segment_bytes=limit)))
    assert max(map(len, pieces)) <= limit
    whole = decoder.decode(coded(encoder, scene)).scene.image
    assert np.array_equal(decoder.decode(b"".join(pieces)).scene.image, whole)


def test_order_of_segments_does_not_matter(
    encoder: Encoder, decoder: Decoder, scene: Scene
) -> None:
    pieces = list(encoder.encode(scene.image, scene.header()))
    shuffled = [pieces[i] for i in np.random.default_rng(0).permutation(len(pieces))]
    first, second = (decoder.decode(b"".join(p)) for p in (pieces, shuffled))
    assert second.complete
    assert np.array_equal(first.scene.image, second.scene.image)


def test_lost_segments_are_masked_and_nothing_else_changes(
    encoder: Encoder, decoder: Decoder, scene: Scene
) -> None:
    pieces = list(encoder.encode(scene.image, scene.header()))
    whole = decoder.decode(b"".join(pieces))
    rng = np.random.default_rng(1)
    for _ in range(5):
        kept = [p for p in pieces[:-1] if rng.random() > 0.5] + pieces[-1:]
        part = decoder.decode(b"".join(kept), Wanted(width=scene.image.shape[2]))
        assert part.mask.shape == whole.mask.shape
        assert not part.complete
        nodata = part.mask == Mask.NODATA
        assert (whole.mask[nodata] == Mask.NODATA).all()
        untouched = part.mask == Mask.COMPLETE
        difference = part.scene.image[:, untouched].astype(int) - whole.scene.image[:, untouched]
        # Without a header the nodata value is unknown, and valid samples are not kept off it.
        assert np.abs(difference).max(initial=0) <= (0 if part.reception.header else 1)
        assert np.isin(part.mask, (Mask.FINE_MISSING, Mask.CONCEALED)).any()


def test_fine_layer_lost_is_told_apart_from_tile_lost(encoder: Encoder, decoder: Decoder) -> None:
    scene = procedural(5, 120, 240, nodata=False)
    stream = coded(encoder, scene, Options(one_layer=True))
    kept = [s for s in segments(stream) if not (s.tile == 0 and s.layer == 2)]
    decoded = decoder.decode(b"".join(s.pack() for s in kept))
    assert set(np.unique(decoded.mask[:, :120])) == {Mask.FINE_MISSING}
    assert not decoded.mask[:, 120:].any()
    kept = [s for s in segments(stream) if not (s.tile == 0 and s.layer == 0 and s.kind == 1)]
    decoded = decoder.decode(b"".join(s.pack() for s in kept))
    assert set(np.unique(decoded.mask[:, :120])) == {Mask.CONCEALED}


def test_a_lost_tile_is_filled_from_what_is_around_it(encoder: Encoder, decoder: Decoder) -> None:
    tile = encoder.bundle.tile
    ramp = np.linspace(1_000, 3_000, 3 * tile)[None, None] * np.ones((4, tile, 1))
    scene = Scene(ramp.astype(np.uint16))
    kept = b"".join(s.pack() for s in segments(coded(encoder, scene)) if s.tile != 1)
    decoded = decoder.decode(kept)
    lost = np.s_[:, :, tile : 2 * tile]
    assert (decoded.mask[lost[1:]] == Mask.CONCEALED).all()
    away = decoded.scene.image[lost].astype(float) - scene.image[lost]
    assert np.sqrt((away**2).mean()) < 100  # one value for the tile would be 190 off


def test_a_part_of_a_layer_lost_leaves_a_ring(encoder: Encoder, decoder: Decoder) -> None:
    scene = procedural(5, 120, 120, nodata=False)
    pieces = segments(coded(encoder, scene))
    whole = decoder.decode(b"".join(s.pack() for s in pieces))
    last = max(i for i, s in enumerate(pieces) if s.kind == 1)
    decoded = decoder.decode(b"".join(s.pack() for i, s in enumerate(pieces) if i != last))
    assert {Mask.COMPLETE, Mask.INFLUENCED, Mask.FINE_MISSING} == set(np.unique(decoded.mask))
    same = decoded.mask == Mask.COMPLETE
    assert np.array_equal(decoded.scene.image[:, same], whole.scene.image[:, same])


def test_stream_without_headers_decodes_when_width_is_given(
    encoder: Encoder, decoder: Decoder
) -> None:
    scene = procedural(5, 200, 240, nodata=False)
    stream = segments(coded(encoder, scene))
    whole = decoder.decode(b"".join(s.pack() for s in stream))
    bare = b"".join(s.pack() for s in stream if s.kind == 1)
    decoded = decoder.decode(bare, Wanted(width=240))
    assert np.array_equal(decoded.scene.image, whole.scene.image)
    assert not decoded.complete


def test_threads_do_not_change_pixels(encoder: Encoder, scene: Scene) -> None:
    stream = coded(encoder, scene)
    images = [Decoder(bundles.find(NAME), n).decode(stream).scene.image for n in (1, 2)]
    assert np.array_equal(*images)


def test_engine_threads_do_not_change_bytes(bundle: Bundle, scene: Scene) -> None:
    assert coded(Encoder(bundle, "ort", 1), scene) == coded(Encoder(bundle, "ort", 2), scene)


def test_tiles_with_equal_indices_decode_equal_whatever_the_engine(
    bundle: Bundle, encoder: Encoder, decoder: Decoder
) -> None:
    scene = procedural(8, 360, 360, nodata=False)
    streams = [coded(encoder, scene), coded(Encoder(bundle, "litert"), scene)]
    bodies = [[(s.tile, s.body) for s in segments(stream) if s.kind == 1] for stream in streams]
    images = [decoder.decode(stream).scene.image for stream in streams]
    assert np.abs(images[0].astype(int) - images[1]).mean() < 20
    compared = 0
    for tile in range(9):
        if [b for t, b in bodies[0] if t == tile] == [b for t, b in bodies[1] if t == tile]:
            row, col = 120 * (tile // 3), 120 * (tile % 3)
            box = np.s_[:, row : row + 120, col : col + 120]
            assert np.array_equal(images[0][box], images[1][box])
            compared += 1
    assert compared


def test_a_tile_hangs_on_its_own_pixels_alone(encoder: Encoder) -> None:
    scene = procedural(9, 240, 240, nodata=False)
    whole = [s.body for s in segments(coded(encoder, scene)) if s.kind == 1 and s.tile == 3]
    cut = Scene(scene.image[:, 120:, 120:], None, None, None, ())
    assert [s.body for s in segments(coded(encoder, cut)) if s.kind == 1] == whole


def test_raw_layouts_and_npy_give_the_same_stream(
    run: Run, tmp_path: Path, image: NDArray[np.uint16]
) -> None:
    np.save(tmp_path / "scene.npy", image)
    orders = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
    done = run("onboard", "encode", "scene.npy", "--bundle", NAME, "-o", "npy.sky")
    assert done.returncode == 0, done.stderr
    assert re.search(r"ratio \d", done.stdout)
    for layout, axes in orders.items():
        order = "big" if layout == "bil" else "little"
        kind = ">u2" if order == "big" else "<u2"
        image.transpose(axes).astype(kind).tofile(tmp_path / f"scene.{layout}")
        options = ["--layout", layout, "--width", image.shape[2], "--byte-order", order]
        options += ["--bands", 4]
        out = f"{layout}.sky"
        done = run("onboard", "encode", f"scene.{layout}", *options, "--bundle", NAME, "-o", out)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / out).read_bytes() == (tmp_path / "npy.sky").read_bytes()


def test_ground_encode_and_decode(run_fresh: Run, tmp_path: Path, scene: Scene) -> None:
    geotiff.write(tmp_path / "in.tif", scene)
    done = run_fresh(
        "ground", "encode", "in.tif", "--bundle", NAME, "-o", "x.sky", "--json", "x.json"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "x.json").read_text())
    assert figures["schema"] == 1
    assert figures["bytes"] == (tmp_path / "x.sky").stat().st_size
    done = run_fresh(
        "ground", "decode", "x.sky", "-o", "out.tif", "--original", "in.tif", "--quicklook", "q.png"
    )
    assert done.returncode == 0, done.stderr
    back = geotiff.read(tmp_path / "out.tif")
    assert (back.crs, back.transform, back.nodata) == (scene.crs, scene.transform, scene.nodata)
    mask = geotiff.read(tmp_path / "out.mask.tif")
    assert mask.image.dtype == np.uint8
    assert set(np.unique(mask.image)) <= {Mask.COMPLETE, Mask.NODATA}
    assert (tmp_path / "q.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", [NAME, "corsa-3level-1024"])
@pytest.mark.parametrize("engine", ["ort", "litert"])
def test_selftest(run: Run, engine: str, name: str) -> None:
    done = run("onboard", "selftest", name, "--engine", engine, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agreement_percent"] == 100


def test_selftest_fails_on_a_graph_that_is_not_the_bundle_s(
    run: Run, tmp_path: Path, bundle: Bundle
) -> None:
    golden = bytearray(bundle.parts["golden"])
    golden[-5_000:] = bytes(5_000)
    manifest = bundle.manifest
    other = Bundle.assemble(
        "other",
        manifest["wire"],
        {**bundle.parts, "golden": bytes(golden)},
        manifest["encoder"],
        manifest["ground"],
    )
    (tmp_path / "other.skyb").write_bytes(other.pack())
    done = run("onboard", "selftest", "other.skyb")
    assert done.returncode == 5
    assert "FAILED" in done.stdout


def test_memory_stays_small_on_a_large_scene(run_fresh: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.tile(procedural(2, 512, 512).image, (1, 2, 2)))
    done = run_fresh("onboard", "encode", "x.npy", "--bundle", NAME, "-o", "x.sky", "--json")
    figures = json.loads(done.stdout)
    assert figures["raw_bytes"] == 8 * 1024**2
    assert figures["peak_rss_mb"] <= 250


def test_samples_stay_in_their_range(encoder: Encoder, decoder: Decoder) -> None:
    image = procedural(4, 120, 120, nodata=False).image.astype(np.int16) - 2_000
    decoded = decoder.decode(b"".join(encoder.encode(image)))
    assert decoded.scene.image.dtype == np.int16
    assert metrics.psnr(image, decoded.scene.image, 65_535) > 50
    small = (procedural(4, 120, 120, nodata=False).image // 64).astype(np.uint8)
    decoded = decoder.decode(b"".join(encoder.encode(small)))
    assert decoded.scene.image.dtype == np.uint8
    assert metrics.rmse(small, decoded.scene.image) < 4


def test_decoded_samples_keep_to_the_significant_bits(encoder: Encoder, decoder: Decoder) -> None:
    image = np.full((4, 120, 120), 4_095, np.uint16)
    image[:, ::3, ::2] = 0
    header = replace(SceneHeader.of(image), significant_bits=12)
    decoded = decoder.decode(b"".join(encoder.encode(image, header)))
    assert decoded.scene.image.max() == 4_095
    wide = decoder.decode(b"".join(encoder.encode(image)))
    assert wide.scene.image.max() > 4_095


def test_scene_header_is_every_64th_segment_and_the_end_counts(encoder: Encoder) -> None:
    found = segments(coded(encoder, procedural(1, 360, 480, nodata=False)))
    headers = [number for number, s in enumerate(found) if s.kind == 0]
    assert headers == list(range(0, len(found) - 1, 64))
    assert len(headers) > 1
    run = SceneHeader.unpack(found[0].body).run
    assert EndOfScene.unpack(found[-1].body) == EndOfScene(360, len(found) - 1, run)
