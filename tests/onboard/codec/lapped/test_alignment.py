"""Alignment of Bayer planes: exact matrices, orthogonal, in the right direction, undone below."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.decode.lapped.mosaic import moved_back
from onboard.codec.lapped.frontends import alignment
from onboard.errors import EngineError, UsageError
from onboard.link.crc import crc32c

SIDES = range(8, 65, 8)
CRCS = "D1B1497E 031E9611 472FFD92 375543DD 9DB49BF6 922C5F20 B9522A9F 721AB65C"  # of SPEC.md, 9


@pytest.mark.parametrize(("side", "crc"), [*zip(SIDES, CRCS.split(), strict=True)])
def test_matrices_of_the_page(side: int, crc: str) -> None:
    found = alignment.matrix(side)
    assert f"{crc32c(found.astype('>i2').tobytes()):08X}" == crc
    whole = found.astype(np.float64) / 2**14
    assert np.abs(whole @ whole.T - np.eye(side)).max() < 1e-4


@pytest.mark.parametrize("side", SIDES)
def test_no_processor_rounds_otherwise(side: int) -> None:
    """By another way, and far from where rounding changes."""
    place = np.arange(side)
    waves = np.cos(np.pi * np.outer(place + 0.5, place) / side)
    moved, signs = np.linalg.qr(np.cos(np.pi * np.outer(place + 0.75, place) / side))
    moved *= np.sign(np.diag(signs))
    waves = waves / np.sqrt((waves * waves).sum(axis=0))
    found = moved @ waves.T * 2**14 + 0.5
    assert np.array_equal(np.floor(found), alignment.matrix(side))
    assert np.abs(found - np.rint(found)).min() > 1e-5


def test_planes_come_to_the_middle_of_their_cells() -> None:
    row, col = np.indices((128, 128))
    mosaic = 4000 * np.sin(row / 9) * np.cos(col / 7)
    planes = np.stack([mosaic[r::2, c::2] for r in (0, 1) for c in (0, 1)])
    aligned = alignment.align(np.rint(planes)[None].astype(np.int32))[0, :, 8:-8, 8:-8]
    middle = 4000 * np.sin((row + 0.5) / 9) * np.cos((col + 0.5) / 7)
    middle = middle[::2, ::2][8:-8, 8:-8]
    before = np.square(planes[:, 8:-8, 8:-8] - middle).mean(axis=(1, 2))
    assert (np.square(aligned - middle).mean(axis=(1, 2)) < before / 15).all()


@given(st.integers(0, 2**32), st.sampled_from(SIDES), st.sampled_from(SIDES))
def test_what_was_moved_comes_back(seed: int, rows: int, cols: int) -> None:
    rng = np.random.default_rng(seed)
    deviations = rng.integers(-65_535, 65_536, (2, 4, rows, cols)).astype(np.int32)
    means = rng.integers(0, 65_536, (2, 4))
    aligned = alignment.align(deviations)
    assert np.abs(aligned).max() <= 65_535 * 6.05 + 1
    back = moved_back((aligned + means[:, :, None, None]).astype(np.float32), means)
    away = back - means[:, :, None, None] - deviations
    assert np.abs(away).max() < 3  # twice rounded
    assert np.sqrt((away * away).mean()) < 0.5


def test_what_cannot_be_aligned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="expected tiles of at most 64 pixels, found 72"):
        alignment.matrix(72)
    with pytest.raises(UsageError, match="expected a bundle of 4 bands, found 3"):
        alignment.check(3)
    changed = alignment.MATRICES.copy()
    changed[5] ^= 1
    monkeypatch.setattr(alignment, "MATRICES", changed)
    with pytest.raises(EngineError, match="expected matrices of CRC C81591BC, found"):
        alignment.check(4)
