"""Hidden signs: runs, what a writer changes and what a reader finds."""

import numpy as np
import pytest

from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec import rans
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.context import LEVELS
from onboard.codec.lapped.quantizers.kinds import ALL_SIGNS, PLAIN
from onboard.codec.lapped.quantizers.signs import (
    HIDES,
    INSIDE,
    LEAST_LEVEL,
    RUN,
    SHOWS,
    OwnSigns,
    Runs,
    SignHiding,
    signed,
)
from onboard.codec.lapped.read import layer as onelayer
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.lapped.read.run import Reader
from onboard.codec.lapped.read.tables import TableReader
from onboard.codec.lapped.symbols import Symbols
from onboard.codec.lapped.tables import ESCAPE, LARGEST, Tables, rows_of
from onboard.codec.tile import ALL_VALID, FULL, SIGN_HIDING, Chosen

ONE_ROW = {30: 512, 31: 2560, 32: 512, 63: 512}
"""The row of SPEC.md, section 11: frequencies of -1, 0, 1 and of the escape."""


@pytest.fixture(scope="module")
def lapped() -> LappedTileCoder:
    return LappedCodec.of(bundles.load("skybook").codec).open_planes()


@pytest.fixture(scope="module")
def hiding(lapped: LappedTileCoder) -> SignHiding:
    model = lapped.model
    return SignHiding(
        OwnSigns.of(model.tables), model.quantisation.dead, model.quantisation.rounding
    )


def layer_of(levels: list[int]) -> Runs:
    """Return the runs of a position all of whose channels are coded."""
    rows = np.array(levels, np.int64)
    return Runs.of(np.arange(len(rows)), rows, len(rows))


def test_a_run_of_five_high_levels_hides_a_sign() -> None:
    low, high = LEAST_LEVEL - 1, LEAST_LEVEL
    assert not len(layer_of([low] * 10 + [high] * 4).places)
    runs = layer_of([low] * 10 + [high] * 5)
    assert np.array_equal(runs.places, np.arange(15))
    assert runs.marks(15).tolist() == [HIDES] + [INSIDE] * 14


def test_runs_have_24_channels() -> None:
    runs = layer_of([LEAST_LEVEL] * (RUN + 5))
    assert runs.begins.tolist() == [0, RUN]
    runs = layer_of([LEAST_LEVEL] * (RUN + 4))
    assert np.array_equal(runs.places, np.arange(RUN))
    assert runs.marks(RUN + 4)[RUN] == SHOWS


def test_rows_that_are_not_even_hide_nothing(lapped: LappedTileCoder) -> None:
    tables = lapped.model.tables
    own = OwnSigns.of(tables)
    assert own.single.any()
    for row, single in enumerate(own.single):
        of = tables.frequencies[row]
        even = np.array_equal(of[:LARGEST], of[LARGEST + 1 : ESCAPE][::-1])
        assert single.any() == (even and not tables.shifts[row % LEVELS])


@pytest.mark.parametrize("seed", range(20))
def test_a_reader_finds_the_signs_that_a_writer_hides(hiding: SignHiding, seed: int) -> None:
    rng = np.random.default_rng(seed)
    channels, positions = int(rng.integers(5, 60)), 200
    coded = np.flatnonzero(rng.random(channels * positions) < rng.uniform(0.2, 1))
    rows = rng.integers(0, len(hiding.dead), len(coded))
    rows -= rows % LEVELS
    rows += rng.integers(9, rng.integers(20, LEVELS), len(coded))
    away = np.rint(rng.laplace(0, rng.uniform(10, 200), len(coded))).astype(np.int32)
    size = np.abs(away)
    residual = np.where(size < hiding.dead[rows], 0, (size + hiding.rounding[rows]) >> 6)
    residual = np.where(away < 0, -residual, residual).astype(np.int32)
    runs = Runs.of(coded, rows, channels)
    found = hiding.hide(runs, residual, away, size, rows)
    sent = found.residuals.copy()
    sent[found.signs] = np.abs(sent[found.signs])
    assert np.array_equal(signed(hiding.signs, runs, sent, rows), found.residuals)
    assert not np.array_equal(sent, found.residuals)
    changed = found.residuals != residual
    of_run = np.add.reduceat(changed[runs.places].astype(int), runs.begins)
    assert of_run.max() == 1
    assert 0.05 < of_run.mean() < 0.8
    assert np.count_nonzero(changed) == of_run.sum()
    steps = np.abs(np.abs(found.residuals) - np.abs(residual))[changed]
    zeroed = found.residuals[changed] == 0
    assert (steps[~zeroed] == 1).all()
    farther = np.abs(away[changed] - 64 * found.residuals[changed])
    assert np.median(farther) <= 64


def test_a_change_is_that_which_costs_least(hiding: SignHiding) -> None:
    """Sum 3 says a minus that the first does not have: the 1 next to its dead zone goes."""
    row = np.full(6, 24)
    dead, rounding = int(hiding.dead[24]), int(hiding.rounding[24])
    size = np.array([dead + 20, 0, dead + 1, 0, 0, 64 + 64 - rounding - 25], np.int32)
    away = size * np.array([1, 1, -1, 1, 1, 1], np.int32)
    residual = np.array([1, 0, -1, 0, 0, 1], np.int32)
    found = hiding.hide(layer_of([24] * 6), residual, away, size, row)
    assert found.residuals.tolist() == [1, 0, 0, 0, 0, 1]
    assert found.signs.tolist() == [0]
    assert found.derived.tolist() == [0]


def test_a_lone_residual_may_become_0(hiding: SignHiding) -> None:
    dead = int(hiding.dead[20])
    size = np.array([0, 0, 0, dead, 0, 0], np.int32)
    residual = np.array([0, 0, 0, 1, 0, 0], np.int32)
    found = hiding.hide(layer_of([20] * 6), residual, size, size, np.full(6, 20))
    assert not found.residuals.any()
    assert not len(found.signs)
    assert found.derived.tolist() == list(range(6))


def small_tables() -> Tables:
    frequencies = np.zeros((rows_of(1), ESCAPE + 1), np.uint16)
    for symbol, frequency in ONE_ROW.items():
        frequencies[:, symbol] = frequency
    return Tables(frequencies, np.zeros(LEVELS, np.uint8), (1,))


def test_where_nothing_may_change_the_residual_becomes_0() -> None:
    """The only one with a sign of its own is the last, and no other magnitude has a symbol."""
    rows = np.full(6, 20)
    hiding = SignHiding(
        OwnSigns.of(small_tables()), np.full(LEVELS, 40, np.int32), np.full(LEVELS, 28, np.int32)
    )
    residual = np.array([40, 0, 0, 0, 0, 1], np.int32)
    found = hiding.hide(layer_of([20] * 6), residual, 64 * residual, 64 * residual, rows)
    assert found.residuals.tolist() == [40, 0, 0, 0, 0, 0]
    assert not len(found.signs)
    assert found.derived.tolist() == [1, 2, 3, 4, 5]


def test_the_lane_of_the_page() -> None:
    """1, whose sign is hidden, has the frequency 1024 and start 0; a 0 before it starts at 1024."""
    tables = small_tables()
    residuals = np.array([0, 1, 1, -1, 0, 100], np.int32)
    rows = np.full(6, 20, np.int64)
    entries = tables.entries(rows, residuals)
    symbols, sizes = tables.symbols(entries, residuals, np.array([0, 1]))
    packed = tables.alphabet.rows[symbols]
    assert sizes.tolist() == [1, 1, 1, 1, 1, 3]
    assert (packed[:2] & 4095).tolist() == [1024, 0]
    assert (packed[:2] >> 12).tolist() == [2560, 1024]
    assert tables.residuals(symbols).tolist() == residuals.tolist()
    assert tables.count(symbols) == 6
    (lane,) = rans.encode([symbols], tables.alphabet)
    marks = [HIDES] + [INSIDE] * 5
    values, _ = TableReader(tables).decode_lane(Reader([lane]), 0, rows.tolist(), None, marks)
    assert values == residuals.tolist()


def written(lapped: LappedTileCoder, steps: list[int], room: int = 65_535) -> tuple[Symbols, Read]:
    """Return the symbols of procedural tiles, and what is read of them."""
    tiles = np.stack([procedural(n, 64, 64, 4, nodata=False).image for n in range(len(steps))])
    here = np.ones((len(steps), 64, 64), np.bool_)
    prepared = lapped.prepare(tiles, here, (64, 64))
    codes = np.maximum(np.array(steps), lapped.finest(prepared))
    plans = lapped.plan(Chosen(prepared, codes, [ALL_VALID] * len(steps), room))
    bodies = lapped.write(plans)
    least = 1 + lapped.model.front_end.side_bytes
    lanes = []
    for tile, found in enumerate(bodies):
        assert found[0][2][0] in (SIGN_HIDING, SIGN_HIDING | FULL)
        lanes.append(Lane(tile, 1, 0, found[0][2][least:]))
        lanes += [Lane(tile, layer, first, body) for layer, first, body in found[1:]]
    read = LayerReader(lapped.model).read(len(steps), 8, 8, lanes, SIGN_HIDING)
    return Symbols.of(lapped.scanner, prepared.latents, codes), read


@pytest.mark.parametrize("room", [400, 65_535])
@pytest.mark.parametrize("few", [0, 1000])
def test_one_by_one_and_all_together_are_read_alike(
    lapped: LappedTileCoder, room: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onelayer, "_FEW_LANES", few)
    _, read = written(lapped, [90, 110, 130, 150] * 5, room)
    assert (read.complete == lapped.model.contexts.layers).all()
    assert not read.wrong


def test_a_bit_a_sign_is_saved(lapped: LappedTileCoder) -> None:
    tiles = np.stack([procedural(n, 64, 64, 4, nodata=False).image for n in range(4)])
    latents = lapped.prepare(tiles, np.ones((4, 64, 64), np.bool_), (64, 64)).latents
    codes = np.array([100, 110, 120, 130])
    bits = {
        kind: Symbols.of(lapped.scanners[kind], latents, codes).bits[:, -1]
        for kind in (PLAIN, ALL_SIGNS)
    }
    assert (bits[PLAIN] < 0.99 * bits[ALL_SIGNS]).all()


def test_what_came_of_a_run_that_is_not_whole_did_not_arrive(lapped: LappedTileCoder) -> None:
    """A lane of which so many residuals are trusted ends with a whole run."""
    tiles = procedural(3, 64, 64, 4, nodata=False).image[None]
    prepared = lapped.prepare(tiles, np.ones((1, 64, 64), np.bool_), (64, 64))
    codes = np.maximum(np.array([100]), lapped.finest(prepared))
    plans = lapped.plan(Chosen(prepared, codes, [ALL_VALID], 65_535))
    body = lapped.write(plans)[0][0][2][1 + lapped.model.front_end.side_bytes :]
    reader = LayerReader(lapped.model)
    whole = reader.read(1, 8, 8, [Lane(0, 1, 0, body)], SIGN_HIDING)
    for most in range(2_000, 2_040):
        part = reader.read(1, 8, 8, [Lane(0, 1, 0, body, most)], SIGN_HIDING)
        for number, (some, all_) in enumerate(zip(part.layers, whole.layers, strict=True)):
            if number <= part.complete[0]:
                came = some.residual != 0
                assert np.array_equal(some.residual[came], all_.residual[came])
