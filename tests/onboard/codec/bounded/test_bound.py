"""No sample is off by more than its bound, and nodata stays what it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onboard.codec.bound import Bound
from onboard.errors import UsageError
from tests.onboard.codec.bounded.tiles import assert_within, coded, hard_tiles, size_of, smooth


@pytest.mark.parametrize("bound", [0, 1, 2, 7, 40, 3000, 32_767])
@pytest.mark.parametrize("room", [94, 1000, 65_535])
def test_slopes_and_noise(bound: int, room: int) -> None:
    assert_within(smooth((3, 4, 13, 17)).astype(np.uint16), Bound((bound,)), room=room)


@pytest.mark.parametrize("bands", [1, 2, 3, 5, 16])
def test_any_number_of_bands(bands: int) -> None:
    tiles = smooth((2, bands, 9, 8)).astype(np.uint16)
    assert_within(tiles, Bound(tuple(range(bands))))
    assert_within(tiles, Bound((0,)), one_layer=True, room=200)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (2, 128), (128, 2)])
def test_tiles_of_any_shape(shape: tuple[int, int]) -> None:
    tiles = smooth((2, 3, *shape)).astype(np.uint16)
    assert_within(tiles, Bound((0,)))
    assert_within(tiles, Bound((3,)))


@pytest.mark.parametrize("bound", [0, 1, 2, 5, 300])
@pytest.mark.parametrize(("nodata", "gap"), [(0, 0), (65_535, 65_535), (1800, 1800), (1801, 7)])
def test_nodata_at_either_end_and_between(bound: int, nodata: int, gap: int) -> None:
    """`gap` is the value of pixels in which some bands alone have it."""
    tiles = smooth((3, 3, 9, 11)).astype(np.uint16)
    tiles[tiles == nodata] += 1
    tiles[0, :, 3:9, 5:10] = nodata
    tiles[1, :, :, 0] = nodata
    tiles[1, :, 0] = nodata
    tiles[2, 1, 4:8, 4:8] = gap
    assert_within(tiles, Bound((bound,)), nodata)
    assert_within(tiles, Bound((bound, 0, 2)), nodata, room=150)


@pytest.mark.parametrize("root", ["sqrt:0.01", "sqrt:0.5", "sqrt:3", "sqrt:255"])
@pytest.mark.parametrize("nodata", [None, 0, 1801])
def test_bounds_that_follow_the_root(root: str, nodata: int | None) -> None:
    tiles = smooth((2, 2, 8, 9)).astype(np.uint16)
    if nodata is not None:
        tiles[0, :, 3:5] = nodata
        tiles[1, 1, 6] = nodata
    assert_within(tiles, Bound.parse(root), nodata)


def test_cells_that_reach_beyond_the_samples() -> None:
    for kind in (np.uint8, np.uint16, np.int16):
        most = _range(kind)[1]
        tiles = np.full((1, 2, 4, 4), most, kind)
        tiles[0, 0, 1, 2:] -= 1
        tiles[0, 1, 3, 3] = 0
        for root in ("sqrt:0.7", "sqrt:200"):
            assert_within(tiles, Bound.parse(root))


def test_signed_samples() -> None:
    tiles = (smooth((2, 3, 9, 10)) - 2000).astype(np.int16)
    for bound in (Bound((0,)), Bound((4,)), Bound.parse("sqrt:1")):
        assert_within(tiles, bound)
    tiles[0, :, 2:4] = -9999
    assert_within(tiles, Bound((2,)), -9999)


def test_extremes_of_samples() -> None:
    generator = np.random.default_rng(1)
    for kind, low, high in ((np.uint16, 0, 65_535), (np.int16, -32_768, 32_767)):
        tiles = generator.choice([low, high], (2, 3, 9, 9)).astype(kind)
        for bound in (0, 1, 1000):
            assert_within(tiles, Bound((bound,)))


def test_noise_takes_hardly_more_than_its_width() -> None:
    generator = np.random.default_rng(2)
    for bits in (8, 11, 16):
        tiles = generator.integers(0, 1 << bits, (2, 2, 64, 64)).astype(np.uint16)
        assert size_of(tiles, 0) <= tiles.size * bits / 8 * 1.005
        assert_within(tiles[:, :, :8, :8], Bound((0,)))


def test_samples_shifted_left_cost_as_before() -> None:
    tiles = smooth((1, 3, 32, 32)).astype(np.uint16)
    plain = size_of(tiles, 0)
    assert size_of(tiles * 16, 0) <= plain + 12
    assert size_of(tiles * 16, 33) < 0.8 * plain
    assert_within(tiles[:, :, :8, :8] * 16, Bound((33,)))


def test_gaps_of_the_histogram_save_their_bits() -> None:
    tiles = smooth((1, 2, 48, 48)).astype(np.uint16)
    plain = size_of(tiles, 0)
    gapped = np.where(tiles < 1500, tiles, 1500 + 2 * (tiles - 1500)).astype(np.uint16)
    assert size_of(gapped, 0) < 1.03 * plain + 64
    assert_within(gapped, Bound((0,)))


def test_equal_samples_take_a_few_bytes() -> None:
    tiles = np.full((2, 4, 16, 16), 777, np.uint16)
    assert assert_within(tiles, Bound((0,))) <= 2 * 20
    tiles[0, 2, 5, 5] += 3
    assert_within(tiles, Bound((0,)))
    assert_within(tiles, Bound((2,)))


def test_a_tile_does_not_depend_on_those_beside_it() -> None:
    tiles = smooth((5, 3, 16, 16)).astype(np.uint16)
    for bound in (0, 2):
        together, _ = coded(tiles, Bound((bound,)))
        alone = [coded(tiles[n : n + 1], Bound((bound,)))[0][0] for n in range(5)]
        assert together == alone


def test_fewer_bytes_with_a_looser_bound() -> None:
    tiles = smooth((2, 4, 32, 32)).astype(np.uint16)
    sizes = [size_of(tiles, bound) for bound in (0, 1, 2, 4, 8, 16)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.5 * sizes[0]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_the_samples(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([np.uint8, np.uint16, np.int16]))
    bands, rows, cols = (data.draw(st.integers(1, most)) for most in (4, 9, 9))
    few = st.sampled_from([0, 1, 2, 17, 100, 127])
    elements = data.draw(st.sampled_from([few, st.integers(*_range(kind)), st.integers(0, 40)]))
    tile = data.draw(arrays(kind, (1, bands, rows, cols), elements=elements))
    nodata = data.draw(st.sampled_from([None, 0, 17, int(tile.max())]))
    bounds = data.draw(st.lists(st.integers(0, 300), min_size=bands, max_size=bands))
    if nodata is not None and (tile == nodata).all(axis=1).all():
        return  # no such tile is coded
    assert_within(tile, Bound(tuple(bounds)), nodata, data.draw(st.sampled_from([94, 65_535])))


def _range(kind: type[np.integer]) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("bands", range(1, 17))
def test_sweep(kind: type[np.integer], bands: int) -> None:
    """Mixed bounds, nodata at all places, shifted samples, extremes, in tiles of many shapes."""
    generator = np.random.default_rng(bands)
    for _ in range(10):
        tiles, nodata = hard_tiles(generator, kind, bands, 25)
        bounds = tuple(generator.choice([0, 0, 1, 2, 5, 100], bands).tolist())
        for bound in (Bound(bounds), Bound.parse("sqrt:0.7")):
            room = int(generator.choice([94, 1000, 65_535]))
            assert_within(tiles, bound, nodata, room, bool(generator.integers(2)))


@pytest.mark.parametrize("text", ["-1", "x", "1,", "32768", "sqrt:0", "sqrt:", "sqrt:300", "1.5"])
def test_bounds_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="max error"):
        Bound.parse(text)


def test_bounds_are_told_as_they_were_given() -> None:
    for text in ("0", "3,0,12", "sqrt:0.5", "sqrt:10", "sqrt:0.011719"):
        assert str(Bound.parse(text)) == text
    with pytest.raises(UsageError, match="each of 4 bands"):
        Bound((1, 2)).of_bands(4)
    assert Bound.parse("sqrt:2").at(np.array([[0, 1, 9, 10_000, -5]])).tolist() == [
        [0, 2, 6, 200, 0]
    ]
