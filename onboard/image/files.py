"""Images as arrays: their sample types, and `.npy` files, which are mapped rather than read."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError

DTYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "i16": np.dtype(np.int16),
    "i8": np.dtype(np.int8),
}
"""numpy dtype of each sample type, in the order of the types' numbers in a scene header."""
Image = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int16] | NDArray[np.int8]


def bits_of(kind: str) -> int:
    """Return the bits of a sample of a type."""
    return 8 * DTYPES[kind].itemsize


def is_signed(kind: str) -> bool:
    """Return whether samples of a type may be below 0."""
    return DTYPES[kind].kind == "i"


def sample_type(image: NDArray[np.generic]) -> str:
    """Return 'u8', 'u16', 'i16' or 'i8'.

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
    raise InputError(
        f"image dtype: expected uint8, uint16, int16 or int8, found {image.dtype}{note}"
    )


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


def let_go(image: NDArray[Any]) -> None:
    """Give back the memory of an image that is mapped from a file: the file has it."""
    array: Any = image
    while isinstance(array, np.ndarray) and not isinstance(array.base, mmap.mmap):
        array = array.base
    is_in_file = isinstance(array, np.memmap) and array.mode != "c"
    if is_in_file and hasattr(mmap, "MADV_DONTNEED"):
        array.base.madvise(mmap.MADV_DONTNEED)
