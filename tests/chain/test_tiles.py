"""Tiles of scenes that leave a choice: 64 or 128 pixels a side."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from ground.__main__ import main
from ground.decode.decoder import Decoder
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.encoder import Encoder, Options
from onboard.errors import InputError, StreamError
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
        (1, None, None, 4),
        (2, None, 128, 4),
        (3, None, 128, 4),
        (3, 64, None, 16),
        (4, None, None, 16),
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


@pytest.mark.parametrize(("bands", "tile"), [(1, 64), (3, 32), (3, 72), (5, 128), (16, 128)])
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


@pytest.mark.parametrize("tile", [64, 128])
def test_without_a_header_tiles_are_told(tmp_path: Path, bundle: Bundle, tile: int) -> None:
    """They are the larger ones unless the command says otherwise."""
    image = _image(3)
    header = SceneHeader.of(image, tile=tile)
    segments = Encoder(bundle).encode(image, header, Options(ratio=6.0))
    stream = b"".join(s for s in segments if Segment.unpack(s)[0].kind != Kind.SCENE)
    path, output = tmp_path / "x.sky", tmp_path / "x.tif"
    path.write_bytes(stream)
    options = ["--width", str(SIDE), "--bands", "3", "--bundle", "skybook"]
    options += ["--tile", "64"] if tile == 64 else []
    main(["decode", str(path), "-o", str(output), *options])
    with rasterio.open(output) as file:
        error = file.read().astype(np.int64) - image
    assert np.sqrt((error**2).mean()) < image.std() / 20
