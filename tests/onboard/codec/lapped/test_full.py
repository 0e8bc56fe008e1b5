"""Full tiles: no symbol that is far from 0 is left out, and all of them are read back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from onboard import bundle as bundles
from onboard.codec.blocks import UNIT
from onboard.codec.lapped import floors
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import ALL_SIGNS, PLAIN, QUANTIZERS, TRELLIS
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader
from onboard.codec.lapped.symbols import Symbols
from onboard.codec.tile import ALL_VALID, DEPENDENT, FULL, SIGN_HIDING, Body, Chosen
from onboard.errors import StreamError
from tests.onboard.codec.lapped.layer0 import layer_0_bytes, least_levels

FARTHEST = {PLAIN: 112, ALL_SIGNS: 112, TRELLIS: 192}
"""1/64 steps from a value to its symbol, at most (SPEC.md, section 13)."""
CODE = 112
SIDE = 32
KINDS = pytest.mark.parametrize("kind", QUANTIZERS)


@pytest.fixture(scope="module")
def lapped() -> LappedTileCoder:
    return LappedCodec.of(bundles.load("skybook").codec).open_planes()


@pytest.fixture(scope="module")
def tiles() -> NDArray[np.int32]:
    """Tiles (4, 4, 32, 32): a checkerboard, a ramp, a fainter checkerboard, a flat one."""
    row, col = np.indices((SIDE, SIDE))
    board = 400 * ((row + col) % 2)
    planes = np.stack([board, 9 * row + 5 * col, board // 2, 0 * row])
    gains = np.array([1.0, 0.9, 0.8, 1.3])
    return np.asarray(3_000 + planes[:, None] * gains[:, None, None], np.int32)


def prepared(lapped: LappedTileCoder, tiles: NDArray[np.int32]) -> PreparedTiles:
    here = np.ones((len(tiles), *tiles.shape[2:]), np.bool_)
    return lapped.prepare(tiles, here, (tiles.shape[2], tiles.shape[3]))


def bodies(lapped: LappedTileCoder, kind: str, tiles: NDArray[np.int32]) -> list[list[Body]]:
    steps = np.full(len(tiles), CODE)
    coder = lapped.using(kind)
    states = [ALL_VALID] * len(tiles)
    return coder.write(coder.plan(Chosen(prepared(lapped, tiles), steps, states, 65_535)))


@KINDS
def test_tiles_that_foresee_their_symbols_are_not_full(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], kind: str
) -> None:
    flag = {TRELLIS: DEPENDENT, PLAIN: SIGN_HIDING}.get(kind, 0)
    states = [body[0][2][0] for body in bodies(lapped, kind, tiles)]
    assert states == [flag | FULL, flag, flag | FULL, flag]


@KINDS
def test_no_symbol_of_a_full_tile_is_far_off(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], kind: str
) -> None:
    scanner, latents = lapped.scanners[kind], prepared(lapped, tiles).latents
    unit, steps = scanner.quantizer.points.unit, np.full(len(tiles), CODE)
    for layer in scanner.scan(latents, steps, lapped.floors.choose(latents, steps)):
        assert np.abs(layer.away - unit * layer.values).max(initial=0) <= FARTHEST[kind]
        assert not layer.left_out.any()


@KINDS
def test_all_symbols_of_a_full_tile_are_read_back(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], kind: str
) -> None:
    checkerboard = tiles[:1]
    (pieces,) = bodies(lapped, kind, checkerboard)
    ((_, _, body),) = pieces
    lanes = [Lane(0, 1, 0, body[layer_0_bytes(lapped.model, body) :])]
    least = least_levels(lapped.model, [pieces])
    found = LayerReader(lapped.model).read(1, SIDE // 8, SIDE // 8, lanes, body[0], least)
    assert not found.wrong
    assert found.complete[0] == lapped.model.contexts.layers
    latents = prepared(lapped, checkerboard).latents
    steps = np.array([CODE])
    assert least.max() > lapped.model.quantisation.skip + 1
    assert np.array_equal(least, lapped.floors.choose(latents, steps))
    written = lapped.scanners[kind].scan(latents, steps, least)
    for layer, wanted in zip(found.layers, written, strict=True):
        assert np.array_equal(layer.values, wanted.values)
        assert np.array_equal(layer.rows.reshape(-1), wanted.quantised.rows)


@KINDS
def test_a_tile_s_bytes_do_not_depend_on_full_ones_beside_it(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], kind: str
) -> None:
    together = bodies(lapped, kind, tiles)
    assert together == [bodies(lapped, kind, tiles[[tile]])[0] for tile in range(len(tiles))]


@KINDS
def test_the_error_of_a_full_tile_is_that_of_its_symbols(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], kind: str
) -> None:
    found = lapped.using(kind).error(prepared(lapped, tiles), np.full(len(tiles), CODE), SIDE)
    step = 64.0
    within = found[:, 0, 0] / UNIT / tiles[0].size
    assert (within < step**2 / 6).all()  # as it would not be, were the pattern left out
    assert (within[[0, 2]] > step**2 / 500).all()


@KINDS
def test_floors_save_most_of_a_pattern(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], kind: str
) -> None:
    scanner, latents = lapped.scanners[kind], prepared(lapped, tiles[:1]).latents
    steps = np.array([CODE])
    with_floors, without = (
        int(Symbols.of(scanner, latents, steps, least).bits[0, -1])
        for least in (
            lapped.floors.choose(latents, steps),
            floors.least_levels(lapped.model, [{}]),
        )
    )
    assert with_floors < 0.6 * without


def test_floors_come_back() -> None:
    least = np.full(256, 9, np.int32)
    assert floors.unpack(floors.pack(least, 9), 4) == {}
    least[[4, 255]] = 10, 63
    packed = floors.pack(least, 9)
    assert packed == bytes.fromhex("02 010a 3fff")
    assert floors.packed_bytes(packed + b"more") == len(packed)
    assert floors.unpack(packed, 4) == {4: 10, 255: 63}


@pytest.mark.parametrize(
    "wrong",
    ["", "01", "0201 0a", "01 00ca", "01 4000", "02 010a 010b", "02 3fff 010a", "21" + "010a" * 33],
    ids=["none", "cut", "cut within", "DC", "beyond", "twice", "falling", "too many"],
)
def test_wrong_floors_are_refused(wrong: str) -> None:
    with pytest.raises(StreamError, match="floors"):
        floors.unpack(bytes.fromhex(wrong), 4)


def test_a_short_room_has_few_floors() -> None:
    assert [floors.most_floors(room) for room in (0, 8, 10, 11, 78, 1_000)] == [0, 0, 0, 1, 32, 32]
