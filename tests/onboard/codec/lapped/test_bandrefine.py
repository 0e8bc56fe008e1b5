"""Band transform turned on: as SPEC.md, section 9, has it, and worth its name."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onboard import bundle as bundles
from onboard.codec.lapped import bandrefine, bandtransform
from onboard.codec.lapped.bandtransform import MANY
from onboard.codec.lapped.codec import LappedCodec

COS, SIN = bandtransform._COS, bandtransform._SIN
HADAMARD = ((1, 1, 1, 1), (1, 1, -1, -1), (1, -1, -1, 1), (1, -1, 1, -1))
MOST = 740
Ints = NDArray[np.int64]


def scene(seed: int, bands: int, rows: int, cols: int) -> NDArray[np.int32]:
    """Return deviations of a tile: mixtures of sparse details, some as strong as others."""
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(bands, rows * cols)) ** 3 * 40 / 1.3 ** np.arange(bands)[:, None]
    mixed = np.linalg.qr(rng.normal(size=(bands, bands)))[0] @ sources
    found = np.rint(mixed).clip(-30_000, 30_000).astype(np.int32)
    return found.reshape(1, bands, rows, cols)


def turned(basis: Ints, p: int, q: int, form: tuple[int, int, int]) -> None:
    """Turn two columns as a quadratic form says."""
    pp, pq, qq = form
    scores = [
        pp * c * c + 2 * pq * c * s + qq * s * s
        for c, s in zip(COS.tolist(), SIN.tolist(), strict=True)
    ]
    chosen = scores.index(max(scores))
    a, b = basis[:, p].copy(), basis[:, q].copy()
    basis[:, p] = (COS[chosen] * a + SIN[chosen] * b + 8192) >> 14
    basis[:, q] = (COS[chosen] * b - SIN[chosen] * a + 8192) >> 14


def klt(covariance: Ints) -> Ints:
    """Return the basis of a covariance, pair by pair."""
    bands = len(covariance)
    shift = max(int(covariance.diagonal().max()).bit_length() - 20, 0)
    scaled, basis = covariance >> shift, np.eye(bands, dtype=np.int64) << 14
    for _ in range(4 if bands < MANY else 2):
        for p, q in combinations(range(bands), 2):
            a, b = basis[:, p], basis[:, q]
            form = tuple(int(one @ scaled @ other) >> 28 for one, other in ((a, a), (a, b), (b, b)))
            turned(basis, p, q, form)
    return basis


def details(deviations: NDArray[np.int32], valid: NDArray[np.bool_]) -> Ints:
    """Return details (bands, n), block by block."""
    rows, cols = valid.shape
    found = []
    for i, j in np.ndindex(rows // 4, cols // 4):
        if (i + j) % 4 == 0:
            part = np.s_[4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
            for k, m in list(np.ndindex(4, 4))[1:]:
                signs = np.outer(HADAMARD[k], HADAMARD[m])
                sums = (deviations[:, *part] * signs).sum(axis=(1, 2)) * bool(valid[part].all())
                found.append(sums.astype(np.int64))
    return np.array(found, np.int64).reshape(-1, len(deviations)).T


def refined(basis: Ints, found: Ints) -> Ints:
    """Return the basis turned on, detail by detail."""
    bits = int(np.abs(found).sum() // max(found.shape[1], 1) + 1).bit_length()
    u = (found * 128 >> bits).clip(-MOST, MOST)
    for _ in range(3 if len(basis) >= MANY else 6):
        x = ((basis.T @ u + 8192) >> 14).clip(-MOST, MOST)
        floors = np.vectorize(lambda v: int(v).bit_length() - 1, [np.int64])(np.abs(x) + 10)
        w = np.int64(1) << (18 - 2 * floors)
        s, t = w @ (x * x >> 6).T, (w * x >> 2) @ x.T
        shift = max(int(s.max()).bit_length() - 22, 0)
        s, t = s >> shift, t >> (shift + 4)
        for p, q in combinations(range(len(basis)), 2):
            sums = (s[p, q] + s[q, p] + 1, t[q, p] - t[p, q], s[p, p] + s[q, q])
            turned(basis, p, q, (int(sums[0]), int(sums[1]), int(sums[2])))
    return basis


@pytest.mark.parametrize(
    ("bands", "rows", "cols", "gap"),
    [
        *((8, 32, 32, 0), (9, 17, 30, 3), (12, 64, 64, 20), (16, 8, 3, 0), (5, 16, 16, 2)),
        *((2, 40, 9, 4), (3, 3, 64, 0)),
    ],
)
@pytest.mark.parametrize("even_few", [False, True])
def test_angles_are_those_of_the_specification(
    bands: int, rows: int, cols: int, gap: int, even_few: bool
) -> None:
    deviations, valid = scene(bands, bands, rows, cols), np.ones((1, rows, cols), np.bool_)
    valid[:, :gap, :gap] = False
    deviations *= valid[:, None]
    basis = klt(bandtransform.measure(deviations, valid)[0])
    if even_few or bands >= MANY:
        basis = refined(basis, details(deviations[0], valid[0]))
    expected = bandtransform.angles_of(basis[None])
    assert np.array_equal(bandrefine.angles(deviations, valid, even_few), expected)


def test_tiles_do_not_depend_on_each_other() -> None:
    tiles = np.concatenate([scene(seed, 10, 32, 32) for seed in range(6)])
    valid = np.ones((6, 32, 32), np.bool_)
    together = bandrefine.angles(tiles, valid)
    alone = [bandrefine.angles(tiles[n : n + 1], valid[:1])[0] for n in range(6)]
    assert np.array_equal(together, alone)


@pytest.mark.parametrize(("bands", "share"), [(12, 0.97), (4, 0.99)])
def test_components_take_fewer_bits_than_those_of_a_klt(bands: int, share: float) -> None:
    deviations, valid = scene(1, bands, 64, 64), np.ones((1, 64, 64), np.bool_)

    def bits(angles: NDArray[Any]) -> float:
        turn = bandtransform.matrix(angles, bands)[0] / 2.0**bandtransform.SHIFT
        return float(np.log2(1 + np.abs(turn @ deviations[0].reshape(bands, -1))).sum())

    of_klt = bits(bandtransform.choose(bandtransform.measure(deviations, valid)))
    assert bits(bandrefine.angles(deviations, valid, even_few=True)) < share * of_klt


@pytest.mark.parametrize(
    ("side", "quantizer", "even_few"),
    [
        (64, "deadzone", False),
        (64, "trellis", False),
        (128, "deadzone", True),
        (128, "trellis", True),
    ],
)
def test_few_bands_are_turned_on_in_large_tiles_alone(
    side: int, quantizer: str, even_few: bool
) -> None:
    codec = LappedCodec.of(bundles.load("skybook").for_scene(4, 16, tile=side).codec)
    tile, here = 1_000 + scene(1, 4, side, side) // 64, np.ones((1, side, side), np.bool_)
    found = codec.open_planes("numpy").using(quantizer).prepare(tile, here, (side, side))
    deviations = tile - found.means.astype(np.int32)[..., None, None]
    assert np.array_equal(found.angles, bandrefine.angles(deviations, here, even_few))
    assert not np.array_equal(found.angles, bandrefine.angles(deviations, here, not even_few))


def test_what_has_no_detail_is_not_turned() -> None:
    flat = np.zeros((1, 8, 32, 32), np.int32)
    basis = np.eye(8, dtype=np.int64)[None] << bandtransform.SHIFT
    before = basis.copy()
    valid = np.ones((1, 32, 32), np.bool_)
    bandrefine._refine(basis, [bandrefine._scaled(bandrefine._details(flat, valid))])
    assert np.array_equal(basis, before)
