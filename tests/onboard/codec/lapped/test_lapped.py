"""Parts of the lapped codec: band transform, front end, transform, contexts, reading, packing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ground.decode.lapped.synthesis import synthesise, to_bands
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.lapped import bandtransform
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.context import BLOCK, LATTICES, ContextModel
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.frontends.frontend import LappedSide
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import ALL_SIGNS
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader, Read
from onboard.codec.lapped.transform import PLANE_LIMIT
from onboard.codec.lapped.trellis import STATES
from onboard.codec.tile import ALL_VALID, DEPENDENT, SIGN_HIDING, Chosen
from onboard.errors import BundleError, StreamError
from tests.onboard.codec.lapped.layer0 import layer_0_bytes, least_levels

ONE = 1 << bandtransform.SHIFT


@pytest.fixture(scope="module")
def lapped() -> LappedTileCoder:
    return LappedCodec.of(bundles.load("skybook").codec).open_planes()


@pytest.fixture(scope="module")
def tiles() -> NDArray[np.int32]:
    """Twelve tiles (12, 4, 32, 32) of a procedural scene."""
    image = procedural(2, 96, 128, nodata=False).image.astype(np.int32)
    grid = image.reshape(4, 3, 32, 4, 32).transpose(1, 3, 0, 2, 4)
    return grid.reshape(12, 4, 32, 32)


def everywhere(tiles: NDArray[Any]) -> NDArray[np.bool_]:
    return np.ones((len(tiles), *tiles.shape[2:]), np.bool_)


def correlated(seed: int, bands: int, side: int = 32) -> NDArray[np.int32]:
    """Return one tile whose bands are mixtures of independent noise of very different strength."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(bands, side * side)) * 400 / 2.0 ** np.arange(bands)[:, None]
    mixed = np.linalg.qr(rng.normal(size=(bands, bands)))[0] @ sources
    return np.rint(mixed).astype(np.int32).reshape(1, bands, side, side)


def matrix_of(deviations: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the band transforms (tiles, components, bands)."""
    covariance = bandtransform.measure(deviations, everywhere(deviations))
    angles = bandtransform.choose(covariance)
    return bandtransform.matrix(angles, deviations.shape[1]) / ONE


@given(bands=st.integers(2, 8), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_matrices_of_all_angles_are_orthonormal(bands: int, seed: int) -> None:
    count = bandtransform.angle_count(bands)
    angles = np.random.default_rng(seed).integers(0, 256, (20, count)).astype(np.uint8)
    matrix = bandtransform.matrix(angles, bands) / ONE
    assert np.abs(matrix @ matrix.transpose(0, 2, 1) - np.eye(bands)).max() < 1e-3


def test_angle_128_is_no_rotation() -> None:
    angles = np.full((1, 6), 128, np.uint8)
    assert np.array_equal(bandtransform.matrix(angles, 4)[0], ONE * np.eye(4))


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_the_transform_decorrelates_and_orders(bands: int) -> None:
    deviations = correlated(10 * bands, bands)
    rotated = (matrix_of(deviations) @ deviations.reshape(1, bands, -1))[0]
    power = (rotated * rotated).mean(axis=1)
    assert (power[:-1] > 2 * power[1:]).all()
    # Angles are whole steps of 0.7 degrees, so a little of the strong shows in the weak.
    between = np.abs(np.corrcoef(rotated) - np.eye(bands)).max()
    assert between < 0.2
    assert np.abs(np.corrcoef(deviations.reshape(bands, -1)) - np.eye(bands)).max() > 0.4


def test_angles_do_not_depend_on_the_batch(tiles: NDArray[np.int32]) -> None:
    front_end = AdaptiveFrontEnd(4)
    together = front_end.analyse(tiles, everywhere(tiles))
    for number in range(len(tiles)):
        alone = front_end.analyse(tiles[number : number + 1], everywhere(tiles[:1]))
        assert np.array_equal(alone.angles[0], together.angles[number])
        assert np.array_equal(alone.planes, together.planes[4 * number : 4 * number + 4])
        assert np.array_equal(alone.means[0], together.means[number])


def test_the_band_transform_is_undone(tiles: NDArray[np.int32]) -> None:
    found = AdaptiveFrontEnd(4).analyse(tiles, everywhere(tiles))
    scale = np.repeat(2.0**found.shifts, 4)[:, None, None]
    back = to_bands((found.planes * scale).astype(np.float32), found.angles, found.means)
    assert np.abs(back - tiles).max() <= 1.5 * 2 ** found.shifts.max() + 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 3), (17, 16)])
def test_planes_are_filled_up_and_within_12_bits(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 65_536, (2, 4, *shape)).astype(np.uint16)
    found = AdaptiveFrontEnd(4).analyse(tile, everywhere(tile))
    assert all(side % BLOCK == 0 for side in found.planes.shape[1:])
    assert np.abs(found.planes).max() <= PLANE_LIMIT
    assert np.array_equal(found.planes, np.rint(found.planes))
    expected = np.floor(tile.mean(axis=(2, 3), dtype=np.float64) + 0.5)
    assert np.abs(found.means - expected).max() <= 1


def test_nodata_does_not_count(tiles: NDArray[np.int32]) -> None:
    present = everywhere(tiles)
    present[:, 5:12, 3:20] = False
    front_end = AdaptiveFrontEnd(4)
    first = front_end.analyse(np.where(present[:, None], tiles, 0), present)
    other = front_end.analyse(np.where(present[:, None], tiles, 60_000), present)
    for name in ("means", "angles", "shifts", "planes"):
        assert np.array_equal(getattr(first, name), getattr(other, name)), name


def test_bytes_of_the_side_information() -> None:
    front_end = AdaptiveFrontEnd(3)
    side = LappedSide((1, 65_535, 258), 112, (0, 128, 255))
    packed = bytes.fromhex("70 0080ff 0001 ffff 0102")
    assert front_end.side_bytes == len(packed)
    angles, means = np.array(side.angles, np.uint8), np.array(side.means)
    assert front_end.pack(112, angles, means) == packed
    assert front_end.unpack(packed, signed=False) == side
    assert front_end.unpack(packed, signed=True).means == (1, -1, 258)
    negative = front_end.pack(112, angles, np.array([-5, 3, -32_768]))
    assert front_end.unpack(negative, True).means == (-5, 3, -32_768)
    assert side.step == 64.0
    for wrong in (b"", packed[:-1], packed + b"\0"):
        with pytest.raises(StreamError, match="expected 10 bytes"):
            front_end.unpack(wrong, signed=False)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 64), (2, 40, 24)])
def test_the_transform_is_exact(lapped: LappedTileCoder, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    extremes = PLANE_LIMIT * rng.choice([-1, 1], shape)
    for planes in (rng.integers(-PLANE_LIMIT, PLANE_LIMIT + 1, shape), extremes):
        wide = np.pad(planes, ((0, 0), (4, 4), (4, 4)), mode="symmetric")
        weights = lapped.model.transform.analysis.astype(np.int64)
        found = lapped.model.transform.analyse(planes.astype(np.float32))
        for row in range(shape[1] // 8):
            for col in range(shape[2] // 8):
                window = wide[:, 8 * row : 8 * row + 16, 8 * col : 8 * col + 16]
                expected = np.einsum("nij,fij->nf", window, weights)
                assert np.array_equal(found[:, row, col], expected)


def test_synthesis_nearly_undoes_analysis(
    lapped: LappedTileCoder, tiles: NDArray[np.int32]
) -> None:
    planes = AdaptiveFrontEnd(4).analyse(tiles, everywhere(tiles)).planes
    latents = lapped.model.transform.analyse(planes)
    back = synthesise(lapped.model.transform, latents)
    scale = (back * planes).sum() / (back * back).sum()
    error = np.sqrt(((back * scale - planes) ** 2).mean())
    assert error < 0.02 * planes.std()


BOTH = pytest.mark.parametrize("dependent", [False, True], ids=["plain", "dependent"])


def chosen(
    lapped: LappedTileCoder,
    tiles: NDArray[np.int32],
    code: int,
    room: int = 65_535,
) -> Chosen[PreparedTiles]:
    prepared = PreparedTiles.of(lapped.model, tiles, everywhere(tiles))
    steps = np.maximum(np.full(len(tiles), code), lapped.finest(prepared))
    return Chosen(prepared, steps, [ALL_VALID] * len(tiles), room)


def coder(lapped: LappedTileCoder, dependent: bool) -> LappedTileCoder:
    return lapped.using("trellis") if dependent else lapped


def encoded(
    lapped: LappedTileCoder,
    batch: Chosen[PreparedTiles],
    dependent: bool,
    one_layer: bool = False,
) -> list[list[tuple[int, int, bytes]]]:
    own = coder(lapped, dependent)
    return own.write(own.plan(batch, one_layer))


def read(
    lapped: LappedTileCoder,
    count: int,
    rows: int,
    cols: int,
    lanes: list[Lane],
    dependent: bool = False,
    least: NDArray[np.int32] | None = None,
) -> Read:
    state = DEPENDENT if dependent else SIGN_HIDING
    return LayerReader(lapped.model).read(count, rows, cols, lanes, state, least)


def lanes_of(lapped: LappedTileCoder, coded: list[list[tuple[int, int, bytes]]]) -> list[Lane]:
    found = []
    for tile, bodies in enumerate(coded):
        for layer, first, body in bodies:
            lane = body if layer else body[layer_0_bytes(lapped.model, body) :]
            if layer or bodies[1:2] == [] or bodies[1][:2] != (1, 0):
                found.append(Lane(tile, layer or 1, first, lane))
    return found


@BOTH
@pytest.mark.parametrize("code", [0, 64, 112, 200, 255])
def test_reading_gives_the_symbols_that_were_written(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], code: int, dependent: bool
) -> None:
    batch = chosen(lapped, tiles, code)
    coded = encoded(lapped, batch, dependent)
    least = least_levels(lapped.model, coded)
    found = read(lapped, len(tiles), 4, 4, lanes_of(lapped, coded), dependent, least)
    assert not found.wrong
    assert (found.complete == lapped.model.contexts.layers).all()
    scanner = coder(lapped, dependent).scanner
    steps = zip(found.layers, scanner.scan(batch.prepared.latents, batch.steps, least), strict=True)
    for layer, written in steps:
        assert np.array_equal(layer.mean, written.mean)
        assert np.array_equal(layer.values, written.values)
        assert np.array_equal(layer.rows.reshape(-1)[written.pending.coded], written.quantised.rows)
        assert np.array_equal(
            layer.residual.reshape(-1)[written.pending.coded], written.quantised.indices
        )


def test_values_are_about_half_a_step_from_latents(
    lapped: LappedTileCoder, tiles: NDArray[np.int32]
) -> None:
    """At fine steps; along a trellis the points of all states together are twice as dense."""
    prepared = PreparedTiles.of(lapped.model, tiles, everywhere(tiles))
    codes = np.maximum(np.full(len(tiles), 64), lapped.finest(prepared))
    errors = []
    for dependent in (False, True):
        unit = 32 if dependent else 64
        lost = [
            (layer.away - unit * layer.values).reshape(-1)[layer.pending.coded] / 64
            for layer in coder(lapped, dependent).scan(prepared, codes)
        ]
        errors.append(float(np.square(np.concatenate(lost)).mean()))
        assert np.abs(np.concatenate(lost)).max() < 4
    assert errors[1] < 0.9 * errors[0] < 0.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4)], ids=str)
def test_symbols_next_to_a_border_are_taken_larger(
    lapped: LappedTileCoder, shape: tuple[int, int]
) -> None:
    """In plain tiles, those of AC, by 2/64 step a border; a lone row or column counts once."""
    by_row, by_col = (np.zeros(side, np.int64) for side in shape)
    by_row[[0, -1]], by_col[[0, -1]] = 2, 2
    larger = (by_row[:, None] + by_col).reshape(-1)
    tiles = np.random.default_rng(4).integers(0, 900, (3, 4, 8 * shape[0], 8 * shape[1]))
    prepared = PreparedTiles.of(lapped.model, tiles.astype(np.int32), everywhere(tiles))
    quantisation = lapped.model.quantisation
    scanner = lapped.scanners[ALL_SIGNS]
    for number, layer in enumerate(scanner.scan(prepared.latents, np.full(3, 128)), 1):
        positions, channels = layer.sums.shape[1:]
        size = np.abs(layer.away).reshape(-1)[layer.pending.coded]
        if number > LATTICES:
            size = size + larger[layer.pending.coded // channels % positions]
        wanted = (size + quantisation.rounding[layer.pending.rows]) >> 6
        wanted[size < quantisation.dead[layer.pending.rows]] = 0
        assert np.array_equal(np.abs(layer.quantised.indices), wanted)


@BOTH
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (9, 8), (30, 70)])
def test_tiles_of_any_shape_are_read_back(
    lapped: LappedTileCoder, shape: tuple[int, int], dependent: bool
) -> None:
    rng = np.random.default_rng(2)
    tiles = rng.integers(0, 3_000, (2, 4, *shape)).astype(np.int32)
    batch = chosen(lapped, tiles, 96)
    coded = encoded(lapped, batch, dependent)
    rows, cols = -(-shape[0] // BLOCK), -(-shape[1] // BLOCK)
    least = least_levels(lapped.model, coded)
    found = read(lapped, 2, rows, cols, lanes_of(lapped, coded), dependent, least)
    assert not found.wrong
    assert (found.complete == lapped.model.contexts.layers).all()


@BOTH
@pytest.mark.parametrize("one_layer", [False, True])
@pytest.mark.parametrize("room", [90, 300])
def test_short_bodies_are_read_back(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], room: int, one_layer: bool, dependent: bool
) -> None:
    batch = chosen(lapped, tiles, 112, room)
    coded = encoded(lapped, batch, dependent, one_layer)
    assert max(len(body) for bodies in coded for _, _, body in bodies) <= room
    found = read(lapped, len(tiles), 4, 4, lanes_of(lapped, coded), dependent)
    assert not found.wrong
    written = coder(lapped, dependent).scan(batch.prepared, batch.steps)
    for layer, wanted in zip(found.layers, written, strict=True):
        assert np.array_equal(layer.values, wanted.values)
    assert (found.complete == lapped.model.contexts.layers).all()
    for number in range(lapped.model.contexts.layers if one_layer else 0):
        begun = [[layer for layer, _, _ in bodies if layer == number + 1] for bodies in coded]
        assert all(begun)


@BOTH
def test_a_tile_s_bytes_do_not_depend_on_its_batch(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], dependent: bool
) -> None:
    def coded(some: NDArray[np.int32]) -> list[list[tuple[int, int, bytes]]]:
        return encoded(lapped, chosen(lapped, some, 100), dependent)

    together = coded(tiles)
    assert together == [coded(tiles[[number]])[0] for number in range(len(tiles))]
    assert together == coded(tiles[::-1])[::-1]


@BOTH
def test_a_lost_segment_takes_no_other_with_it(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], dependent: bool
) -> None:
    """Of the layer that it is in, what comes after it is read all the same."""
    batch = chosen(lapped, tiles[:1], 64, 60)
    coded = encoded(lapped, batch, dependent)
    lanes, least = lanes_of(lapped, coded), least_levels(lapped.model, coded)
    scanner = coder(lapped, dependent).scanner
    written = list(scanner.scan(batch.prepared.latents, batch.steps, least))
    for lost in range(1, len(lanes) - 1):
        after = lanes[lost + 1]
        if after.layer != lanes[lost].layer:
            continue
        found = read(lapped, 1, 4, 4, lanes[:lost] + lanes[lost + 1 :], dependent, least)
        position = after.first // STATES if dependent else after.first
        layer, wanted = found.layers[after.layer - 1], written[after.layer - 1]
        assert position < wanted.values.shape[1]
        assert np.array_equal(layer.values[:, position:], wanted.values[:, position:])
        return
    raise AssertionError("no layer has two segments")


@BOTH
def test_a_plan_foretells_the_bytes(
    lapped: LappedTileCoder, tiles: NDArray[np.int32], dependent: bool
) -> None:
    sizes = []
    for code in (64, 112, 160):
        batch = chosen(lapped, tiles, code)
        planned = sum(n for tile in coder(lapped, dependent).plan(batch) for _, _, n in tile.pieces)
        coded = encoded(lapped, batch, dependent)
        written = sum(len(body) for tile in coded for _, _, body in tile)
        assert planned == pytest.approx(written, rel=0.001)
        sizes.append(written)
    assert sizes[0] > sizes[1] > sizes[2]


def test_pack_and_unpack_are_identity(lapped: LappedTileCoder) -> None:
    packed, entry = lappedpart.pack(lapped.model), lappedpart.wire_entry(lapped.model)
    again = lappedpart.unpack(packed, entry, AdaptiveFrontEnd(4))
    assert lappedpart.pack(again) == packed
    assert lappedpart.wire_entry(again) == entry
    assert again.contexts.cuts == lapped.model.contexts.cuts
    assert packed == bundles.load("skybook").parts["lapped"]


def test_parts_of_the_wrong_length(lapped: LappedTileCoder) -> None:
    packed, entry = lappedpart.pack(lapped.model), lappedpart.wire_entry(lapped.model)
    for length in (0, 1, 255, 64 * 256, len(packed) // 2, len(packed) - 1):
        with pytest.raises(BundleError, match="cut short"):
            lappedpart.unpack(packed[:length], entry, AdaptiveFrontEnd(4))
    with pytest.raises(BundleError, match="expected"):
        lappedpart.unpack(packed + b"\0", entry, AdaptiveFrontEnd(4))
    for bands in (0, 1, 3, 5, 17, 1_000_000):
        with pytest.raises(BundleError):
            lappedpart.unpack(packed, entry, AdaptiveFrontEnd(bands))


@pytest.mark.parametrize(
    "change",
    [
        {"cuts": []},
        {"cuts": [4]},
        {"cuts": [4, 4, 256]},
        {"cuts": [5, 256]},
        {"cuts": [4, 255]},
        {"cuts": [4, 99, 50, 256]},
        {"cuts": [4, 9.5, 256]},
        {"cuts": [4, True, 256]},
        {"cuts": "4,256"},
        {"cuts": None},
        {"cuts": [*range(4, 33), 256]},
        {"groups": []},
        {"groups": [2]},
        {"groups": [1, 1, 3, 5]},
        {"groups": [1, 2, 3, 4, 5]},
        {"groups": [1, 3, 5, 12.0]},
        {"groups": None},
        {"skip": 64},
        {"skip": -2},
        {"skip": 1.0},
        {"skip": True},
        {"skip": None},
    ],
)
def test_entries_that_make_no_sense(lapped: LappedTileCoder, change: dict[str, Any]) -> None:
    entry = {**lappedpart.wire_entry(lapped.model), **change}
    with pytest.raises(BundleError, match=r"coder|tables|part lapped"):
        lappedpart.unpack(lappedpart.pack(lapped.model), entry, AdaptiveFrontEnd(4))


@pytest.mark.parametrize(
    ("first", "second"), [(0, 1), (7, 7), (0, 9)], ids=["DC out of order", "twice", "DC not first"]
)
def test_orders_that_make_no_sense(lapped: LappedTileCoder, first: int, second: int) -> None:
    order = lapped.model.weights.order.copy()
    order[first], order[second] = order[second], order[first]
    if first == second:
        order[first] = order[first + 1]
    contexts = ContextModel(replace(lapped.model.weights, order=order), 4)
    wrong = replace(lapped.model, contexts=contexts)
    with pytest.raises(BundleError, match="order"):
        lappedpart.unpack(
            lappedpart.pack(wrong), lappedpart.wire_entry(lapped.model), AdaptiveFrontEnd(4)
        )


@pytest.mark.parametrize("name", ["same", "near", "slope", "dc"])
def test_weights_whose_sums_are_not_exact(lapped: LappedTileCoder, name: str) -> None:
    weights = np.full_like(getattr(lapped.model.weights, name), 65_535)
    with pytest.raises(BundleError, match="2\\^23"):
        ContextModel(replace(lapped.model.weights, **{name: weights}), 4)


def test_filters_whose_sums_are_not_exact(lapped: LappedTileCoder) -> None:
    loud = np.full_like(lapped.model.transform.analysis, -128)
    with pytest.raises(BundleError, match="exact"):
        replace(lapped.model.transform, analysis=loud)
    with pytest.raises(BundleError, match="mantissas"):
        replace(lapped.model.transform, mantissas=np.zeros(16, np.int32))


@BOTH
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_lanes_of_noise_are_read_without_an_error(
    lapped: LappedTileCoder, seed: int, dependent: bool
) -> None:
    rng = np.random.default_rng(seed)
    layers = lapped.model.contexts.layers
    lanes = [
        Lane(int(rng.integers(2)), int(rng.integers(1, layers + 3)), int(rng.integers(8)), body)
        for body in (rng.bytes(int(size)) for size in rng.integers(0, 80, rng.integers(1, 6)))
    ]
    lanes.append(Lane(0, 1, 0, rng.bytes(2_000)))
    found = read(lapped, 2, 2, 3, lanes, dependent)
    assert len(found.layers) == layers
    assert ((found.complete >= 0) & (found.complete <= layers)).all()


def test_nothing_arrived_but_the_side_information(lapped: LappedTileCoder) -> None:
    found = read(lapped, 3, 2, 2, [])
    assert not found.wrong
    assert (found.complete < lapped.model.contexts.layers).all()
    assert not any(layer.residual.any() for layer in found.layers)
