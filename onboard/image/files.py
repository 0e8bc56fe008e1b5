"""Images as files that need no library: `.npy` and raw BSQ, BIL or BIP, mapped rather than read."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError, UsageError, reading

DTYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "i16": np.dtype(np.int16),
}
"""numpy dtype of each sample type, in the order of the types' numbers in a scene header."""
LAYOUTS = ("bsq", "bil", "bip")
Image = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int16]


def sample_type(image: NDArray[np.generic]) -> str:
    """Return 'u8', 'u16' or 'i16'.

    Raises:
        InputError: the array has another dtype; NaN in a float array is counted in the message.
    """
    for name, dtype in DTYPES.items():
        if image.dtype.newbyteorder("=") == dtype:
            return name
    note = ""
    if image.dtype.kind == "f":
        gaps = sum(int(np.isnan(part).sum()) for part in image) if image.ndim else 0
        note = f" with {gaps} NaN: scale to integers, mark gaps as nodata"
    raise InputError(f"image dtype: expected uint8, uint16 or int16, found {image.dtype}{note}")


def check_image(image: NDArray[np.generic]) -> str:
    """Check dtype and shape of an image (bands, rows, cols); return its sample type.

    Raises:
        InputError: saying what was expected and what was found.
    """
    if image.ndim != 3 or 0 in image.shape:
        raise InputError(f"image shape: expected (bands, rows, cols), none 0, found {image.shape}")
    return sample_type(image)


def read_npy(path: Path) -> Image:
    """Map an `.npy` file (bands, rows, cols); a 2-D array is one band.

    Raises:
        InputError: missing, truncated, not an `.npy` file, or holding objects.
    """
    try:
        image = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy evaluates the header: it fails in a dozen ways
        raise InputError(f"{path}: expected an .npy array: {error!r:.200}") from error
    if not isinstance(image, np.ndarray):
        raise InputError(f"{path}: expected one .npy array, found an archive")
    sample_type(image)
    mapped: Image = image[None] if image.ndim == 2 else image
    return mapped


def read_raw(
    path: Path,
    layout: str,
    dtype: str,
    byte_order: str,
    bands: int,
    width: int,
    offset: int = 0,
) -> Image:
    """Map a raw file as (bands, rows, cols); the number of rows follows from its length.

    Args:
        path: raw file.
        layout: order of the samples, 'bsq' (band by band), 'bil' (line by line) or 'bip' (pixel by
            pixel).
        dtype: sample type, 'u8', 'u16' or 'i16'.
        byte_order: order of the bytes of a sample, 'little' or 'big'.
        bands: number of bands, at least 1.
        width: number of columns, at least 1.
        offset: bytes before the first sample.

    Raises:
        InputError: the file is missing, empty, or not a whole number of lines.
        UsageError: an unknown layout, dtype or byte order, or a size below 1.
    """
    if layout not in LAYOUTS or dtype not in DTYPES or byte_order not in ("little", "big"):
        raise UsageError(f"raw image: unknown layout, dtype or order {layout} {dtype} {byte_order}")
    if bands < 1 or width < 1:
        raise UsageError(
            f"raw image: expected bands and width of 1 or more, found {bands}, {width}"
        )
    sample = DTYPES[dtype].newbyteorder("<" if byte_order == "little" else ">")
    line = bands * width * sample.itemsize
    with reading(path):
        length = os.path.getsize(path) - offset
        if length <= 0 or length % line:
            after = f" after the first {offset}" if offset else ""
            raise InputError(
                f"{path}: expected a multiple of {line} bytes ({bands} bands x {width} columns)"
                f"{after}, found {max(length, 0)}"
            )
        flat = np.memmap(path, sample, mode="r", offset=offset)
    rows = length // line
    if layout == "bsq":
        return flat.reshape(bands, rows, width)
    if layout == "bil":
        return flat.reshape(rows, bands, width).transpose(1, 0, 2)
    return flat.reshape(rows, width, bands).transpose(2, 0, 1)
