"""Scenes with a spectral profile: the page's decoder reads what `ground` reads."""

from typing import Any

import numpy as np
import pytest

from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from onboard import bundle as bundles
from onboard.bundle.profiles import pack_profile
from onboard.codec.profile import Profile
from onboard.encoder import Encoder, Options
from onboard.link.header import SceneHeader
from tests.profiles import cube, drawn, learnt
from tests.stranger import picture
from tests.stranger.bundle import Bundle
from tests.stranger.profile import Profile as Strangers
from tests.stranger.profile import side
from tests.stranger.stream import read_scene
from tests.stranger.symbols import read_tile

PATH = bundles.find("skybook")


def read(stream: bytes, profile: Profile) -> Any:
    strangers = Strangers(pack_profile(profile))
    return read_scene(Bundle(PATH.read_bytes()), stream, read_tile, profile=strangers)


@pytest.mark.parametrize(
    ("bands", "bits", "options"),
    [
        (20, 16, Options(ratio=60.0)),
        (33, 16, Options(ratio=100.0, trellis=True)),
        (20, 8, Options(ratio=4.0)),
    ],
)
def test_streams(bands: int, bits: int, options: Options) -> None:
    image, profile = cube(bands, 70, 80), learnt(bands)
    if bits == 8:
        image, profile = (image >> 6).clip(0, 255).astype(np.uint8), drawn(bands, 1, 60)
    header = SceneHeader.of(image, nodata=0)
    encoder = Encoder(bundles.load("skybook"), profile=profile)
    stream = b"".join(encoder.encode(image, header, options))
    found = read(stream, profile)
    samples = picture.samples(found, picture.linear_scene(found))
    ours = Decoder(PATH).decode(stream, Wanted(profile=profile))
    assert ours.complete
    off = abs(samples - ours.scene.image)
    assert off.max() <= 1
    assert np.count_nonzero(off) <= off.size / 100
    assert ((ours.mask == Mask.NODATA) == found.nodata).all()
    if bits == 16:
        assert {tile.state & 64 for _, _, tile in found.tiles.values()} == {0, 64}


def test_components_are_those_of_the_page() -> None:
    rng = np.random.default_rng(2)
    profile = drawn(40, 3)
    theirs = Strangers(pack_profile(profile))
    samples = rng.integers(0, 1 << 16, (40, 9, 7))
    for bits in (8, 12, 16):
        fraction = profile.fraction(bits)
        assert fraction == theirs.fraction(bits)
        found = profile.components(samples[None], fraction)[0]
        assert (found == theirs.components(samples, fraction)).all()


def test_the_example_of_side_information() -> None:
    packed = bytes([0, 80, 0]) + bytes.fromhex("00 01 8C 01 D7 04 80 F1 04")
    angles, means, place = side(packed, 5)
    assert angles == bytes([128]) * 10
    assert means.tolist() == [0, -1, 70, -300, 40_000]
    assert place == len(packed)
