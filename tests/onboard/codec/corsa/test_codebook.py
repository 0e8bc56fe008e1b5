"""The nearest codeword, exactly; the closed loop over the levels."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onboard.codec.corsa.codebook import CODEWORD_LIMIT, LATENT_LIMIT, MAX_DIMS, Codebook
from onboard.codec.corsa.quantizer import Level, pack_levels, quantise, read_levels
from onboard.errors import BundleError


def brute_force(latents: NDArray[np.int16], codewords: NDArray[np.int16]) -> NDArray[np.int64]:
    vectors = latents.reshape(len(latents), -1).T.astype(np.int64)
    distances = ((vectors[:, None] - codewords.astype(np.int64)[None]) ** 2).sum(2)
    return distances.argmin(1).reshape(latents.shape[1:])


@given(st.integers(1, MAX_DIMS), st.integers(1, 90), st.booleans(), st.integers(0, 99))
def test_nearest_is_exact(dims: int, size: int, extreme: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if extreme:
        codewords = rng.choice([-CODEWORD_LIMIT, CODEWORD_LIMIT], (size, dims)).astype(np.int16)
        latents = rng.choice([-LATENT_LIMIT, LATENT_LIMIT], (dims, 5, 7)).astype(np.int16)
    else:
        codewords = rng.integers(-20, 20, (size, dims)).astype(np.int16)
        latents = rng.integers(-30, 30, (dims, 5, 7)).astype(np.int16)
    found = Codebook(codewords).nearest(latents)
    assert found.dtype == np.uint16
    assert np.array_equal(found, brute_force(latents, codewords))


def test_lowest_index_wins_a_tie() -> None:
    codebook = Codebook(np.array([[9, 9], [2, 0], [-2, 0], [2, 0]], np.int16))
    assert codebook.nearest(np.array([[[0, 2, -3]], [[0, 0, 0]]], np.int16)).tolist() == [[1, 1, 2]]


def test_sizes_out_of_range() -> None:
    for shape in ((0, 4), (4, 0), (4, MAX_DIMS + 1), (65_537, 1)):
        with pytest.raises(BundleError):
            Codebook(np.zeros(shape, np.int16))
    with pytest.raises(BundleError, match="found 256"):
        Codebook(np.full((4, 2), -256, np.int16))
    with pytest.raises(BundleError, match="expected 16 bytes, found 7"):
        Codebook.unpack(bytes(7), 4, 2)


def two_levels(seed: int = 0) -> list[Level]:
    rng = np.random.default_rng(seed)
    coarse = Codebook(rng.integers(-255, 256, (16, 3)).astype(np.int16))
    fine = Codebook(rng.integers(-40, 40, (32, 5)).astype(np.int16))
    prediction = rng.integers(-300, 300, (2, 2, 5, 3)).astype(np.int16)
    return [Level(4, 4, coarse, None), Level(2, 5, fine, prediction)]


def test_closed_loop_follows_the_specification() -> None:
    coarse, fine = two_levels()
    rng = np.random.default_rng(1)
    latents = [rng.integers(-128, 128, (d, n, n)).astype(np.int8) for d, n in ((3, 2), (5, 4))]
    maps = quantise([coarse, fine], latents)
    assert fine.prediction is not None
    matrix = fine.prediction.astype(int)
    for row in range(4):
        for col in range(4):
            known = coarse.codebook.codewords[maps[0][row >> 1, col >> 1]].astype(int)
            predicted = (matrix[row & 1, col & 1] @ known + 128) >> 8
            target = 2 * latents[1][:, row, col].astype(int)
            residual = np.clip(target - predicted, -1023, 1023)
            distance = ((residual - fine.codebook.codewords.astype(int)) ** 2).sum(1)
            assert maps[1][row, col] == distance.argmin()


def test_levels_round_trip() -> None:
    levels = two_levels()
    entries, part = pack_levels(levels)
    back = read_levels(entries, part, 120)
    assert pack_levels(back) == (entries, part)
    assert np.array_equal(back[1].prediction, levels[1].prediction)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reduction", 3),
        ("reduction", 0),
        ("reduction", 7),
        ("width", 0),
        ("width", 17),
        ("width", 2),
        ("codewords", 15),
        ("codewords", -1),
        ("codewords", 16.0),
        ("codewords", True),
        ("dims", 1 << 40),
        ("dims", "3"),
        ("sha256", "0" * 64),
    ],
)
def test_entries_that_do_not_fit(key: str, value: object) -> None:
    entries, part = pack_levels(two_levels())
    entries[0][key] = value
    with pytest.raises(BundleError):
        read_levels(entries, part, 120)


def test_a_prediction_that_would_not_be_exact_is_refused() -> None:
    levels = two_levels()
    assert levels[1].prediction is not None
    loud = Level(2, 5, levels[1].codebook, np.full_like(levels[1].prediction, 32_000))
    entries, part = pack_levels([levels[0], loud])
    assert entries[1]["sha256"] == hashlib.sha256(part[96:]).hexdigest()
    with pytest.raises(BundleError, match="2\\^24"):
        read_levels(entries, part, 120)


def test_many_codewords_are_searched_in_small_blocks() -> None:
    rng = np.random.default_rng(0)
    codewords = rng.integers(-128, 128, (65_536, 2)).astype(np.int16)
    latents = rng.integers(-128, 128, (2, 6, 7)).astype(np.int16)
    found = Codebook(codewords).nearest(latents)
    assert np.array_equal(found, brute_force(latents, codewords))
