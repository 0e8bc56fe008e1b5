"""What budgets are spent on: nearly all of their bytes, however few tiles share them."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from export.csource.randomscene import RandomScene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.tile import ALL_VALID, THRIFTIEST, Chosen
from onboard.encoder import Encoder, Options

Image = NDArray[np.uint16]
WORDS = 8
"""Bytes that what is planned and what is coded differ by, in words of 2."""


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(bundles.load("skybook"))


@pytest.fixture(scope="module")
def lapped() -> LappedTileCoder:
    return LappedCodec.of(bundles.load("skybook").codec).open_planes()


def land(rows: int, cols: int) -> Image:
    return procedural(1, max(rows, 32), max(cols, 32)).image[:, :rows, :cols].astype(np.uint16)


def town(rows: int, cols: int) -> Image:
    return spyndex_scene().image[:, :rows, :cols].astype(np.uint16)


@pytest.mark.parametrize("ratio", [6.0, 30.0])
@pytest.mark.parametrize(
    ("shape", "window", "trellis"),
    [
        ((24, 24), "scene", False),
        ((64, 64), "scene", False),
        ((64, 64), "scene", True),
        ((65, 66), "scene", False),
        ((200, 8), "scene", False),
        ((136, 72), "strip", False),
        pytest.param((72, 136), "scene", True, marks=pytest.mark.slow),
        pytest.param((136, 72), "strip", True, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize("scene", [land, town])
def test_a_budget_is_spent(
    encoder: Encoder,
    scene: Callable[[int, int], Image],
    shape: tuple[int, int],
    window: str,
    ratio: float,
    trellis: bool,
) -> None:
    image = scene(*shape)
    budget = int(image.nbytes / ratio)
    options = Options(budget=budget, window=window, trellis=trellis)
    spent = sum(map(len, encoder.encode(image, options=options)))
    assert budget - budget / 50 - WORDS <= spent <= budget


@pytest.mark.parametrize("kind", ["deadzone", "trellis"])
@pytest.mark.parametrize("code", [80, 110, 140])
def test_thrift_leads_from_one_step_to_the_next(
    lapped: LappedTileCoder, code: int, kind: str
) -> None:
    """Bytes fall with thrift by little at a time, about to those of the next step."""
    coder = lapped.using(kind)
    tile = town(64, 64)[None].astype(np.int32)
    prepared = coder.prepare(tile, np.ones((1, 64, 64), np.bool_), (64, 64))
    thrift = np.append(np.arange(0, THRIFTIEST + 1, 32), 0)
    steps = np.where(np.arange(len(thrift)) < len(thrift) - 1, code, code + 1)
    copies = prepared.take(np.zeros(len(thrift), np.int64))
    plans = coder.plan(Chosen(copies, steps, [ALL_VALID] * len(thrift), 1_000, thrift))
    *sizes, next_size = [sum(length for *_, length in plan.pieces) for plan in plans]
    assert min(sizes) <= 1.01 * next_size
    assert max(-np.diff(sizes)) <= sizes[0] / 30


def test_the_thrift_of_a_tile_is_its_own(lapped: LappedTileCoder) -> None:
    tiles = np.stack([town(64, 64), land(64, 64), town(64, 64)]).astype(np.int32)
    prepared = lapped.prepare(tiles, np.ones((3, 64, 64), np.bool_), (64, 64))
    steps, states = np.full(3, 110), [ALL_VALID] * 3

    def written(thrift: list[int] | None) -> list[object]:
        own = None if thrift is None else np.array(thrift)
        return list(lapped.write(lapped.plan(Chosen(prepared, steps, states, 1_000, own))))

    plain, some = written(None), written([0, 0, 320])
    assert plain[0] == plain[2]
    assert some[:2] == plain[:2]
    assert some[2] != plain[2]
    assert written([0, 0, 0]) == plain


def test_a_budget_is_spent_where_usual_tiles_are_asked_for() -> None:
    """Of two bands, which have larger ones else: what is kept back is for a row of usual ones."""
    scene = RandomScene.of(2, 15)
    assert scene.header.tile == 64
    assert scene.options.budget is not None
    packets = scene.packets(Encoder(bundles.load("skybook"), "numpy"))
    assert sum(map(len, packets)) > scene.options.budget * 63 / 64
