"""The entropy coder: lanes and tables there and back, and lanes that nobody wrote."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.lapped.context import LEVELS
from onboard.codec.lapped.read.run import Reader, Run
from onboard.codec.lapped.read.tables import TableReader
from onboard.codec.lapped.tables import BIT, ESCAPE, LARGEST, SYMBOLS, Tables, rows_of
from onboard.codec.lapped.trellis import STATES, odd_before
from onboard.errors import BundleError

EMPTY_LANE = bytes.fromhex("00010000")
Lanes = list[NDArray[np.int64]]


def frequency_table(rng: np.random.Generator, symbols: int) -> NDArray[np.int64]:
    """Return random frequencies, each at least 1, that add up to 4096; some of them steep."""
    shares = rng.dirichlet(np.full(symbols, rng.choice([0.05, 1.0, 20.0])))
    counts = 1 + np.floor(shares * (rans.TOTAL - symbols)).astype(np.int64)
    counts[rng.integers(symbols)] += rans.TOTAL - counts.sum()
    return counts


def written(frequencies: NDArray[np.int64], lanes: Lanes) -> list[bytes]:
    alphabet = rans.Alphabet.of(np.cumsum(frequencies) - frequencies, frequencies)
    return rans.encode([np.asarray(lane, np.uint16) for lane in lanes], alphabet)


def slots_of(frequencies: NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.repeat(np.cumsum(frequencies) - frequencies, frequencies)
    packed = np.repeat(frequencies, frequencies) << rans.PRECISION
    return packed + np.arange(rans.TOTAL) - starts


def ahead(
    reader: Reader, frequencies: NDArray[np.int64], lanes: NDArray[np.int64], steps: int
) -> tuple[Run, NDArray[np.int64]]:
    """Read some steps ahead; return the run, and the symbols (steps, lanes)."""
    places = np.zeros((steps, len(lanes)), np.int64)
    run = Run(reader, lanes, slots_of(frequencies), places)
    return run, np.repeat(np.arange(len(frequencies)), frequencies)[places]


def read(
    frequencies: NDArray[np.int64], lanes: list[bytes], lengths: list[int], steps: int = 7
) -> tuple[Lanes, NDArray[np.bool_]]:
    """Read lanes side by side; return their symbols, and which of them ended."""
    reader = Reader(lanes)
    found: list[list[int]] = [[] for _ in lanes]
    left = np.array(lengths, np.int64)
    while left.any():
        active = np.flatnonzero(left)
        assert not reader.ended()[active].any()
        run, symbols = ahead(reader, frequencies, active, steps)
        going = np.arange(steps)[:, None] < left[active]
        ended = run.ended()
        assert ended is None or not (ended & going).any()
        run.leave(going.sum(axis=0))
        left[active] -= going.sum(axis=0)
        for number, lane in enumerate(active):
            found[lane] += symbols[going[:, number], number].tolist()
    return [np.array(lane, np.int64) for lane in found], reader.ended()


@given(
    seed=st.integers(0, 2**32 - 1),
    symbols=st.integers(2, 300),
    lengths=st.lists(st.one_of(st.just(0), st.just(1), st.integers(0, 90)), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_lanes_round_trip(seed: int, symbols: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    frequencies = frequency_table(rng, symbols)
    lanes = [rng.choice(symbols, length, p=frequencies / rans.TOTAL) for length in lengths]
    coded = written(frequencies, lanes)
    found, ended = read(frequencies, coded, lengths)
    assert ended.all()
    for lane, back in zip(lanes, found, strict=True):
        assert np.array_equal(lane, back)


def test_bytes_of_lanes() -> None:
    """Worked by hand: the state grows by quotient * (4096 - f) + start, and 16 bits leave it."""
    frequencies = np.array([1, 4095])
    assert written(frequencies, [np.zeros(0, np.int64)]) == [EMPTY_LANE]
    assert written(frequencies, [np.array([1])]) == [(65_536 + 16 + 1).to_bytes(4, "big")]
    assert written(frequencies, [np.array([0])]) == [bytes.fromhex("10000000")]
    assert written(frequencies, [np.array([0, 0])]) == [bytes.fromhex("010000000000")]


@pytest.mark.parametrize("lanes_together", [6, 40])
def test_a_lane_hangs_on_its_own_symbols_alone(lanes_together: int) -> None:
    """Whether it is coded beside many others, beside few, or outlasts them all."""
    rng = np.random.default_rng(1)
    frequencies = frequency_table(rng, 64)
    lengths = [40, 0, 7, 900, 1, 7, *rng.integers(0, 600, lanes_together - 6).tolist()]
    lanes = [rng.integers(0, 64, length) for length in lengths]
    together = written(frequencies, lanes)
    assert together == [written(frequencies, [lane])[0] for lane in lanes]
    assert together[::-1] == written(frequencies, lanes[::-1])
    found, ended = read(frequencies, together, lengths)
    assert ended.all()
    assert all(map(np.array_equal, lanes, found))


def test_size_is_near_the_entropy() -> None:
    rng = np.random.default_rng(2)
    frequencies = frequency_table(rng, 64)
    lane = rng.choice(64, 20_000, p=frequencies / rans.TOTAL)
    bits = -np.log2(frequencies[lane] / rans.TOTAL).sum()
    assert bits / 8 < len(written(frequencies, [lane])[0]) < 1.002 * bits / 8 + 6


def test_no_lane_is_empty_before_its_last_symbol() -> None:
    frequencies = np.array([4095, 1])
    found, ended = read(frequencies, written(frequencies, [np.zeros(5_000, np.int64)]), [5_000])
    assert ended.all()
    assert not found[0].any()


@given(lanes=st.lists(st.binary(max_size=40), min_size=1, max_size=6), steps=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_garbage_is_read_without_an_error(lanes: list[bytes], steps: int) -> None:
    frequencies = frequency_table(np.random.default_rng(0), 64)
    every = np.arange(len(lanes))
    reader = Reader(lanes)
    run, _ = ahead(reader, frequencies, every, steps)
    run.leave(np.full(len(lanes), steps))
    for _ in range(steps):
        values = reader.raw(every, 5)
        assert ((values >= 0) & (values < 32)).all()
    assert reader.ended().shape == (len(lanes),)


@pytest.mark.parametrize("lane", [b"", b"\0", b"\0\1\0", EMPTY_LANE + b"\0", EMPTY_LANE + b"\0\0"])
def test_a_lane_of_the_wrong_length_has_not_ended(lane: bytes) -> None:
    reader = Reader([EMPTY_LANE, lane, EMPTY_LANE])
    assert reader.ended().tolist() == [True, False, True]
    assert reader.ended()[[2, 1]].tolist() == [True, False]


def test_a_lane_that_lost_its_end_does_not_end() -> None:
    rng = np.random.default_rng(3)
    frequencies = frequency_table(rng, 64)
    lane = rng.choice(64, 60, p=frequencies / rans.TOTAL)
    (coded,) = written(frequencies, [lane])
    for length in range(len(coded)):
        reader = Reader([coded[:length]])
        run, symbols = ahead(reader, frequencies, np.array([0]), len(lane))
        wrong = np.flatnonzero(symbols[:, 0] != lane)
        run.leave(wrong[:1] if len(wrong) else np.array([len(lane)]))
        assert not reader.ended().any(), length


def test_a_run_says_where_a_lane_ended() -> None:
    rng = np.random.default_rng(4)
    frequencies = frequency_table(rng, 64)
    lanes = [rng.choice(64, length, p=frequencies / rans.TOTAL) for length in (40, 3, 0, 25)]
    reader = Reader(written(frequencies, lanes))
    run, _ = ahead(reader, frequencies, np.arange(len(lanes)), 30)
    ended = run.ended()
    assert ended is not None
    assert ended.argmax(axis=0).tolist() == [0, 3, 0, 25]
    assert ended.any(axis=0).tolist() == [False, True, True, True]
    run.leave(np.array([30, 3, 0, 25]))
    assert reader.ended().tolist() == [False, True, True, True]


def test_no_lanes_at_all() -> None:
    assert written(np.array([4096]), []) == []
    assert Reader([]).ended().tolist() == []


def random_tables(seed: int, zeros: bool = True) -> Tables:
    """Return tables in which some symbols have frequency 0 and half the levels have low bits."""
    rng = np.random.default_rng(seed)
    frequencies = np.array([frequency_table(rng, SYMBOLS) for _ in range(rows_of(1))])
    if zeros:
        gone = rng.random(frequencies.shape) < 0.3
        gone[:, ESCAPE] = False
        frequencies[:, ESCAPE] += np.where(gone, frequencies, 0).sum(axis=1)
        frequencies[gone] = 0
    shifts = np.where(np.arange(LEVELS) < LEVELS // 2, 0, np.arange(LEVELS) % 13)
    return Tables(frequencies.astype(np.uint16), shifts.astype(np.uint8), (1,))


def encoded(
    tables: Tables,
    level: NDArray[np.int64],
    residual: NDArray[np.int32],
    lengths: NDArray[np.int64],
) -> list[bytes]:
    """Return lanes of residuals; one takes up to four rANS symbols."""
    symbols, sizes = tables.symbols(tables.entries(level, residual), residual)
    sums = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    ends = np.cumsum(lengths)
    return rans.encode(np.split(symbols, sums[ends[:-1]]), tables.alphabet)


def decoded(
    tables: Tables, lanes: list[bytes], level: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    reader = Reader(lanes)
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    begins = (np.cumsum(lengths) - lengths)[order]
    spans = order, begins, lengths[order]
    found = TableReader(tables).decode(reader, spans, level.astype(np.int32), 0)
    assert (found.counts <= lengths[order]).all()
    return found.residuals, reader.ended()


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    spread=st.sampled_from([1, 5, 40, 600, 32_767]),
    zeros=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_residuals_round_trip(seed: int, lengths: list[int], spread: int, zeros: bool) -> None:
    rng = np.random.default_rng(seed)
    tables = random_tables(seed, zeros)
    counts = np.array(lengths)
    level = rng.integers(0, LEVELS, counts.sum())
    residual = rng.integers(-spread, spread + 1, counts.sum()).astype(np.int32)
    lanes = encoded(tables, level, residual, counts)
    found, ended = decoded(tables, lanes, level, counts)
    assert ended.all()
    assert np.array_equal(found, residual)


@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    spread=st.sampled_from([1, 5, 40, 600, 32_767]),
)
@settings(max_examples=50, deadline=None)
def test_the_trellis_steers_which_table_is_read(seed: int, lengths: list[int], spread: int) -> None:
    """With numpy and without: the same residuals, and the same states before them."""
    rng = np.random.default_rng(seed)
    tables, counts = random_tables(seed), np.array(lengths)
    level = rng.integers(0, LEVELS, counts.sum())
    residual = rng.integers(-spread, spread + 1, counts.sum()).astype(np.int32)
    begins = np.cumsum(counts) - counts
    starts = rng.integers(0, STATES, len(counts))
    odd = np.concatenate(
        [
            odd_before(int(state), part.tolist())
            for state, part in zip(starts, np.split(residual, begins[1:]), strict=True)
        ]
    ).astype(np.int64)
    first_row = tables.first_row(1, True)
    lanes = encoded(tables, first_row + level + LEVELS * odd, residual, counts)
    order = np.argsort(-counts, kind="stable")
    spans = order, begins[order], counts[order]
    reader, table_reader = Reader(lanes), TableReader(tables)
    found = table_reader.decode(reader, spans, level.astype(np.int32), first_row, starts[order])
    assert reader.ended().all()
    assert np.array_equal(found.residuals, residual)
    assert found.odd is not None
    assert np.array_equal(found.odd, odd)
    reader = Reader(lanes)
    for lane, (begin, count) in enumerate(zip(begins, counts, strict=True)):
        part = slice(begin, begin + count)
        rows = (first_row + level[part]).tolist()
        values, states = table_reader.decode_lane(reader, lane, rows, int(starts[lane]))
        assert values == residual[part].tolist()
        assert states == odd[part].tolist()
    assert reader.ended().all()


def test_every_level_takes_every_residual() -> None:
    tables = random_tables(4)
    values = np.array([0, 1, -1, LARGEST, -LARGEST, LARGEST + 1, -LARGEST - 1, 32_767, -32_768])
    level = np.repeat(np.arange(LEVELS), len(values))
    residual = np.tile(values, LEVELS).astype(np.int32)
    lengths = np.full(LEVELS, len(values))
    found, ended = decoded(tables, encoded(tables, level, residual, lengths), level, lengths)
    assert ended.all()
    assert np.array_equal(found, residual)


def test_costs_foretell_the_bytes() -> None:
    rng = np.random.default_rng(5)
    tables = random_tables(5)
    level = rng.integers(0, LEVELS, 30_000)
    residual = np.rint(rng.laplace(0, 2.0 ** (level / 5))).clip(-32_768, 32_767).astype(np.int32)
    (lane,) = encoded(tables, level, residual, np.array([len(level)]))
    bits = int(tables.cost(level, residual).sum(dtype=np.int64))
    assert len(lane) == pytest.approx(bits / (8 * BIT), rel=0.005)


def test_garbage_lanes_of_tables() -> None:
    rng = np.random.default_rng(6)
    tables = random_tables(6)
    level = rng.integers(0, LEVELS, 800)
    lengths = np.full(8, 100)
    lanes = [rng.bytes(int(size)) for size in (0, 1, 3, 4, 5, 20, 60, 200)]
    found, ended = decoded(tables, lanes, level, lengths)
    assert not ended.any()
    assert np.abs(found.astype(np.int64)).max() < 1 << 28


@pytest.mark.parametrize(
    "change",
    [
        lambda f, s: f.__setitem__((5, 0), f[5, 0] + 1),
        lambda f, s: (f.__setitem__((5, 0), f[5, 0] + f[5, ESCAPE]), f.__setitem__((5, ESCAPE), 0)),
        lambda f, s: s.__setitem__(7, 13),
    ],
    ids=["sum", "no escape", "low bits"],
)
def test_tables_that_make_no_sense(change: Any) -> None:
    good = random_tables(7)
    frequencies, shifts = good.frequencies.copy(), good.shifts.copy()
    change(frequencies, shifts)
    with pytest.raises(BundleError, match="tables"):
        Tables(frequencies, shifts, good.groups)


def test_a_lane_that_reads_on_gets_no_words_of_the_next() -> None:
    """So that no pixel of a damaged tile depends on what else arrived."""
    short, other = bytes.fromhex("0001ffff"), bytes(range(200))
    found = []
    for lanes in ([short], [short, other], [other, short]):
        reader, lane = Reader(lanes), np.array([lanes.index(short)])
        found.append([int(reader.raw(lane, 12)[0]) for _ in range(30)])
    assert found[0] == found[1] == found[2]
