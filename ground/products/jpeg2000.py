"""JPEG 2000 codestreams in memory, at a ratio or of a given length: the rival, by OpenJPEG."""

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from ground.products.geotiff import check_raster, no_georeference_warning, size_of
from onboard.errors import InputError, LimitError
from onboard.image.files import Image
from onboard.image.tiles import DEFAULT_MAX_PIXELS

JPEG2000_OPTIONS = {"driver": "JP2OpenJPEG", "CODEC": "J2K", "REVERSIBLE": "NO", "YCC": "NO"}
RESILIENT_OPTIONS = {"tiled": True, "SOP": "YES", "EPH": "YES"}
RESOLUTIONS = 6
SMALLEST_BLOCK = 32
SEARCH_STEPS = 16
CLOSE_ENOUGH = 0.995


def jpeg2000_encode(image: NDArray[np.uint16], ratio: float, tile: int | None = None) -> bytes:
    """Code an image as one JPEG 2000 codestream: 9/7 wavelet, bands independent.

    The rate control is OpenJPEG's own; it meets the ratio within about 0.5 % either way.

    Args:
        image: uint16 (bands, rows, cols).
        ratio: compression ratio, raw bytes over coded bytes, at least 1.
        tile: side of tiles in pixels, whose packets all have markers (SOP, EPH) around them; None
            for one tile without markers.

    Raises:
        InputError: another dtype or shape, or a ratio below 1.
    """
    check_uint16(image)
    if not 1 <= ratio < np.inf:
        raise InputError(f"JPEG 2000: expected a compression ratio of at least 1, found {ratio}")
    rows, cols = image.shape[1:]
    options = {
        "QUALITY": repr(100 / float(ratio)),
        "RESOLUTIONS": str(min(RESOLUTIONS, min(rows, cols, tile or rows).bit_length())),
        "BLOCKXSIZE": str(max(tile or cols, SMALLEST_BLOCK)),
        "BLOCKYSIZE": str(max(tile or rows, SMALLEST_BLOCK)),
        **(RESILIENT_OPTIONS if tile else {}),
    }
    with no_georeference_warning(), MemoryFile(ext=".j2k") as memory:
        with memory.open(**size_of(image), **JPEG2000_OPTIONS, **options) as dataset:
            dataset.write(image)
        return bytes(memory.getbuffer())


def check_uint16(image: NDArray[np.generic]) -> None:
    """Refuse what the JPEG 2000 functions do not take.

    Raises:
        InputError: another dtype than uint16, or no (bands, rows, cols).
    """
    if image.ndim != 3 or 0 in image.shape or image.dtype != np.uint16:
        found = f"{image.dtype} {image.shape}"
        raise InputError(f"JPEG 2000: expected uint16 (bands, rows, cols), found {found}")


def jpeg2000_decode(stream: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image:
    """Decode a JPEG 2000 codestream to (bands, rows, cols).

    Raises:
        InputError: not a codestream, or damaged.
        LimitError: more than `max_pixels`.
    """
    if not stream:
        raise InputError("JPEG 2000: expected a codestream, found 0 bytes")
    try:
        with no_georeference_warning(), MemoryFile(stream, ext=".j2k") as memory:
            dataset = memory.open(driver="JP2OpenJPEG")
            check_raster(dataset, "JPEG 2000", max_pixels)
            decoded: Image = dataset.read()
            return decoded
    except RasterioError as error:
        raise InputError(f"JPEG 2000: expected a stream: {error.__cause__ or error}") from error


def jpeg2000_at_bytes(image: NDArray[np.uint16], budget: int, tile: int | None = None) -> bytes:
    """Code an image into at most `budget` bytes, and as near below it as 0.5 % where it can be.

    OpenJPEG's length is not a continuous function of the size asked for: at most `SEARCH_STEPS`
    encodings are tried by secant and bisection, and the longest that fits is kept. `tile` is that
    of `jpeg2000_encode`.

    Raises:
        InputError: another dtype or shape.
        LimitError: the coarsest encoding is longer than the budget.
    """
    check_uint16(image)
    raw, best = image.nbytes, b""
    asked, low, high = float(min(max(budget, 1), raw)), 1.0, float(raw)
    for tries in range(SEARCH_STEPS):
        stream = jpeg2000_encode(image, raw / asked, tile)
        if len(stream) <= budget:
            low, best = asked, max(best, stream, key=len)
        else:
            high = asked
        if low == raw or len(best) >= CLOSE_ENOUGH * budget > 0 or high - low < budget / 1000:
            break
        secant = asked * budget / len(stream)
        useful = low < secant and (secant < high or high == raw)
        asked = min(secant, high) if useful else (low + high) / 2
        if not best:  # lengths come in plateaus: step down faster and faster until one fits
            asked = max(low, min(asked, high * (1 - 2.0**tries / 1000)))
    if not best:
        raise LimitError(f"JPEG 2000: expected to fit {budget} bytes, found the coarsest longer")
    return best
