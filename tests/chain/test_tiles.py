"""Tiles of scenes that leave a choice: from 64 pixels a side to 128, of one band to 256."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from ground.__main__ import main
from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from ground.decode.reception import Reception
from ground.decode.wanted import Wanted
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.encoder.batches import parts_of
from onboard.encoder.boundedplace import BoundedBox
from onboard.encoder.indices import open_encoder
from onboard.errors import InputError, StreamError, UsageError
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

SIDE = 200


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundles.load("skybook")


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find("skybook"))


def _image(bands: int) -> NDArray[np.uint16]:
    return procedural(4, SIDE, SIDE, bands, nodata=False).image


def _told(stream: bytes) -> tuple[int | None, int]:
    """Return what the header says of tiles, and how many there are."""
    segments = [s for s in read_segments(stream) if isinstance(s, Segment)]
    header = next(SceneHeader.unpack(s.body) for s in segments if s.kind == Kind.SCENE)
    return header.tile, len({s.tile for s in segments if s.kind == Kind.TILE})


@pytest.mark.parametrize(
    ("bands", "asked", "told", "tiles"),
    [
        (1, None, 200, 1),
        (1, 128, None, 4),
        (2, None, 104, 4),
        (3, None, 104, 4),
        (3, 64, None, 16),
        (3, 72, 72, 9),
        (4, None, 104, 4),
        (4, 64, None, 16),
        (4, 128, 128, 4),
        (5, None, None, 16),
    ],
)
def test_a_scene_has_the_tiles_asked_for(
    bundle: Bundle, decoder: Decoder, bands: int, asked: int | None, told: int | None, tiles: int
) -> None:
    image = _image(bands)
    header = SceneHeader.of(image, tile=asked)
    stream = b"".join(Encoder(bundle).encode(image, header, Options(ratio=6.0)))
    assert _told(stream) == (told, tiles)
    decoded = decoder.decode(stream)
    assert not decoded.mask.any()
    error = decoded.scene.image.astype(np.int64) - image
    assert np.sqrt((error**2).mean()) < image.std() / 20


@pytest.mark.parametrize(
    ("bands", "tile"), [(1, 56), (1, 264), (3, 32), (3, 76), (3, 136), (5, 128), (16, 128)]
)
def test_others_are_refused(bundle: Bundle, bands: int, tile: int) -> None:
    image = _image(bands)
    with pytest.raises(InputError, match=f"found {tile}"):
        list(Encoder(bundle).encode(image, SceneHeader.of(image, tile=tile)))


def test_a_mosaic_has_usual_tiles(bundle: Bundle) -> None:
    planes = _image(4)
    header = SceneHeader.of(planes, bayer="rggb", tile=128)
    with pytest.raises(InputError, match="Bayer"):
        list(Encoder(bundle).encode(planes, header))
    body = SceneHeader.of(planes, bayer="rggb").pack()
    with pytest.raises(StreamError, match="Bayer"):
        SceneHeader.unpack(body + bytes([0x80 | 27, 0, 1, 16]))


def test_tiles_of_a_corsa_bundle_are_its_own() -> None:
    bundle = bundles.load("corsa-2level-1024")
    image = _image(4)
    with pytest.raises(InputError, match="expected the 120 of the model, found 128"):
        bundle.to_encode(SceneHeader.of(image, tile=128))


@pytest.mark.parametrize(
    ("size", "bands", "along", "tile"),
    [
        ((264, 264), 3, False, 88),
        ((264, 264), 4, True, 88),
        ((264, 264), 4, False, 88),
        ((0, 264), 2, False, 88),
        ((200, 300), 2, False, 104),
        ((379, 578), 3, False, 128),
        ((20, 50), 3, False, 64),
        ((20, 50), 1, False, 64),
        ((192, 192), 1, False, 192),
        ((600, 300), 1, False, 200),
        ((4000, 4000), 1, True, 256),
        ((4000, 4000), 5, True, None),
    ],
)
def test_tiles_cut_a_scene_evenly(
    bundle: Bundle, size: tuple[int, int], bands: int, along: bool, tile: int | None
) -> None:
    tiling = Options(trellis=along).tiling
    found = bundle.codec.best_tile(bands, size, tiling)
    assert found == tile
    counts = [-(-side // (128 if bands > 1 else 256)) for side in size]
    if tile is not None:
        assert [-(-side // tile) for side in size] == counts


@pytest.mark.parametrize(
    ("bands", "options", "tile"),
    [
        (3, Options(max_error=Bound.parse("2")), 128),
        (4, Options(max_error=Bound.parse("2")), None),
        (3, Options(regions=(BoundedBox((0, 0, 64, 64), Bound.parse("2")),)), 128),
        (4, Options(regions=(BoundedBox((0, 0, 64, 64), Bound.parse("2")),)), None),
        (4, Options(psnr=60.0), 104),
        (4, Options(psnr=60.0, quality_block=64), 128),
    ],
)
def test_where_parts_of_a_scene_are_followed_closely_tiles_are_usual(
    bundle: Bundle, bands: int, options: Options, tile: int | None
) -> None:
    assert bundle.codec.best_tile(bands, (SIDE, SIDE), options.tiling) == tile


@pytest.mark.parametrize(("rows", "bands", "tile"), [(257, 1, 72), (169, 1, 72), (181, 3, 72)])
def test_rows_of_tiles_as_windows_have_the_tiles_of_a_stream(
    bundle: Bundle, rows: int, bands: int, tile: int
) -> None:
    """Its height is told at the end, so that it has no say in its tiles."""
    image = procedural(5, rows, 65, bands, nodata=False).image
    header, options = SceneHeader.of(image), Options(ratio=8.0, window="strip")
    encoder, chosen = open_encoder(bundle, header, options, along_trellis=False)
    whole = b"".join(encoder.encode(image, header, chosen))
    assert _told(whole)[0] == tile
    unknown = replace(header, height=0)
    strips = Encoder(bundle).stream(parts_of(image, tile), unknown, chosen)
    assert b"".join(segment for strip in strips for segment in strip.segments) == whole


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        (88, Options(max_error=Bound.parse("2"))),
        (96, Options(psnr=60.0, quality_block=64)),
        (88, Options(psnr=60.0, quality_block=16)),
    ],
)
def test_tiles_must_go_with_what_is_asked_of_parts(
    bundle: Bundle, asked: int, options: Options
) -> None:
    image = _image(3)
    with pytest.raises(UsageError, match=f"tile: expected .*, found {asked}"):
        list(Encoder(bundle).encode(image, SceneHeader.of(image, tile=asked), options))


@pytest.mark.parametrize(
    ("bands", "tile", "trellis", "said"),
    [
        (3, 64, False, False),
        (3, 128, False, False),
        (3, None, False, False),
        (4, None, False, False),
        (4, 64, False, False),
        (4, None, True, False),
        (4, 128, True, False),
        (1, None, False, False),
        (3, 72, False, False),
        (3, 72, False, True),
    ],
)
def test_without_a_header_tiles_are_found_out(
    tmp_path: Path, bundle: Bundle, bands: int, tile: int | None, trellis: bool, said: bool
) -> None:
    """By those that arrived, where they are of a kind that the encoder gives; others are said."""
    image = _image(bands)
    header = SceneHeader.of(image, tile=tile)
    segments = Encoder(bundle).encode(image, header, Options(ratio=6.0, trellis=trellis))
    stream = b"".join(s for s in segments if Segment.unpack(s)[0].kind != Kind.SCENE)
    path, output = tmp_path / "x.sky", tmp_path / "x.tif"
    path.write_bytes(stream)
    options = ["--width", str(SIDE), "--bands", str(bands), "--bundle", "skybook"]
    options += ["--tile", str(tile)] if said else []
    main(["decode", str(path), "-o", str(output), *options])
    with rasterio.open(output) as file:
        error = file.read().astype(np.int64) - image
    assert np.sqrt((error**2).mean()) < image.std() / 20


@pytest.mark.parametrize("shape", [(256, 256), (120, 100)])
def test_what_may_stand_elsewhere_is_not_called_complete(
    bundle: Bundle, decoder: Decoder, shape: tuple[int, int]
) -> None:
    """Whole tiles of 128 might as well be of 64; a tile alone stands where it does."""
    image = np.ascontiguousarray(procedural(3, 256, 256).image[:4, : shape[0], : shape[1]])
    stream = b"".join(Encoder(bundle).encode(image, None, Options(ratio=20.0)))
    told = decoder.decode(stream)
    headless = [s for s in read_segments(stream) if isinstance(s, Segment) and s.kind != Kind.SCENE]
    packed = b"".join(segment.pack() for segment in headless)
    guessed = decoder.decode(packed, Wanted(width=shape[1]))
    if shape == (120, 100):
        assert (guessed.mask == told.mask).all()
    else:
        assert (guessed.mask == Mask.INFLUENCED).all()
    asked = decoder.decode(packed, Wanted(width=shape[1], tile=told.reception.bundle.tile))
    assert (asked.mask == told.mask).all()
    assert np.array_equal(asked.scene.image, told.scene.image)


@pytest.mark.parametrize(
    ("size", "bands", "tile", "options"),
    [
        ((20, 300), 3, None, Options(psnr=50.0, quality_block=16)),
        ((300, 20), 1, None, Options(psnr=50.0, quality_block=64)),
        ((300, 20), 2, None, Options(psnr=50.0, quality_block=32)),
        ((150, 90), 1, None, Options(max_error=Bound.parse("300"))),
        ((150, 90), 3, None, Options(ratio=30.0, window="strip")),
        ((150, 90), 3, None, Options(ratio=30.0)),
        ((150, 90), 1, 80, Options(ratio=30.0)),
        ((150, 160), 4, 104, Options(ratio=30.0)),
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_tiles_tell_what_they_are(
    bundle: Bundle,
    size: tuple[int, int],
    bands: int,
    tile: int | None,
    options: Options,
    ends: bool,
) -> None:
    """By their valid rows and columns, also where nothing tells how high the scene is."""
    image = procedural(6, *size, bands, nodata=False).image
    stream = b"".join(Encoder(bundle).encode(image, SceneHeader.of(image, tile=tile), options))
    segments = [s for s in read_segments(stream) if isinstance(s, Segment)]
    told = Reception.of(bundle, segments, Wanted()).grid()
    kinds = (Kind.TILE, Kind.END) if ends else (Kind.TILE,)
    rest = [segment for segment in segments if segment.kind in kinds]
    found = Reception.of(bundle, rest, Wanted(width=size[1], bands=bands)).grid()
    assert told.count > 1
    assert found == told
