"""Pictures that nothing coarser foretells: patterns of a few pixels, lone tiles, lone pixels."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ground.decode.decoder import Decoder
from ground.decode.lapped.tiles import linear_tiles
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.quantizers.kinds import QUANTIZERS
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader
from onboard.codec.tile import ALL_VALID, THRIFTIEST, Chosen
from onboard.encoder import Encoder, Options
from tests.onboard.codec.lapped.layer0 import layer_0_bytes, least_levels

NAME = "skybook"
MOST_STEPS, MOST_OF_THRIFTY, EXACT_STEP = 8, 10, 64
USUAL_THRIFT = 1024
FARTHEST_SHARE, MEAN_SHARE, EXACT_SHARE = 1 / 32, 1 / 64, 1 / 1024
"""How far samples are off at most (SPEC.md, section 13)."""
SIDES = st.sampled_from([1, 2, 3, 5, 7, 8, 9, 12, 16, 24, 40, 64])
GAINS = st.lists(st.floats(-1, 1), min_size=4, max_size=4)
Plane = NDArray[np.float64]


@pytest.fixture(scope="module")
def lapped() -> LappedTileCoder:
    return LappedCodec.of(bundles.load(NAME).codec).open_planes()


@pytest.fixture(scope="module")
def coder() -> Encoder:
    return Encoder(bundles.load(NAME))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


@st.composite
def planes(draw: st.DrawFn) -> Plane:
    """Draw a pattern between -1 and 1, perhaps beside a flat area."""
    rows, cols = draw(SIDES), draw(SIDES)
    row, col = np.indices((rows, cols))
    kind = draw(st.sampled_from(["frequency", "stripes", "checkerboard", "pixel", "noise"]))
    if kind == "frequency":
        down, across = (np.pi * draw(st.integers(0, 64)) / 64 for _ in range(2))
        plane = np.cos(down * (row + 0.5)) * np.cos(across * (col + 0.5))
    elif kind == "stripes":
        down, across, wide = (draw(st.integers(*ends)) for ends in ((-3, 3), (-3, 3), (1, 8)))
        plane = 2.0 * ((down * row + across * col) // wide % 2) - 1
    elif kind == "checkerboard":
        wide = draw(st.integers(1, 4))
        plane = 2.0 * ((row // wide + col // wide) % 2) - 1
    elif kind == "pixel":
        plane = np.zeros((rows, cols))
        plane[draw(st.integers(0, rows - 1)), draw(st.integers(0, cols - 1))] = 1
    else:
        plane = np.random.default_rng(draw(st.integers(0, 99))).uniform(-1, 1, (rows, cols))
    if draw(st.booleans()):
        plane[:, : cols // 2] = 0
    return plane


def rebuilt(
    lapped: LappedTileCoder, kind: str, tile: NDArray[np.int32], code: int, thrift: int
) -> tuple[NDArray[np.float32], float]:
    """Return what the bundle alone gives of a tile, and its step in DN."""
    rows, cols = tile.shape[1:]
    coder = lapped.using(kind)
    prepared = coder.prepare(tile[None], np.ones((1, rows, cols), np.bool_), (rows, cols))
    steps = np.maximum(np.array([code]), coder.finest(prepared))
    chosen = Chosen(prepared, steps, [ALL_VALID], 1_000, np.array([thrift]))
    (pieces,) = coder.write(coder.plan(chosen))
    side = 1 + lapped.model.front_end.side_bytes
    packed = pieces[0][2][:side]
    least = least_levels(lapped.model, [pieces])
    length = layer_0_bytes(lapped.model, pieces[0][2])
    cut = [(max(layer, 1), first, body[0 if layer else length :]) for layer, first, body in pieces]
    lanes = [Lane(0, layer, first, body) for layer, first, body in cut if body]
    reader = LayerReader(lapped.model)
    found = reader.read(1, -(-rows // 8), -(-cols // 8), lanes, packed[0], least)
    assert found.complete[0] == lapped.model.contexts.layers
    unpacked = lapped.model.front_end.unpack(packed[1:], signed=False)
    (pixels,) = linear_tiles(lapped.model, found, [unpacked])
    return pixels[:, :rows, :cols], unpacked.step


@pytest.mark.parametrize("kind", QUANTIZERS)
@given(
    plane=planes(),
    octave=st.floats(1, 14.9),
    gains=GAINS,
    code=st.integers(32, 200),
    thrift=st.sampled_from([0, 0, USUAL_THRIFT // 2, USUAL_THRIFT, THRIFTIEST]),
)
@example(plane=np.eye(2, 5) * [1, 0, 0, 0, 0], octave=14.5, gains=[1.0] * 4, code=32, thrift=0)
@settings(max_examples=80, deadline=None)
def test_no_sample_is_many_steps_off(
    lapped: LappedTileCoder,
    kind: str,
    plane: Plane,
    octave: float,
    gains: list[float],
    code: int,
    thrift: int,
) -> None:
    bands = 32_768 + np.multiply.outer(np.array(gains) * 2**octave, plane)
    tile = np.rint(bands).astype(np.int32)
    pixels, step = rebuilt(lapped, kind, tile, code, thrift)
    off, swing = np.abs(pixels - tile), float(tile.max() - tile.min())
    exact = step <= EXACT_STEP
    farthest, mean = (EXACT_SHARE,) * 2 if exact else (FARTHEST_SHARE, MEAN_SHARE)
    most = MOST_STEPS if thrift <= USUAL_THRIFT else MOST_OF_THRIFTY
    assert off.max() <= most * step + farthest * swing
    assert np.sqrt(np.square(off).mean()) <= step / 2 + mean * swing


ROW, COL = np.indices((192, 192))
FIELD = np.sin(2 * np.pi * (0.3 * COL + 0.95 * ROW) / 5)
PATTERNS = {
    "checkerboard": 300.0 * (2 * ((ROW + COL) % 2) - 1),
    "stripes": 300.0 * (2 * ((ROW + COL) // 4 % 2) - 1),
    "columns": 15.0 * (2 * (COL % 2) - 1),
    "rows of a field": 150 * FIELD,
    "rows of a field beside water": 150 * FIELD * (COL > 100),
}


@pytest.mark.parametrize(
    "trellis",
    [
        pytest.param(False, id="plain"),
        pytest.param(True, marks=pytest.mark.slow, id="trellis"),
    ],
)
@pytest.mark.parametrize("ratio", [10.0, 20.48])
@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_there_or_the_budget_is_spent_on_it(
    coder: Encoder, decoder: Decoder, name: str, ratio: float, trellis: bool
) -> None:
    bands = np.multiply.outer((1, 0.9, 0.8, 1.3), 3_000 + PATTERNS[name])
    image = np.rint(bands).astype(np.uint16)
    stream = b"".join(coder.encode(image, options=Options(ratio=ratio, trellis=trellis)))
    off = np.abs(decoder.decode(stream).scene.image.astype(int) - image)
    spent = len(stream) / (image.nbytes / ratio)
    assert spent <= 1
    assert spent >= 0.98 or off.max() <= 1
    assert np.sqrt(np.square(off).mean()) < PATTERNS[name].std() / 2


@pytest.mark.parametrize(
    ("period", "side", "budget", "trellis"), [(1, 65, 563, False), (8, 64, 1092, True)]
)
def test_a_budget_that_few_steps_come_near_is_spent(
    coder: Encoder, period: int, side: int, budget: int, trellis: bool
) -> None:
    """Of checks and bars all symbols change at once, and edge tiles of little weigh little."""
    rows, cols = np.indices((side, side))
    place = rows + cols if period == 1 else cols // period
    pattern = 3_000 + (300 if period == 1 else 400) * (2 * (place % 2) - 1)
    image = np.rint(np.multiply.outer((1, 0.9, 0.8, 1.3), pattern)).astype(np.uint16)
    options = Options(budget=budget, trellis=trellis)
    spent = sum(map(len, coder.encode(image, options=options)))
    assert 0.98 * budget <= spent <= budget


@pytest.mark.parametrize("trellis", [False, True], ids=["plain", "trellis"])
@pytest.mark.parametrize("shape", [(72, 72), (65, 65), (72, 136)], ids=str)
def test_the_corner_of_a_scene_is_no_worse_than_the_rest(
    coder: Encoder, decoder: Decoder, shape: tuple[int, int], trellis: bool
) -> None:
    image = spyndex_scene().image[:, : shape[0], : shape[1]].astype(np.uint16)
    stream = b"".join(coder.encode(image, options=Options(ratio=6.0, trellis=trellis)))
    squared = np.square(decoder.decode(stream).scene.image.astype(float) - image)
    corner, whole = squared[:, 64:, shape[1] // 64 * 64 :], squared[:, :64, :64]
    assert np.sqrt(corner.mean()) < 2 * np.sqrt(whole.mean())
