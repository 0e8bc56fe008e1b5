"""The PSNR to expect, told without an original, against the true one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onboard
from ground import metrics
from ground.decode.decoder import Decoded, Decoder
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, unpack_segments

IMAGE = procedural(3, 128, 192, nodata=False).image.astype(np.uint16)
EIGHT = (IMAGE // 24).astype(np.uint8)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(Path(bundles.find("skybook")), linear=True)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (IMAGE, {"ratio": 6}),
        (IMAGE, {"ratio": 20}),
        (IMAGE, {"ratio": 20, "trellis": True}),
        (IMAGE[:1], {"ratio": 10}),
        (EIGHT, {"ratio": 10}),
    ],
)
def test_the_psnr_to_expect_is_near_the_true_one(
    decoder: Decoder, image: np.ndarray, options: dict[str, Any]
) -> None:
    decoded = decoder.decode(onboard.encode(image, **options))
    true = metrics.psnr(image, decoded.scene.image, decoded.scene.peak)
    assert decoded.expected_psnr(decoded.scene.peak) == pytest.approx(true, abs=2.5)


def test_only_tiles_that_arrived_whole_are_looked_at(decoder: Decoder) -> None:
    def of(*kinds: Kind) -> Decoded:
        kept = [s for s in segments if s.kind in kinds]
        return decoder.decode_segments(kept)

    header = SceneHeader.of(IMAGE, tile=64)
    segments = unpack_segments(onboard.encode(IMAGE, header=header, ratio=20))
    tiles = [s for s in segments if s.kind == Kind.TILE]
    whole = of(Kind.SCENE, Kind.TILE, Kind.END).expected_error
    some = decoder.decode_segments([*segments[:1], *(s for s in tiles if s.tile == 2)])
    assert whole
    assert some.expected_error
    assert some.expected_error != whole
    first = [s for s in tiles if s.layer == 0][:1]
    assert decoder.decode_segments([*segments[:1], *first]).expected_error is None
    assert decoder.decode(onboard.encode(IMAGE, max_error=1)).expected_error is None
