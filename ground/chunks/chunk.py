"""Chunk: an array of two or more dimensions as the stream of one scene, both directions.

The last two dimensions are rows and columns; all before them are folded into bands. The fill value
of the array is the nodata value of the scene: a pixel that has it in all bands comes back exactly,
and none that does not becomes one that does. Chunks are read as the exact image of SPEC.md, section
12, or within their bound, so every machine reads the same samples.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ground.chunks.quality import Quality, check_shape, path_of
from ground.decode.decoder import Decoder
from ground.decode.wanted import Wanted
from onboard import bundle as bundles
from onboard.encoder import Encoder
from onboard.errors import StreamError
from onboard.image.files import DTYPES
from onboard.link.header import SceneHeader
from onboard.link.segment import Buffer, Kind, Segment

Coder = TypeVar("Coder", Encoder, Decoder)

_free: dict[tuple[type, str], list[Any]] = {}
"""Encoders and decoders that no thread uses now, by the hash of their model."""
_turns = threading.Semaphore(os.cpu_count() or 1)
"""As many are used at once as there are processors: more threads would wait for each other."""


def encode_chunk(chunk: NDArray[Any], quality: Quality, fill_value: int | None) -> bytes:
    """Return the stream of a chunk.

    Args:
        chunk: samples (..., rows, cols) of 8 or 16 bits, of any byte order and layout.
        quality: what to keep.
        fill_value: value of pixels without data; None: there are none.

    Raises:
        UsageError: it is no such array.
        BundleError: the bundle is not here.
        LimitError: the bytes asked for are not enough.
    """
    check_shape(chunk.shape, chunk.dtype)
    image = np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("="))
    image = image.reshape(-1, *chunk.shape[-2:])
    header = SceneHeader.of(image, nodata=fill_value)
    with encoder_of(quality) as encoder:
        return b"".join(encoder.encode(image, header, quality.options()))


def decode_chunk(
    stream: Buffer, shape: tuple[int, ...], dtype: np.dtype[Any], quality: Quality
) -> NDArray[Any]:
    """Return the samples of a chunk.

    Args:
        stream: what `encode_chunk` returned.
        shape: shape of the chunk.
        dtype: type of its samples, of any byte order.
        quality: what it was encoded with.

    Raises:
        StreamError: the stream is damaged, cut short or of another chunk.
        BundleError: the bundle is not here.
    """
    check_shape(shape, dtype)
    rows, cols = shape[-2:]
    wanted = int(np.prod(shape[:-2], dtype=np.int64)), rows, cols
    header = header_of(stream)
    found = header.bands, header.height, header.width
    native = dtype.newbyteorder("=")
    if (found, DTYPES[header.sample_type]) != (wanted, native):
        raise StreamError(f"chunk: expected {native} {wanted}, found {header.sample_type} {found}")
    with decoder_of(quality) as decoder:
        decoded = decoder.decode(stream, Wanted(max_pixels=rows * cols))
    if not decoded.complete:
        problems = "; ".join(decoded.reception.problems) or "segments are missing"
        raise StreamError(f"chunk: expected a whole stream, found it incomplete: {problems}")
    image: NDArray[Any] = decoded.scene.image.reshape(shape).astype(dtype, copy=False)
    return image


def header_of(stream: Buffer) -> SceneHeader:
    """Return the scene header, with which the stream of a chunk begins.

    Raises:
        StreamError: it does not.
    """
    first, _ = Segment.unpack(stream)
    if first.kind != Kind.SCENE:
        raise StreamError("chunk: expected a scene header first, found another segment")
    return SceneHeader.unpack(first.body)


def encoder_of(quality: Quality) -> AbstractContextManager[Encoder]:
    """Give an encoder of chunks to one thread, when it is its turn."""
    return _taken(Encoder, quality, lambda path: Encoder(bundles.load(str(path))))


def decoder_of(quality: Quality) -> AbstractContextManager[Decoder]:
    """Give a decoder of chunks to one thread, when it is its turn."""
    return _taken(Decoder, quality, lambda path: Decoder(path, exact=True))


@contextmanager
def _taken(kind: type[Coder], quality: Quality, opened: Callable[[Path], Coder]) -> Iterator[Coder]:
    """Give an encoder or decoder of a bundle to one thread, when it is its turn."""
    with _turns:
        free = _free.setdefault((kind, quality.model_hash), [])
        try:
            taken = free.pop()
        except IndexError:
            taken = opened(path_of(quality.model_hash))
        try:
            yield taken
        finally:
            free.append(taken)


def _begin_anew() -> None:
    """Forget, in a process that was forked, whose turn it was in the one before."""
    global _turns  # noqa: PLW0603
    _turns = threading.Semaphore(os.cpu_count() or 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
