"""What a decoder written from SPEC.md alone makes of streams is what `ground` makes of them."""

import json
import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import Decoder, find_decoder
from ground.decode.dump import dump_scene
from ground.decode.graphs.graph import open_float_session
from ground.decode.lapped.dump import UNKNOWN_LEVEL as UNKNOWN
from ground.decode.lapped.lanes import LaneTile, read_lanes
from ground.decode.lapped.tiles import linear_tiles
from ground.decode.mask import Mask
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.codec.lapped.read.layers import LayerReader
from onboard.encoder import Encoder, Options
from onboard.link.binding import bindings_of
from onboard.link.foreign import read_ours
from onboard.link.packet import PacketOptions
from onboard.link.segment import Kind, Segment
from tests.conftest import ROOT, model_of
from tests.stranger import corsa, picture, symbols, vectors
from tests.stranger.bundle import Bundle
from tests.stranger.stream import crc32c, mask, read_scene
from tests.stranger.symbols import read_tile

PATH = bundles.find(vectors.NAME)
OURS = bundles.load(vectors.NAME)
PAGE = (ROOT / "onboard/SPEC.md").read_text()
CRC_ROW = next(line for line in PAGE.splitlines() if line.startswith("| | D1B1497E"))
TILES = json.loads(vectors.FILE.read_text())["tiles"]


@pytest.fixture(scope="module")
def bundle() -> Any:
    return Bundle(PATH.read_bytes())


def scenes() -> dict[str, tuple[Scene, Options]]:
    """Scenes by what is told of them; each has tiles that the border cuts."""
    image = procedural(3, 70, 72).image.astype(np.uint16)
    image[:, :64, 64:] = 0
    real = spyndex_scene().image[:, :66, :40]
    rows, cols = np.indices((40, 36))
    checks = np.where((rows + cols) % 2, 700, 1300)[None].repeat(4, 0).astype(np.uint16)
    noise = np.random.Generator(np.random.PCG64(0)).integers(-32768, 32768, (4, 9, 20), np.int16)

    def of(bands: int, bits: int) -> Scene:
        image = procedural(bands, 42, 50, bands).image.astype(np.uint16) >> (16 - bits)
        return Scene(image.astype(np.uint8 if bits == 8 else np.uint16), significant_bits=bits)

    green = procedural(9, 150, 166, 1).image.astype(np.uint16)
    green[:, 20:50, 31:70] = 0
    fine = Scene(green[:, 30:70, 60:100] >> 4, significant_bits=12)
    return {
        "nodata": (Scene(image, nodata=0), Options(ratio=6.0)),
        "nodata, dependent": (Scene(image, nodata=0), Options(ratio=9.0, trellis=True)),
        "fine": (Scene(real), Options(ratio=3.0, segment_bytes=400)),
        "coarse, dependent": (
            Scene(real),
            Options(ratio=15.0, trellis=True, segment_bytes=200),
        ),
        "checkerboard": (Scene(checks), Options(ratio=9.0)),
        "checkerboard, dependent": (Scene(checks), Options(ratio=4.5, trellis=True)),
        "noise": (Scene(noise), Options(rmse=1.0)),
        "one band": (of(1, 16), Options(ratio=8.0)),
        "a field": (Scene(real), Options(psnr=66.0, quality_block=16)),
        "a field, dependent": (
            Scene(checks),
            Options(psnr=64.0, quality_block=16, trellis=True),
        ),
        "a field of one band": (of(1, 16), Options(psnr=70.0, quality_block=32)),
        "two bands of 12 bits, dependent": (of(2, 12), Options(ratio=8.0, trellis=True)),
        "three bands of 8 bits": (of(3, 8), Options(ratio=4.0)),
        "six bands, dependent": (of(6, 16), Options(ratio=12.0, trellis=True)),
        "sixteen bands": (of(16, 16), Options(ratio=12.0)),
        "samples of 8 bits below 0": (Scene((noise >> 10).astype(np.int8)), Options(ratio=3.0)),
        "a mosaic": (Scene(green, nodata=0).split("grbg"), Options(ratio=5.0)),
        "a mosaic, dependent": (fine.split("rggb"), Options(ratio=3.0, trellis=True)),
    }


SCENES = scenes()


@cache
def received(name: str) -> tuple[bytes, Any]:
    """Return a scene in packets, or bare, and what the stranger reads."""
    scene, options = SCENES[name]
    header = replace(scene.header(), tile=64 if name == "nodata" else None)  # some have no data
    segments = list(Encoder(OURS).encode(scene.image, header, options))
    stream = b"".join(segments)
    if "dependent" in name:
        packets = PacketOptions(packet_bytes=1_100, control=True)
        stream = b"".join(packets.pack(segments, 0, 0))
    return stream, read_scene(Bundle(PATH.read_bytes()), stream, read_tile)


@pytest.mark.parametrize("name", SCENES)
def test_streams(bundle: Any, name: str) -> None:
    """Symbols are the same; so are samples, but for what 32-bit floats round another way."""
    stream, read = received(name)
    dump = dump_scene(OURS, read_ours(stream, bindings_of(stream))).arrays
    for key in ("symbol", "residual"):
        assert (symbols.by_place(read, key) == dump[key]).all()
    known = dump["level"] != UNKNOWN
    assert known.any()
    assert (symbols.by_place(read, "level") == dump["level"])[known].all()
    samples = picture.samples(read, picture.linear_scene(read))
    ours = Decoder(PATH, linear=True).decode(stream)
    assert ours.complete
    nodata = read.nodata
    if read.is_mosaic:
        samples, nodata = picture.mosaic(samples)[None], picture.mosaic(np.stack([nodata] * 4))
    off = abs(samples - ours.scene.image)
    assert off.max() <= 1
    assert np.count_nonzero(off) <= off.size / 100
    assert ((ours.mask == Mask.NODATA) == nodata).all()


@pytest.mark.parametrize("name", ["fine", "coarse, dependent", "a field"])
def test_the_exact_image_is_the_same_to_the_last_bit(bundle: Any, name: str) -> None:
    stream, read = received(name)
    ours = Decoder(PATH, exact=True).decode(stream).scene.image
    assert (picture.samples(read, picture.linear_scene(read, picture.settled)) == ours).all()
    assert (picture.samples(read, picture.linear_scene(read)) != ours).any()


def test_the_matrices_of_a_mosaic_are_those_of_the_page() -> None:
    for side, crc in zip(range(8, 65, 8), re.findall(r"\b[0-9A-F]{8}\b", CRC_ROW), strict=True):
        assert crc32c(picture.quarter(side).astype(">i2").tobytes()) == int(crc, 16)


def test_the_scenes_hold_every_kind_of_tile() -> None:
    tiles = [tile for name in SCENES for _, _, tile in received(name)[1].tiles.values()]
    assert {tile.state for tile in tiles} >= {2, 4, 5, 12, 128, 129, 136}
    assert any(lane.raw is not None for tile in tiles for _, lane in tile.starts.values())
    for flag in (4, 8, 128):
        held = {tile.code <= 112 for tile in tiles if tile.state & flag}
        assert held == {True, False}


@pytest.mark.parametrize("name", ["nodata, dependent", "coarse, dependent"])
def test_the_decoder_graph(bundle: Any, name: str) -> None:
    stream, read = received(name)
    session = open_float_session(find_decoder(OURS, PATH).read_bytes())
    inputs = picture.graph_inputs(read, int(session.metadata["radius"]))
    refined = session.run(inputs)[0, :, : read.height, : read.width]
    off = abs(picture.samples(read, refined) - Decoder(PATH).decode(stream).scene.image)
    assert off.max() <= 1
    assert np.count_nonzero(off) <= off.size / 100


@pytest.mark.parametrize("name", ["fine", "coarse, dependent"])
def test_losses(bundle: Any, name: str) -> None:
    """Of a tile of which segments are lost the same is read, and the same image made."""
    stream, _ = received(name)
    segments = [s for s in read_ours(stream, bindings_of(stream)) if isinstance(s, Segment)]
    can_go = [s for s in segments if s.kind == Kind.TILE and s.layer]
    for lost in (can_go[:1], can_go[1:3], can_go[2::4]):
        left = [s for s in segments if s not in lost]
        read = read_scene(bundle, b"".join(s.pack() for s in left), read_tile)
        dump = dump_scene(OURS, left)
        assert not dump.whole
        assert (symbols.by_place(read, "symbol") == dump.arrays["symbol"]).all()
        whole = [tile.whole + 1 for _, _, tile in read.tiles.values()]
        assert whole == dump.arrays["whole"].reshape(-1).tolist()
        samples = picture.samples(read, picture.linear_scene(read))
        ours = Decoder(PATH, linear=True).decode_segments(left).scene.image
        assert abs(samples - ours).max() <= 1


def test_two_encodings_of_one_scene(bundle: Any) -> None:
    """The page keeps them apart: the first is read as if it were alone."""
    names = ("checkerboard", "coarse, dependent")
    for first, other in (names, names[::-1]):
        both = received(first)[0] + received(other)[0]
        read, alone = read_scene(bundle, both, read_tile), received(first)[1]
        for name in ("symbol", "level"):
            found = symbols.by_place(read, name)
            assert (found == symbols.by_place(alone, name)).all()


def test_corsa() -> None:
    """A scene of CORSA: its border tiles, its nodata, its samples."""
    path = bundles.find("corsa-2level-1024")
    fixed, ours = corsa.Bundle(path.read_bytes()), bundles.load(path.stem)
    scene = procedural(3, 70, 200)
    image = scene.image.astype(np.uint16)
    options = Options(segment_bytes=700)
    stream = b"".join(Encoder(ours).encode(image, scene.header(), options))
    read = read_scene(fixed, stream, corsa.read_tile)
    session = open_float_session(find_decoder(ours, path).read_bytes())
    samples = picture.samples(read, corsa.image(fixed, read, session.run))
    decoded = Decoder(path).decode(stream)
    assert decoded.complete
    assert abs(samples - decoded.scene.image).max() <= 1
    assert read.nodata.any()


def bodies_of(bundle: Any, entry: dict[str, Any]) -> dict[tuple[int, int], bytes]:
    if entry["bodies"] is None:
        return {(0, 0): bundle.golden[int(entry["name"].split()[-1])][2]}
    return {(layer, first): bytes.fromhex(body) for layer, first, body in entry["bodies"]}


@pytest.mark.parametrize("entry", TILES, ids=lambda entry: entry["name"])
def test_vectors(bundle: Any, entry: dict[str, Any]) -> None:
    """They are what the page says, and so far from where rounding changes that all agree."""
    bodies = bodies_of(bundle, entry)
    bundle = bundle.scene(entry["bands"], entry["bits"])
    found = vectors.vector(bundle, bodies, entry["rows"], entry["cols"])
    assert found.items() <= entry.items()
    tile = read_tile(bundle, bodies, entry["rows"], entry["cols"])
    for image in (picture.unheld(bundle, tile), picture.linear_tile(bundle, tile)):
        assert vectors.margin(image) > 4e-8
    ours, symbols = read_by_ours(entry, bodies)
    image = picture.linear_tile(bundle, tile)
    assert abs(ours - image).max() < 1 / vectors.UNIT
    for layer, values in enumerate(symbols):
        assert vectors.checksum(values) == entry["layers"][layer][4]


def read_by_ours(
    entry: dict[str, Any], bodies: dict[tuple[int, int], bytes]
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return linear image and symbols of each layer, as `ground` has them."""
    model = model_of(OURS.for_scene(entry["bands"], entry["bits"]))
    tile = LaneTile(entry["rows"], entry["cols"], model.front_end, False)
    for (layer, first), body in bodies.items():
        tile.place_layers(Segment(Kind.TILE, 0, OURS.tag, 0, layer, first, None, body))
    assert tile.side is not None
    read = read_lanes(LayerReader(model), [tile])
    (image,) = linear_tiles(model, read, [tile.side])
    return image, [layer.values + layer.mean for layer in read.layers]


def test_the_vectors_hold_every_kind_of_tile() -> None:
    assert {entry["state"] for entry in TILES} >= {0, 1, 4, 8, 12, 128, 129, 136}
    assert any(entry["held"] for entry in TILES if entry["state"] in (8, 136))
    assert any(entry["floors"] for entry in TILES)
    assert any(len(entry["bodies"] or ()) > 1 for entry in TILES if entry["state"] == 4)
    golden = [entry for entry in TILES if entry["bodies"] is None]
    assert len(golden) == len(OURS.codec.golden)


def test_the_scene_of_the_vectors(bundle: Any) -> None:
    scene = json.loads(vectors.FILE.read_text())["scene"]
    packets = bytes.fromhex(scene["packets"])
    assert vectors.scene_samples(bundle, packets) == scene["samples"]
    ours = Decoder(PATH, linear=True).decode(packets)
    assert ours.complete
    assert abs(ours.scene.image - np.array(scene["samples"])).max() <= 1


def test_the_nodata_of_the_vectors() -> None:
    masked = [entry for entry in TILES if "mask" in entry]
    assert masked
    for entry in masked:
        told = mask(bytes.fromhex(entry["mask"]))
        assert told.size == entry["rows"] * entry["cols"]
        assert told.sum() == entry["nodata"]


def test_the_stranger_knows_the_page_alone() -> None:
    for name in ("bundle", "stream", "symbols", "picture", "profile", "corsa"):
        source = (ROOT / f"tests/stranger/{name}.py").read_text()
        imported = set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source, re.M))
        own = {module for module in imported if module.startswith("tests.stranger.")}
        assert imported - own <= {"copy", "dataclasses", "hashlib", "json", "numpy"}
        assert not own & {"tests.stranger.vectors"}
