"""Tiles in two parts keep one bound at first, then a finer one, in hardly more bytes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from onboard.codec.bound import Bound
from onboard.codec.bounded.read.rest import RestRead, read_rest
from onboard.codec.bounded.read.tiles import Read, TileReader
from onboard.errors import UsageError
from tests.onboard.codec.bounded.tiles import (
    codec,
    coded_twice,
    first_parts,
    hard_tiles,
    lanes_of,
    read,
    rest_lanes_of,
    size_of,
    smooth,
)

Tiles = NDArray[np.generic]


def read_twice(
    tiles: Tiles, valid: NDArray[np.bool_], bodies: list, lost: object = None
) -> tuple[Read, RestRead]:
    """Read both parts, but for a lane of the rest that was lost."""
    signed = tiles.dtype == np.int16
    first = read(tiles, valid, lanes_of(first_parts(bodies, tiles.shape[1])), signed)
    lanes = [lane for lane in rest_lanes_of(bodies, tiles) if lane != lost]
    reader = TileReader(codec().model, tiles.shape[1], signed)
    return first, read_rest(reader, tiles.shape[2:], valid, first, lanes)


def assert_within_both(
    tiles: Tiles,
    first: str,
    both: str,
    nodata: int | None = None,
    room: int = 65_535,
    one_layer: bool = False,
) -> tuple[int, int]:
    """Assert that both bounds, and nodata, are kept; return the bytes of the first part and all."""
    bounds = Bound.parse(first), Bound.parse(both)
    bodies, valid = coded_twice(tiles, bounds, nodata, room, one_layer)
    coarse, fine = read_twice(tiles, valid, bodies)
    assert not coarse.wrong
    assert not fine.wrong
    assert fine.whole.all()
    wanted = tiles.reshape(len(tiles), tiles.shape[1], -1).astype(np.int64)
    here = np.broadcast_to(valid[:, None], wanted.shape)
    for found, bound in ((coarse.samples, bounds[0]), (fine.samples, bounds[1])):
        most = np.stack([bound.at(tile) for tile in wanted])
        assert (np.abs(found - wanted) <= most)[here].all()
        if nodata is not None:
            assert ((found == nodata) == (wanted == nodata))[here].all()
    sizes = [
        sum(len(body) for of_tile in some for _, _, body in of_tile)
        for some in (first_parts(bodies, tiles.shape[1]), bodies)
    ]
    return sizes[0], sizes[1]


@pytest.mark.parametrize("room", [94, 1000, 65_535])
@pytest.mark.parametrize(
    ("first", "both"),
    [("8", "0"), ("2", "0"), ("100", "3"), ("3000", "1"), ("32767", "0"), ("0", "0"), ("7", "7"),
     ("sqrt:2", "0"), ("sqrt:2", "sqrt:0.5"), ("8", "sqrt:0.1"), ("9,0,2,40", "0,0,1,2")],
)  # fmt: skip
def test_bounds(first: str, both: str, room: int) -> None:
    assert_within_both(smooth((2, 4, 9, 13)).astype(np.uint16), first, both, room=room)


@pytest.mark.parametrize("bands", [1, 4, 5, 16])
def test_any_number_of_bands(bands: int) -> None:
    tiles = smooth((2, bands, 7, 8)).astype(np.uint16)
    assert_within_both(tiles, "8", "0")
    firsts = ",".join(str(3 * band) for band in range(bands))
    assert_within_both(tiles, firsts, ",".join(map(str, range(bands))), room=200, one_layer=True)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (2, 128), (128, 2)])
def test_tiles_of_any_shape(shape: tuple[int, int]) -> None:
    assert_within_both(smooth((2, 3, *shape)).astype(np.uint16), "8", "0")


@pytest.mark.parametrize("both", ["0", "2"])
@pytest.mark.parametrize(("nodata", "gap"), [(0, 0), (65_535, 65_535), (1800, 1800), (1801, 7)])
def test_nodata_at_either_end_and_between(both: str, nodata: int, gap: int) -> None:
    tiles = smooth((3, 3, 9, 11)).astype(np.uint16)
    tiles[tiles == nodata] += 1
    tiles[0, :, 3:9, 5:10] = nodata
    tiles[1, :, :, 0] = nodata
    tiles[1, :, 0] = nodata
    tiles[2, 1, 4:8, 4:8] = gap
    assert_within_both(tiles, "8", both, nodata)
    assert_within_both(tiles, "sqrt:2", both, nodata, room=150)


def test_extremes_signed_samples_gaps_and_steps() -> None:
    generator = np.random.default_rng(1)
    for kind, low, high in ((np.uint16, 0, 65_535), (np.int16, -32_768, 32_767)):
        tiles = generator.choice([low, high], (2, 3, 7, 7)).astype(kind)
        for first in ("1", "1000", "32767"):
            assert_within_both(tiles, first, "0")
    assert_within_both((smooth((1, 2, 9, 9)) - 2000).astype(np.int16), "12", "1", -9999)
    samples = smooth((1, 2, 24, 24))
    assert_within_both((samples * 16).astype(np.uint16), "33", "0")
    gapped = np.where(samples < 1500, samples, 1500 + 2 * (samples - 1500)).astype(np.uint16)
    assert_within_both(gapped, "8", "0")
    assert_within_both(np.full((1, 3, 8, 8), 777, np.uint16), "8", "0")


def test_samples_in_one_cell_of_the_finer_bound() -> None:
    tile = np.array([[[[3, 4, 4, 5]]]], np.uint8)
    assert_within_both(tile, "sqrt:1.5", "sqrt:0.7", 255)


def test_both_parts_take_hardly_more_than_one() -> None:
    """BOUND's figures: 2 % more with 8 DN first, 1 % with 2; gaps cost nothing."""
    tiles = smooth((1, 4, 48, 48), noise=60).astype(np.uint16)
    at_once = size_of(tiles, 0)
    for first, share in (("8", 1.02), ("2", 1.01)):
        coarse, both = assert_within_both(tiles, first, "0")
        assert coarse < 0.8 * at_once
        assert both < share * at_once
    gapped = (tiles // 2 * 4 + tiles % 2).astype(np.uint16)
    assert assert_within_both(gapped, "8", "0")[1] < 1.03 * size_of(gapped, 0)


def test_smooth_scenes_are_foretold() -> None:
    """Where what is open is known better than evenly, it takes fewer bits than that."""
    tiles = smooth((1, 3, 48, 48), top=250, noise=2).astype(np.uint8)
    coarse, both = assert_within_both(tiles, "8", "0")
    assert both - coarse < 0.85 * tiles.size * np.log2(17) / 8


def test_a_tile_does_not_depend_on_those_beside_it() -> None:
    tiles, bounds = smooth((5, 3, 16, 16)).astype(np.uint16), (Bound((8,)), Bound((1,)))
    together, _ = coded_twice(tiles, bounds)
    assert together == [coded_twice(tiles[n : n + 1], bounds)[0][0] for n in range(5)]


def test_the_first_part_is_as_one_of_its_bound() -> None:
    tiles = smooth((1, 3, 16, 16)).astype(np.uint16)
    ((_, _, body),) = first_parts(coded_twice(tiles, (Bound((8,)), Bound((0,))))[0], 3)[0]
    assert len(body) == size_of(tiles, 8)


def test_a_lost_rest_is_no_damage_and_leaves_the_first_part() -> None:
    tiles = smooth((2, 3, 12, 14)).astype(np.uint16)
    bodies, valid = coded_twice(tiles, (Bound((8,)), Bound((0,))), room=120)
    lanes = rest_lanes_of(bodies, tiles)
    assert sum(lane.tile == 0 for lane in lanes) > 2
    for lost in [lane for lane in lanes if lane.tile == 0]:
        _, fine = read_twice(tiles, valid, bodies, lost)
        assert not fine.wrong
        assert fine.whole.tolist() == [False, True]
        assert (fine.samples[1] == tiles[1].reshape(3, -1)).all()


def test_damaged_rests_never_crash() -> None:
    tiles = smooth((2, 3, 12, 14)).astype(np.uint16)
    bodies, valid = coded_twice(tiles, (Bound((8,)), Bound((0,))), room=120)
    first = read(tiles, valid, lanes_of(first_parts(bodies, 3)))
    lanes = rest_lanes_of(bodies, tiles)
    reader, generator = TileReader(codec().model, 3), np.random.default_rng(3)
    for turn in range(16):
        spoilt, number = list(lanes), int(generator.integers(len(lanes)))
        body = bytearray(lanes[number].body)
        if turn % 2:
            body[int(generator.integers(len(body)))] ^= 1 << int(generator.integers(8))
        else:
            del body[int(generator.integers(len(body))) :]
        spoilt[number] = replace(lanes[number], body=bytes(body))
        found = read_rest(reader, (12, 14), valid, first, spoilt)
        assert found.whole[1 - lanes[number].tile]
        assert turn % 2 or not found.whole[lanes[number].tile]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_the_samples(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([np.uint8, np.uint16, np.int16]))
    bands, rows, cols = (data.draw(st.integers(1, most)) for most in (4, 7, 7))
    few = st.sampled_from([0, 1, 2, 17, 100, 127])
    limits = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    elements = data.draw(st.sampled_from([few, st.integers(*limits), st.integers(0, 40)]))
    tile = data.draw(arrays(kind, (1, bands, rows, cols), elements=elements))
    nodata = data.draw(st.sampled_from([None, 0, 17, int(tile.max())]))
    if nodata is not None and (tile == nodata).all(axis=1).all():
        return  # no such tile is coded
    both = data.draw(st.lists(st.integers(0, 30), min_size=bands, max_size=bands))
    more = data.draw(st.lists(st.integers(0, 300), min_size=bands, max_size=bands))
    first = [a + b for a, b in zip(both, more, strict=True)]
    texts = [",".join(map(str, bounds)) for bounds in (first, both)]
    assert_within_both(tile, *texts, nodata, data.draw(st.sampled_from([94, 65_535])))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("bands", range(1, 17))
def test_sweep(kind: type[np.integer], bands: int) -> None:
    """Mixed bounds, nodata at all places, shifted samples, extremes, in tiles of many shapes."""
    generator = np.random.default_rng(bands)
    for _ in range(5):
        tiles, nodata = hard_tiles(generator, kind, bands, 20)
        both = generator.choice([0, 0, 1, 2, 5], bands)
        first = both + generator.choice([0, 1, 8, 8, 200], bands)
        room = int(generator.choice([94, 1000, 65_535]))
        texts = [",".join(map(str, bounds.tolist())) for bounds in (first, both)]
        for pair in (texts, ("sqrt:1.5", "sqrt:0.7"), ("sqrt:1.5", "0")):
            assert_within_both(tiles, *pair, nodata, room, bool(generator.integers(2)))


@pytest.mark.parametrize(
    ("first", "both"), [("1", "2"), ("8,0", "4,1"), ("sqrt:1", "sqrt:2"), ("3", "0,4")]
)
def test_a_first_bound_is_not_the_finer_one(first: str, both: str) -> None:
    with pytest.raises(UsageError, match="expected no bound below"):
        Bound.parse(first).check_not_finer(Bound.parse(both))
