"""Chunks: arrays of every type, layout and number of bands as streams, and back."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.chunks import chunk
from ground.chunks.chunk import decode_chunk, encode_chunk
from ground.chunks.quality import Quality
from ground.decode.lapped.synthesis import GRID, LIMIT, settled, synthesise, to_bands
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.encoder import Encoder
from onboard.errors import LimitError, StreamError, UsageError
from tests.conftest import model_of

BOUND = Quality(max_error=2)
RATE = Quality(rmse=3.0)


def samples(*shape: int, dtype: str = "u2", seed: int = 5) -> NDArray[np.generic]:
    """A ramp with noise, low enough for 8 bits."""
    noise = np.random.default_rng(seed).integers(0, 9, shape)
    rows, cols = np.mgrid[: shape[-2], : shape[-1]]
    return (20 + (rows + cols) // 4 + noise).astype(dtype)


def back(chunk: NDArray[np.generic], quality: Quality, fill: int | None = 0) -> NDArray[np.int64]:
    """Return a chunk that went there and back, its type checked."""
    found = decode_chunk(encode_chunk(chunk, quality, fill), chunk.shape, chunk.dtype, quality)
    assert found.dtype == chunk.dtype
    assert found.shape == chunk.shape
    return found.astype(np.int64)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", ">i2"])
def test_every_type_and_byte_order_keeps_the_bound(dtype: str) -> None:
    chunk = samples(20, 50, dtype=dtype)
    chunk[:9] = 0
    if chunk.dtype.kind == "i":
        chunk[9:] -= 60
    error = back(chunk, BOUND) - chunk
    assert 0 < np.abs(error).max() <= 2
    assert not error[:9].any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_threads_take_turns_and_a_forked_process_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No more encoders are opened than are used at once, and none is waited for in vain."""
    opened: list[object] = []

    def counted(bundle: Bundle) -> Encoder:
        opened.append(bundle)
        return Encoder(bundle)

    monkeypatch.setattr(chunk, "Encoder", counted)
    monkeypatch.setattr(chunk, "_turns", threading.Semaphore(2))
    chunks = [samples(20, 50, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(lambda some: encode_chunk(some, BOUND, 0), chunks))
    assert streams == [encode_chunk(some, BOUND, 0) for some in chunks]
    assert 1 <= len(opened) <= 2
    monkeypatch.setattr(chunk, "_turns", threading.Semaphore(0))  # all at work while it forks
    child = os.fork()
    if not child:
        code = 1
        with suppress(BaseException):
            code = int(encode_chunk(chunks[0], BOUND, 0) != streams[0])
        os._exit(code)
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended
    assert os.waitstatus_to_exitcode(status) == 0


def test_dimensions_before_rows_and_columns_are_bands() -> None:
    chunk = samples(2, 3, 20, 30)
    np.testing.assert_array_equal(
        back(chunk, BOUND).reshape(6, 20, 30), back(chunk.reshape(6, 20, 30), BOUND)
    )


@pytest.mark.parametrize("quality", [BOUND, RATE])
def test_layout_does_not_matter(quality: Quality) -> None:
    whole = samples(2, 66, 100)
    chunk = whole[:, ::-2, 1::2]
    wanted = encode_chunk(np.ascontiguousarray(chunk), quality, 0)
    assert encode_chunk(chunk, quality, 0) == wanted
    assert encode_chunk(np.asfortranarray(chunk), quality, 0) == wanted
    assert encode_chunk(chunk.astype(">u2"), quality, 0) == wanted


@pytest.mark.parametrize("bands", [1, 4, 17])
def test_rates_and_bounds_take_any_number_of_bands(bands: int) -> None:
    chunk = samples(bands, 64, 70)
    assert np.sqrt(np.mean((back(chunk, RATE) - chunk) ** 2)) < 4
    assert np.abs(back(chunk, BOUND) - chunk).max() <= BOUND.max_error


def test_fill_values_are_pixels_without_data_and_no_others_are() -> None:
    chunk = samples(2, 64, 64) - 22  # many samples are near the fill value
    chunk[:, 10:20, 10:30] = 3
    found = back(chunk, Quality(rmse=5.0), 3)
    empty = (chunk == 3).all(axis=0)
    np.testing.assert_array_equal((found == 3).all(axis=0), empty)
    assert empty.sum() < 400


def test_without_loss_it_is_the_same() -> None:
    chunk = samples(3, 30, 33, dtype="i2") - 40
    np.testing.assert_array_equal(back(chunk, Quality(max_error=0), None), chunk)


def test_bytes_are_kept_or_refused() -> None:
    chunk = samples(2, 64, 64)
    assert len(encode_chunk(chunk, Quality(bytes=900), 0)) <= 900
    with pytest.raises(LimitError):
        encode_chunk(chunk, Quality(bytes=60), 0)


@pytest.mark.parametrize("quality", [BOUND, RATE])
def test_of_damage_nothing_is_read(quality: Quality) -> None:
    chunk = samples(20, 70)
    stream = encode_chunk(chunk, quality, 0)
    for wrong in (b"", stream[:9], stream[:-1], stream[:-20], stream[30:], stream + stream[:50]):
        with pytest.raises(StreamError):
            decode_chunk(wrong, chunk.shape, chunk.dtype, quality)
    for place in range(0, len(stream), len(stream) // 20):
        wrong = bytearray(stream)
        wrong[place] ^= 1 << place % 8
        with pytest.raises(StreamError):
            decode_chunk(bytes(wrong), chunk.shape, chunk.dtype, quality)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((20, 71), "u2"), ((70, 20), "u2"), ((2, 10, 70), "u2"), ((20, 70), "i2")]
)
def test_a_stream_of_another_chunk_is_refused(shape: tuple[int, ...], dtype: str) -> None:
    stream = encode_chunk(samples(20, 70), BOUND, 0)
    with pytest.raises(StreamError, match="chunk: expected"):
        decode_chunk(stream, shape, np.dtype(dtype), BOUND)


@pytest.mark.parametrize(
    ("chunk", "why"),
    [
        (np.zeros((3, 8, 8), np.float32), "store digital numbers"),
        (np.zeros((8, 8), np.uint32), "store digital numbers"),
        (np.zeros(8, np.uint16), "expected chunks"),
        (np.zeros((1_025, 1, 1), np.uint16), "1 to 1024 bands"),
    ],
)
def test_what_is_no_image_is_refused(chunk: NDArray[np.generic], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        encode_chunk(chunk, BOUND, 0)


def test_sums_of_the_exact_image_are_never_rounded() -> None:
    """Numbers of more bits, added one after the other, give the same: no sum lost any."""
    transform = model_of(bundles.load("skybook")).transform
    random = np.random.default_rng(2)
    latents = random.integers(-LIMIT * GRID, LIMIT * GRID, (2, 3, 2, 64)) / GRID
    planes = synthesise(transform, latents)
    wide = synthesise(transform, latents.astype(np.longdouble))
    assert (planes == wide).all()
    settled(planes)
    assert np.abs(planes).max() <= LIMIT
    found = transform.analyse(planes)
    assert (found == transform.analyse(planes.astype(np.longdouble))).all()
    angles, means = random.integers(0, 256, (1, 1)).astype(np.uint8), np.array([[65_535, -9]])
    bands = to_bands(planes, angles, means)
    assert (bands == to_bands(planes.astype(np.longdouble), angles, means)).all()
