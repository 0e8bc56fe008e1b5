"""Raw lanes: what the entropy coder would make longer goes as it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard import bundle as bundles
from onboard.codec.lapped import rawlane
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.plan import Plan
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader
from onboard.codec.lapped.tables import LARGEST
from onboard.codec.tile import ALL_VALID, Chosen
from tests.onboard.codec.lapped.layer0 import least_levels

SIDE = 64
FINE = 32


@pytest.fixture(scope="module")
def lapped() -> LappedTileCoder:
    return LappedCodec.of(bundles.load("skybook").codec).open_planes()


def noise(seed: int) -> NDArray[np.uint16]:
    """One tile of white noise."""
    return np.random.default_rng(seed).integers(0, 65_536, (1, 4, SIDE, SIDE)).astype(np.uint16)


def planned(lapped: LappedTileCoder, tile: NDArray[np.uint16], finer: int, one_layer: bool) -> Plan:
    """Return a plan at the finest step or `finer` codes above it."""
    prepared = lapped.prepare(tile, np.ones((1, SIDE, SIDE), np.bool_), (SIDE, SIDE))
    chosen = Chosen(prepared, lapped.finest(prepared) + finer, [0], 978)
    return lapped.plan(chosen, one_layer)[0]


@given(st.lists(st.integers(-32_768, 32_767), max_size=70))
@settings(deadline=None)
def test_residuals_come_back(values: list[int]) -> None:
    residuals = np.array(values, np.int32)
    packed = rawlane.pack(residuals)
    assert packed is not None
    width = max([8, *((value if value >= 0 else ~value).bit_length() + 1 for value in values)])
    assert len(packed) == 3 + -(-len(values) * width // 8)
    found = rawlane.unpack(packed)
    assert found is not None
    assert found.tolist() == values


@pytest.mark.parametrize(
    "lane",
    [
        b"",
        b"\0\0",
        b"\0\1\x08",
        b"\0\0\x07\0",
        b"\0\0\x11\0\0\0",
        b"\0\0\x10\0",
        b"\0\0\x09\0",
        b"\0\0\x09\0\1",
    ],
    ids=["empty", "short", "a state", "narrow", "wide", "half", "less than one", "filled with 1"],
)
def test_what_is_no_raw_lane(lane: bytes) -> None:
    assert rawlane.unpack(lane) is None


def test_residuals_beyond_16_bits_are_never_raw() -> None:
    assert rawlane.pack(np.array([5, 32_768], np.int32)) is None
    assert rawlane.pack(np.array([-32_769], np.int32)) is None


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1, 30, 3000]))
@settings(max_examples=30, deadline=None)
def test_symbols_give_their_residuals_back(lapped: LappedTileCoder, seed: int, scale: int) -> None:
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 64, 500)
    residual = np.clip(rng.standard_t(1, 500) * scale, -32_768, 32_767).astype(np.int32)
    codes = lapped.model.tables.entries(level, residual)
    rows, _ = lapped.model.tables.symbols(codes, residual)
    assert np.array_equal(lapped.model.tables.residuals(rows), residual)


@pytest.mark.parametrize("one_layer", [False, True])
@pytest.mark.parametrize("finer", [0, FINE, 64, 128])
def test_noise_takes_no_more_than_fixed_indices(
    lapped: LappedTileCoder, finer: int, one_layer: bool
) -> None:
    plan = planned(lapped, noise(finer), finer, one_layer)
    (bodies,) = lapped.write([plan])
    for (first, stop), (_, _, body) in zip(plan.cuts[1:], bodies[1:], strict=True):
        residuals = lapped.model.tables.residuals(plan.symbols.of_units(0, first, stop))
        assert len(body) <= len(rawlane.pack(residuals) or b"")
    assert any(raw is not None for raw in plan.raw) == (finer < 128)


@pytest.mark.parametrize("finer", [0, FINE, 64])
def test_noise_is_read_back(lapped: LappedTileCoder, finer: int) -> None:
    tile = noise(9)
    plan = planned(lapped, tile, finer, False)
    (bodies,) = lapped.write([plan])
    side = len(plan.side)
    lanes = [Lane(0, max(layer, 1), first, body) for layer, first, body in bodies]
    lanes[0] = Lane(0, 1, 0, bodies[0][2][side:])
    least = least_levels(lapped.model, [bodies])
    found = LayerReader(lapped.model).read(1, SIDE // 8, SIDE // 8, lanes, ALL_VALID, least)
    prepared = lapped.prepare(tile, np.ones((1, SIDE, SIDE), np.bool_), (SIDE, SIDE))
    steps = lapped.scanner.scan(prepared.latents, lapped.finest(prepared) + finer, least)
    for layer, written in zip(found.layers, steps, strict=True):
        assert np.array_equal(layer.values, written.values)
    assert found.complete.tolist() == [lapped.model.contexts.layers]
    assert not found.wrong


def test_a_raw_lane_that_breaks_off(lapped: LappedTileCoder) -> None:
    plan = planned(lapped, noise(3), 0, False)
    (bodies,) = lapped.write([plan])
    lanes = [Lane(0, 1, 0, bodies[0][2][len(plan.side) :])]
    lanes += [Lane(0, *body) for body in bodies[1:2]]
    found = LayerReader(lapped.model).read(1, SIDE // 8, SIDE // 8, lanes)
    assert 0 <= found.complete[0] < lapped.model.contexts.layers
    assert any(np.abs(layer.residual).max() > LARGEST for layer in found.layers)


def test_raw_and_coded_lanes_side_by_side(lapped: LappedTileCoder) -> None:
    tiles = np.concatenate([noise(1) if n % 3 == 0 else noise(n) >> 12 for n in range(24)])
    prepared = lapped.prepare(tiles, np.ones((24, SIDE, SIDE), np.bool_), (SIDE, SIDE))
    codes = np.where(np.arange(24) % 3 == 0, lapped.finest(prepared), 160)
    chosen = Chosen(prepared, codes, [0] * 24, 978)
    plans = lapped.plan(chosen)
    assert {any(raw is not None for raw in plan.raw) for plan in plans} == {False, True}
    lanes = []
    for tile, (plan, bodies) in enumerate(zip(plans, lapped.write(plans), strict=True)):
        lanes.append(Lane(tile, 1, 0, bodies[0][2][len(plan.side) :]))
        lanes += [Lane(tile, *body) for body in bodies[1:]]
    found = LayerReader(lapped.model).read(24, SIDE // 8, SIDE // 8, lanes)
    for layer, written in zip(found.layers, lapped.scan(prepared, codes), strict=True):
        assert np.array_equal(layer.values, written.values)
    assert not found.wrong


def test_a_lane_with_residuals_left_over_is_not_complete(lapped: LappedTileCoder) -> None:
    plan = planned(lapped, noise(3), 0, False)
    (bodies,) = lapped.write([plan])
    lanes = [Lane(0, 1, 0, bodies[0][2][len(plan.side) :])]
    lanes += [Lane(0, *body) for body in bodies[1:]]
    last = lanes[-1]
    residuals = rawlane.unpack(last.body)
    assert residuals is not None
    longer = rawlane.pack(np.append(residuals, 7))
    assert longer is not None
    lanes[-1] = Lane(0, last.layer, last.first, longer)
    found = LayerReader(lapped.model).read(1, SIDE // 8, SIDE // 8, lanes)
    assert found.wrong == lanes[-1:]
    assert found.complete.tolist() == [last.layer - 1]
