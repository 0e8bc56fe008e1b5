"""Scenes encoded along a trellis, from samples to samples."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ground import metrics
from ground.decode.decoder import Decoded, Decoder
from ground.decode.inventory import take_inventory
from ground.decode.mask import Mask
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.codec.tile import DEPENDENT
from onboard.encoder import Encoder, Options
from onboard.encoder.boundedplace import BoundedBox
from onboard.errors import UsageError
from onboard.image.tiles import TileGrid
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import Run

NAME = "skybook"


@pytest.fixture(scope="module")
def coder() -> Encoder:
    return Encoder(bundles.load(NAME))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


@pytest.fixture(scope="module")
def crop() -> Scene:
    """Part of the real scene: 2 x 3 tiles, those at the lower and right border cut."""
    return Scene(spyndex_scene().image[:, :80, :140], None, None, None, ())


@pytest.fixture(scope="module")
def pieces(coder: Encoder, crop: Scene) -> list[Segment]:
    """Segments of `crop`, each short, so that a tile has several."""
    options = Options(rmse=20.0, segment_bytes=300, trellis=True)
    return segments(coded(coder, crop, options, tile=64))


def coded(coder: Encoder, scene: Scene, options: Options, tile: int | None = None) -> bytes:
    return b"".join(coder.encode(scene.image, replace(scene.header(), tile=tile), options))


def segments(stream: bytes) -> list[Segment]:
    return [s for s in read_segments(stream) if isinstance(s, Segment)]


def joined(pieces: list[Segment]) -> bytes:
    return b"".join(piece.pack() for piece in pieces)


def psnr(scene: Scene, decoded: Decoded) -> float:
    return metrics.psnr(scene.image, decoded.scene.image, metrics.PEAK_16_BIT)


@pytest.mark.parametrize("ratio", [4, 20.48, 40])
def test_a_better_picture_in_the_same_bytes(coder: Encoder, decoder: Decoder, ratio: float) -> None:
    scene = spyndex_scene()
    quality = []
    for trellis in (False, True):
        stream = coded(coder, scene, Options(ratio=ratio, trellis=trellis))
        assert 0.98 * scene.image.nbytes / ratio < len(stream) <= scene.image.nbytes / ratio
        decoded = decoder.decode(stream)
        assert decoded.complete
        assert not decoded.mask.any()
        quality.append(psnr(scene, decoded))
    assert quality[1] > quality[0] + 0.15


def test_all_its_tiles_say_that_they_are_dependent(pieces: list[Segment]) -> None:
    first = [piece for piece in pieces if piece.kind == Kind.TILE and piece.layer == 0]
    assert [piece.tile for piece in first] == list(range(6))
    assert {piece.body[0] for piece in first} == {DEPENDENT}


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (9, 8), (8, 65), (70, 131)])
def test_small_and_odd_images(coder: Encoder, decoder: Decoder, shape: tuple[int, int]) -> None:
    scene = procedural(5, *shape, nodata=False)
    decoded = decoder.decode(coded(coder, scene, Options(rmse=20.0, trellis=True)))
    assert decoded.complete
    assert not decoded.mask.any()
    error = decoded.scene.image.astype(float) - scene.image
    assert np.sqrt(np.square(error).mean()) < 60


def test_nodata_is_kept(coder: Encoder, decoder: Decoder) -> None:
    scene = procedural(3, 150, 150)
    assert not scene.valid.all()
    decoded = decoder.decode(coded(coder, scene, Options(ratio=12.0, trellis=True)))
    assert np.array_equal(decoded.scene.valid, scene.valid)


@pytest.mark.parametrize(
    "options",
    [
        Options(rmse=20.0, trellis=True, one_layer=True),
        Options(rmse=20.0, trellis=True, packets=PacketOptions(128)),
        Options(rmse=20.0, trellis=True, segment_bytes=5_000),
    ],
    ids=["one layer", "short packets", "long segments"],
)
def test_how_a_scene_is_cut_does_not_change_pixels(
    coder: Encoder, decoder: Decoder, crop: Scene, pieces: list[Segment], options: Options
) -> None:
    whole = decoder.decode(joined(pieces)).scene.image
    decoded = decoder.decode(coded(coder, crop, options, tile=64))
    assert decoded.complete
    assert np.array_equal(decoded.scene.image, whole)


def test_how_many_rows_are_coded_together_does_not_change_bytes(
    coder: Encoder, crop: Scene
) -> None:
    together, apart = (
        coded(coder, crop, Options(ratio=20.0, trellis=True, window="strip", strips_at_once=count))
        for count in (8, 1)
    )
    assert together == apart


def test_noise_at_the_finest_steps(coder: Encoder, decoder: Decoder) -> None:
    """Residuals beyond the tables, and lanes that go raw."""
    samples = np.random.default_rng(8).integers(0, 65_536, (4, 70, 64)).astype(np.uint16)
    scene = Scene(samples, None, None, None, ())
    for options in (Options(rmse=0.5, trellis=True), Options(ratio=1, trellis=True)):
        decoded = decoder.decode(coded(coder, scene, options))
        assert decoded.complete
        assert not decoded.mask.any()
        assert psnr(scene, decoded) > 60


def test_plain_and_dependent_tiles_in_one_stream(
    coder: Encoder, decoder: Decoder, crop: Scene, pieces: list[Segment]
) -> None:
    plain = segments(coded(coder, crop, Options(rmse=20.0), tile=64))
    dependent = decoder.decode(joined(pieces)).scene.image
    moved = [replace(p, binding=pieces[0].binding) for p in plain if p.tile == 4]
    mixed = [p for p in pieces if p.tile != 4] + moved
    decoded = decoder.decode(joined(mixed))
    assert not decoded.mask.any()
    assert psnr(crop, decoded) > 65
    assert not np.array_equal(decoded.scene.image, dependent)


def test_losing_any_one_segment(decoder: Decoder, pieces: list[Segment]) -> None:
    whole = decoder.decode(joined(pieces)).scene.image
    tiles = [n for n, piece in enumerate(pieces) if piece.kind == Kind.TILE]
    for lost in tiles[:: max(1, len(tiles) // 12)]:
        part = decoder.decode(joined(pieces[:lost] + pieces[lost + 1 :]))
        same = part.mask == Mask.COMPLETE
        assert not same.all()
        difference = part.scene.image[:, same].astype(int) - whole[:, same]
        assert np.abs(difference).max(initial=0) <= 1


def test_what_is_missing_is_known(pieces: list[Segment]) -> None:
    lost = max(n for n, piece in enumerate(pieces) if piece.tile == 1 and piece.layer)
    left = [*pieces[:lost], *pieces[lost + 1 :]]
    assert not take_inventory(bundles.load(NAME), pieces).incomplete
    assert [tile.tile for tile in take_inventory(bundles.load(NAME), left).incomplete] == [1]


def test_a_bundle_of_fixed_rate_has_no_trellis(crop: Scene) -> None:
    corsa = Encoder(bundles.load("corsa-2level-1024"))
    with pytest.raises(UsageError, match="fixed rate"):
        list(corsa.encode(crop.image, None, Options(trellis=True)))


def test_the_command(run: Run, tmp_path: Path, crop: Scene) -> None:
    source, plain, along = (tmp_path / name for name in ("in.npy", "plain.sky", "along.sky"))
    np.save(source, crop.image)
    for output, more in ((plain, []), (along, ["--trellis"])):
        arguments = ["encode", source, "-o", output, "--bundle", NAME, "--rmse", 20, *more]
        assert run("onboard", *map(str, arguments)).returncode == 0
    stream = b"".join(
        Encoder(bundles.load(NAME)).encode(crop.image, None, Options(rmse=20.0, trellis=True))
    )
    assert segments(along.read_bytes())[1:] == segments(stream)[1:]
    assert along.read_bytes() != plain.read_bytes()


def of_quality(block: int) -> Options:
    return Options(psnr=66.0, quality_block=block, trellis=True)


@pytest.mark.parametrize(
    ("bands", "options", "tile"),
    [
        (4, Options(trellis=True), 72),
        (4, Options(), 72),
        (4, of_quality(0), 72),
        (4, of_quality(32), 96),
        (4, Options(trellis=True, regions=(BoundedBox.parse("0,0,9,9", "0"),)), 64),
        (4, Options(regions=(BoundedBox.parse("0,0,9,9", "0"),)), 64),
        (5, Options(trellis=True), 64),
        (3, Options(), 72),
    ],
)
def test_tiles_that_nobody_asked_for(
    coder: Encoder, decoder: Decoder, bands: int, options: Options, tile: int
) -> None:
    image = np.concatenate([spyndex_scene().image] * 2)[:bands, :130, :140]
    stream = b"".join(coder.encode(image, options=options))
    assert decoder.decode(stream).complete
    numbers = {s.tile for s in segments(stream) if s.kind == Kind.TILE}
    assert numbers == set(range(TileGrid(140, 130, tile).count))


def test_planes_of_a_mosaic_have_small_tiles(coder: Encoder) -> None:
    planes = np.ascontiguousarray(spyndex_scene().image[:, :70, :70])
    header = replace(SceneHeader.of(planes), bayer="rggb")
    stream = b"".join(coder.encode(planes, header, Options(trellis=True)))
    assert {s.tile for s in segments(stream) if s.kind == Kind.TILE} == {0, 1, 2, 3}
