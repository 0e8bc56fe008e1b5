"""Tiles coded and read again, as the tests of the bounded codec need them."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bound import BOUNDED, TWO_PARTS, Bound
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.bounded.read.course import Lane
from onboard.codec.bounded.read.tiles import Read, TileReader
from onboard.codec.tile import ALL_VALID, SOME_NODATA, Body, Chosen
from tests.commands import ROOT

PART = ROOT / "onboard" / "bundles" / "skybook.bounded"


@cache
def codec() -> BoundedCodec:
    """The codec of the part that is shipped."""
    return BoundedCodec.read(PART.read_bytes())


def coded(
    tiles: NDArray[np.generic],
    bound: Bound,
    nodata: int | None = None,
    room: int = 65_535,
    one_layer: bool = False,
) -> tuple[list[list[Body]], NDArray[np.bool_]]:
    """Return the bodies of tiles (tiles, bands, rows, cols), and which pixels are valid."""
    coder = codec().open(tiles.shape[1], bound, nodata)
    present = np.ones(tiles[:, 0].shape, np.bool_)
    if nodata is not None:
        present = (tiles != nodata).any(axis=1)
    states = [ALL_VALID if here.all() else SOME_NODATA for here in present]
    prepared = coder.prepare(tiles, present, (tiles.shape[2], tiles.shape[3]))
    chosen = Chosen(prepared, coder.finest(prepared), states, room)
    bodies = coder.write(coder.plan(chosen, one_layer))
    for state, of_tile in zip(states, bodies, strict=True):
        assert of_tile[0][:2] == (0, 0)
        assert of_tile[0][2][0] == state | BOUNDED
        assert all(len(body) <= room for _, _, body in of_tile)
    return bodies, present.reshape(len(tiles), -1)


def coded_twice(
    tiles: NDArray[np.generic],
    bounds: tuple[Bound, Bound],
    nodata: int | None = None,
    room: int = 65_535,
    one_layer: bool = False,
) -> tuple[list[list[Body]], NDArray[np.bool_]]:
    """Return the bodies of tiles in two parts, of a first bound and both, and what is valid."""
    coder = codec().open(tiles.shape[1], bounds[1], nodata, bounds[0])
    present = np.ones(tiles[:, 0].shape, np.bool_)
    if nodata is not None:
        present = (tiles != nodata).any(axis=1)
    states = [ALL_VALID if here.all() else SOME_NODATA for here in present]
    prepared = coder.prepare(tiles, present, (tiles.shape[2], tiles.shape[3]))
    chosen = Chosen(prepared, coder.finest(prepared), states, room)
    plans = coder.plan(chosen, one_layer)
    bodies = coder.write(plans)
    for state, of_tile, plan in zip(states, bodies, plans, strict=True):
        assert of_tile[0][2][0] == state | TWO_PARTS
        assert all(len(body) <= room for _, _, body in of_tile)
        assert [piece[:2] for piece in plan.pieces] == [body[:2] for body in of_tile]
    return bodies, present.reshape(len(tiles), -1)


def rest_lanes_of(bodies: list[list[Body]], tiles: NDArray[np.generic]) -> list[Lane]:
    """Return the lanes of the rest of tiles of these bands and pixels."""
    bands, pixels = tiles.shape[1], tiles[0, 0].size
    return [
        Lane(tile, 4 * (layer - bands - 1) + first // pixels, first % pixels, body)
        for tile, of_tile in enumerate(bodies)
        for layer, first, body in of_tile
        if layer > bands
    ]


def first_parts(bodies: list[list[Body]], bands: int) -> list[list[Body]]:
    """Return the bodies of first parts alone."""
    return [[body for body in of_tile if body[0] <= bands] for of_tile in bodies]


def lanes_of(bodies: list[list[Body]]) -> list[Lane]:
    """Return the lanes of all segments of tiles."""
    return [
        Lane(tile, max(layer - 1, 0), first, body if layer else body[1:])
        for tile, of_tile in enumerate(bodies)
        for layer, first, body in of_tile
        if layer or len(body) > 1
    ]


def read(
    tiles: NDArray[np.generic], valid: NDArray[np.bool_], lanes: list[Lane], signed: bool = False
) -> Read:
    """Read tiles of the shape of these."""
    reader = TileReader(codec().model, tiles.shape[1], signed)
    return reader.read((tiles.shape[2], tiles.shape[3]), valid, lanes)


def assert_within(
    tiles: NDArray[np.generic],
    bound: Bound,
    nodata: int | None = None,
    room: int = 65_535,
    one_layer: bool = False,
) -> int:
    """Code and read tiles; assert that the bound and nodata are kept; return the bytes."""
    bodies, valid = coded(tiles, bound, nodata, room, one_layer)
    found = read(tiles, valid, lanes_of(bodies), tiles.dtype == np.int16)
    assert not found.wrong
    assert (found.arrived == tiles[0].size).all()
    wanted = tiles.reshape(len(tiles), tiles.shape[1], -1).astype(np.int64)
    most = np.stack([bound.at(tile) for tile in wanted])
    here = np.broadcast_to(valid[:, None], wanted.shape)
    assert (np.abs(found.samples - wanted) <= most)[here].all()
    if nodata is not None:
        assert ((found.samples == nodata) == (wanted == nodata))[here].all()
    return sum(len(body) for of_tile in bodies for _, _, body in of_tile)


def size_of(tiles: NDArray[np.generic], bound: int) -> int:
    """Return the bytes of tiles, which the coder itself has checked."""
    bodies, _ = coded(tiles, Bound((bound,)))
    return sum(len(body) for of_tile in bodies for _, _, body in of_tile)


def smooth(
    shape: tuple[int, ...], seed: int = 0, top: int = 4000, noise: int = 30
) -> NDArray[np.int64]:
    """Return tiles (tiles, bands, rows, cols) with slopes, an edge and noise, from 0 to `top`."""
    generator = np.random.default_rng(seed)
    count, bands, rows, cols = shape
    row, col = np.indices((rows, cols))
    base = np.sin(col / 9 + 1) * np.cos(row / 13) + (col > row) * 0.5
    gain = generator.uniform(0.2, 1, (count, bands, 1, 1))
    found = top * (0.45 + 0.3 * gain * base) + generator.normal(0, noise, shape)
    return np.clip(np.rint(found), 0, top).astype(np.int64)


def hard_tiles(
    generator: np.random.Generator, kind: type[np.integer], bands: int, most: int
) -> tuple[NDArray[np.generic], int]:
    """Return two tiles of a sweep, of sides below `most`, and their nodata.

    They have nodata at all places, shifted samples and extremes.
    """
    low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    rows, cols = generator.integers(1, most, 2)
    top = int(generator.integers(1, high + 1))
    tiles = smooth((2, bands, rows, cols), int(generator.integers(1 << 30)), top, top / 99)
    tiles = tiles * int(generator.choice([1, 1, 4])) + int(generator.integers(low, 1))
    tiles = np.clip(tiles, low, high).astype(kind)
    tiles[generator.random(tiles.shape) < 0.002] = generator.choice([low, high])
    nodata = int(generator.choice([low, high, int(tiles[0, 0, 0, 0])]))
    tiles[:, :, generator.random((rows, cols)) < 0.1] = nodata
    tiles[0, 0, 0, 0] = low if nodata != low else high
    tiles[1, 0, -1, -1] = low if nodata != low else high
    return tiles, nodata
