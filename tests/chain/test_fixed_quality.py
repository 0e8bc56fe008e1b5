"""Fixed quality: what is asked for of scenes and of blocks is what the ground finds."""

from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import Decoded, Decoder
from ground.scenes.spyndex import spyndex_scene
from onboard.bundle import find, load
from onboard.codec.blocks import has_field
from onboard.encoder import Encoder, Options
from onboard.encoder.outcome import Outcome
from onboard.encoder.quality import QualityMap
from onboard.image.files import Image
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

IMAGE = np.asarray(spyndex_scene().image[:, :200, :192])
PEAK = 65_535


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load("skybook"))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(find("skybook"))


def coded(
    encoder: Encoder, image: Image, header: SceneHeader | None = None, **fields: Any
) -> tuple[bytes, Outcome]:
    told: list[Outcome] = []
    strips = encoder.strips(image, header, Options(**fields), told.append)
    stream = b"".join(segment for strip in strips for segment in strip.segments)
    return stream, reduce(add, told)


def decibels(image: Image, found: Decoded, side: int) -> NDArray[np.float64]:
    """Return the PSNR16 of the whole blocks of an image."""
    error = ((found.scene.image.astype(np.float64) - image) ** 2).mean(axis=0)
    rows, cols = (size // side for size in error.shape)
    blocks = error[: rows * side, : cols * side].reshape(rows, side, cols, side)
    return 10 * np.log10(PEAK**2 / blocks.mean(axis=(1, 3)))


def states(stream: bytes) -> set[int]:
    """Return the tile states in a stream."""
    found = (s for s in read_segments(stream) if isinstance(s, Segment))
    return {s.body[0] for s in found if s.kind == Kind.TILE and s.layer == 0 and s.edge is None}


@pytest.mark.parametrize("trellis", [False, True])
@pytest.mark.parametrize(("side", "deviation"), [(64, 0.3), (32, 0.65), (16, 0.8)])
def test_each_block_has_the_quality_asked_for(
    encoder: Encoder, decoder: Decoder, side: int, deviation: float, trellis: bool
) -> None:
    stream, told = coded(encoder, IMAGE, psnr=66, quality_block=side, trellis=trellis)
    found = decoder.decode(stream)
    assert found.complete
    away = decibels(IMAGE, found, side) - 66
    assert abs(away.mean()) < 0.2
    assert away.std() < deviation
    assert away.min() > (-1.75 if side > 16 else -2.5)  # of large ones no less than -1.25 expected
    assert told.blocks.missed == 0
    assert told.blocks.count == -(-200 // side) * (192 // side)
    assert abs(told.blocks.mean) < 0.2
    assert told.blocks.deviation < deviation
    assert side < 64 or any(map(has_field, states(stream)))  # small ones may all share a step


@pytest.mark.parametrize("side", [32, 16])
def test_one_quality_of_blocks_costs_little(encoder: Encoder, decoder: Decoder, side: int) -> None:
    """Beside one quality of all, between two that have bytes near it."""

    def reached(**fields: Any) -> tuple[float, float]:
        stream, _ = coded(encoder, IMAGE, trellis=False, **fields)
        error = (decoder.decode(stream).scene.image.astype(np.float64) - IMAGE) ** 2
        return 10 * np.log10(PEAK**2 / error.mean()), np.log(len(stream))

    psnr, length = reached(psnr=66, quality_block=side)
    beside = np.array([reached(psnr=near) for near in (65.5, 66.5)])
    assert length < np.interp(psnr, *beside.T) + np.log(1.012)


def test_blocks_of_one_band_are_smaller_than_tiles(encoder: Encoder, decoder: Decoder) -> None:
    image = IMAGE[2:3, :192]  # of whole tiles
    for side, told_at in ((64, 70), (16, 68)):
        told, _ = coded(encoder, image, psnr=told_at, quality_block=side)
        assert any(map(has_field, states(told)))
        stream, _ = coded(encoder, image, psnr=70, quality_block=side)
        away = decibels(image, decoder.decode(stream), side) - 70
        assert abs(away.mean()) < 0.25
        assert away.std() < (0.7 if side == 64 else 0.8)


def test_a_scene_has_the_quality_asked_for(encoder: Encoder, decoder: Decoder) -> None:
    for psnr in (62.34, 71.0):
        stream, told = coded(encoder, IMAGE, psnr=psnr)
        assert told.psnr16 == pytest.approx(psnr, abs=0.05)
        assert decibels(IMAGE, decoder.decode(stream), 192).item() == pytest.approx(psnr, abs=0.25)


def test_blocks_do_not_depend_on_what_is_coded_together(encoder: Encoder) -> None:
    header, fields = SceneHeader.of(IMAGE, tile=64), {"psnr": 66, "quality_block": 16, "run": 1}
    scene = set(read_segments(coded(encoder, IMAGE, header, **fields)[0]))
    strips, _ = coded(encoder, IMAGE, header, **fields, window="strip")
    tiles = [s for s in read_segments(strips) if isinstance(s, Segment) and s.kind == Kind.TILE]
    assert scene.issuperset(tiles)


def test_a_map_says_where_quality_is_finer(encoder: Encoder, decoder: Decoder) -> None:
    qualities = np.zeros((4, 3), np.uint16)
    qualities[1, 1] = 7_600
    cells = QualityMap(qualities, 64)
    stream, _ = coded(encoder, IMAGE, psnr=62, quality_block=32, quality_map=cells)
    wanted = np.full((6, 6), 62)
    wanted[2:4, 2:4] = 76
    away = decibels(IMAGE, decoder.decode(stream), 32) - wanted
    assert np.abs(away).max() < 1.2
    # No seam: what is beside a block of another quality has the error of its own block.
    inner = decoder.decode(stream).scene.image[:, 64:128, 64:128].astype(float)
    error = ((inner - IMAGE[:, 64:128, 64:128]) ** 2).mean(axis=0)
    ring = np.ones((64, 64), np.bool_)
    ring[1:-1, 1:-1] = False
    assert error[ring].mean() < 1.35 * error[~ring].mean()


def test_bytes_are_an_upper_bound_beside_a_quality(encoder: Encoder) -> None:
    header = SceneHeader.of(IMAGE, tile=64)
    free, _ = coded(encoder, IMAGE, header, psnr=66, quality_block=16)
    most = len(free) * 2 // 3
    bound, told = coded(encoder, IMAGE, header, psnr=66, quality_block=16, budget=most)
    assert 0.95 * most < len(bound) <= most
    assert told.psnr16 is not None
    assert told.psnr16 < 65
    assert any(map(has_field, states(bound)))
    loose, _ = coded(encoder, IMAGE, header, psnr=66, quality_block=16, ratio=1.5)
    assert abs(len(loose) - len(free)) < 100


def test_patterns_and_gaps_have_it_too(encoder: Encoder, decoder: Decoder) -> None:
    """Full tiles with a field, nodata, and tiles that the border cuts."""
    row, col = np.indices((150, 150))
    board = np.where(row < 90, 2_000 + 700 * ((row + col) % 2), 1_000 + 3 * row)
    image = np.stack([board, board // 2, board + col, board]).astype(np.uint16)
    image[:, 20:40, 30:90] = 0
    for trellis in (False, True):
        header = replace(SceneHeader.of(image), nodata=0)
        fields = {"psnr": 64, "quality_block": 16, "trellis": trellis}
        stream, _ = coded(encoder, image, header, **fields)
        found = decoder.decode(stream)
        assert found.complete
        valid = (image[0] > 0)[None] & np.ones((4, 1, 1), np.bool_)
        error = ((found.scene.image.astype(float) - image) ** 2)[valid].mean()
        assert 10 * np.log10(PEAK**2 / error) > 63
        assert ({38, 39} if trellis else {162, 163}) & states(stream)


def test_what_is_out_of_reach_is_told(encoder: Encoder) -> None:
    _, told = coded(encoder, IMAGE, psnr=120, quality_block=64)
    assert told.blocks.missed == told.blocks.count
    assert told.missed == 1
    flat = np.full((4, 64, 64), 1_000, np.uint16)
    _, told = coded(encoder, flat, psnr=60, quality_block=64)
    assert (told.blocks.missed, told.blocks.eased, told.eased) == (0, 1, 1)
