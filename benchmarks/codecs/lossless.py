"""Lossless codecs that satellites fly, band by band: JPEG-LS and CCSDS 121.0."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_SAMPLES, REFERENCE_BLOCKS = 16, 64
"""J samples of a block, r blocks from one reference sample to the next (CCSDS 121.0-B-3)."""

Bands = list[bytes]


@dataclass(frozen=True)
class Lossless:
    """A codec of whole bands.

    Attributes:
        setting: what it was told.
        encode: (bands, rows, cols) uint16 to the bytes of each band.
        decode: undoes it, given the shape.
    """

    setting: str
    encode: Callable[[NDArray[np.uint16]], Bands]
    decode: Callable[[Bands, tuple[int, ...]], NDArray[np.uint16]]


def jpegls_encode(image: NDArray[np.uint16]) -> Bands:
    """Code each band with JPEG-LS (ISO/IEC 14495-1), lossless."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    return [bytes(imagecodecs.jpegls_encode(band)) for band in image]


def jpegls_decode(bands: Bands, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Undo `jpegls_encode`."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    return np.stack([imagecodecs.jpegls_decode(band) for band in bands]).reshape(shape)


def ccsds121_encode(image: NDArray[np.uint16]) -> Bands:
    """Code each band with CCSDS 121.0 (adaptive Rice coder after a unit-delay predictor)."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    return [bytes(imagecodecs.aec_encode(band, **_aec())) for band in image]


def ccsds121_decode(bands: Bands, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Undo `ccsds121_encode`."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    out = np.empty(shape, np.uint16)
    for band, packed in zip(out, bands, strict=True):
        imagecodecs.aec_decode(packed, **_aec(), out=band)
    return out


def _aec() -> dict[str, Any]:
    import imagecodecs  # noqa: PLC0415 (an optional package)

    predict = imagecodecs.AEC.FLAG.DATA_PREPROCESS
    form = {"bitspersample": 16, "blocksize": BLOCK_SAMPLES, "rsi": REFERENCE_BLOCKS}
    return form | {"flags": predict}


LOSSLESS = {
    "jpegls": Lossless("per band, NEAR 0 (CharLS)", jpegls_encode, jpegls_decode),
    "ccsds121": Lossless(
        f"per band, blocks of {BLOCK_SAMPLES}, reference every {REFERENCE_BLOCKS} blocks (libaec)",
        ccsds121_encode,
        ccsds121_decode,
    ),
}
