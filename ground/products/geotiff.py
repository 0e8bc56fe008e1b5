"""GeoTIFF files and JPEG 2000 codestreams as plain arrays: the only door to rasterio."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from ground.products.filefacts import read_facts, significant_bits, write_facts
from ground.products.validity import alpha_bands, nodata_value, validated
from ground.scene import Scene
from onboard.errors import InputError, LimitError
from onboard.image.files import DTYPES, Image, sample_type
from onboard.image.tiles import DEFAULT_MAX_PIXELS
from onboard.outputs import open_whole

SAMPLE_TYPES = tuple(np.dtype(code).name for code in DTYPES.values())
GTIFF_OPTIONS = {
    "tiled": True,
    "blockxsize": 256,
    "blockysize": 256,
    "compress": "deflate",
    "predictor": 2,
    "photometric": "MINISBLACK",
    "BIGTIFF": "IF_SAFER",
}
MASK_NAME = "mask"
"""Description of the one band of a mask file."""
JPEG2000_OPTIONS = {"driver": "JP2OpenJPEG", "CODEC": "J2K", "REVERSIBLE": "NO", "YCC": "NO"}
RESILIENT_OPTIONS = {"tiled": True, "SOP": "YES", "EPH": "YES"}
RESOLUTIONS = 6
SMALLEST_BLOCK = 32


@contextmanager
def _no_georeference_warning() -> Iterator[None]:
    """Keep GDAL's remark on images without a georeference off the standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def read(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Scene:
    """Read a GeoTIFF, or another raster that GDAL knows, whole.

    A nodata value that the dtype cannot hold is none. A mask or an alpha band becomes a nodata
    value. What is left behind is in the scene's remarks, overviews apart.

    Args:
        path: path of the file.
        max_pixels: most pixels (rows x cols) that are read.

    Raises:
        InputError: missing, damaged, without bands, floating point or of another dtype than uint8,
            uint16 and int16, or with a nodata value per band.
        LimitError: more than `max_pixels`.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a GeoTIFF file, found none")
    try:
        with _no_georeference_warning(), rasterio.open(path) as dataset:
            return _read_dataset(dataset, str(path), max_pixels)
    except RasterioError as error:
        raise InputError(f"{path}: expected a raster: {error.__cause__ or error}") from error


def _read_dataset(dataset: Any, name: str, max_pixels: int) -> Scene:
    """Return an open dataset as a scene; `name` begins the messages."""
    _check(dataset, name, max_pixels)
    alpha = alpha_bands(dataset)
    kept = [i for i in dataset.indexes if i not in alpha]
    identifiers = tuple(dataset.descriptions[i - 1] or "" for i in kept)
    transform = dataset.transform
    facts, remarks = read_facts(dataset, kept)
    scene = Scene(
        image=dataset.read(kept),
        nodata=nodata_value(dataset, name),
        transform=None if transform == Affine.identity() else tuple(transform.to_gdal()),
        crs=_crs_text(dataset.crs),
        band_ids=identifiers if any(identifiers) else (),
        facts=facts,
        significant_bits=significant_bits(dataset, kept),
        remarks=tuple(remarks),
    )
    return validated(dataset, scene, alpha)


def _check(dataset: Any, name: str, max_pixels: int) -> None:
    """Refuse no bands, too many pixels, and what is not one of the sample types."""
    if dataset.count < 1:
        raise InputError(f"{name}: expected at least one band, found 0")
    if dataset.width * dataset.height > max_pixels:
        found = f"{dataset.height} x {dataset.width}"
        raise LimitError(f"{name}: expected at most {max_pixels} pixels, found {found}")
    _check_dtypes(dataset, name)


def _check_dtypes(dataset: Any, name: str) -> None:
    """Refuse what is not one of the sample types, counting NaN in floating point."""
    types = " and ".join(sorted(set(dataset.dtypes)))
    if types in SAMPLE_TYPES:
        return
    note = ""
    if any(kind in types for kind in ("float", "complex")):
        counts = (int(np.isnan(dataset.read(i)).sum()) for i in dataset.indexes)
        note = f" with {sum(counts)} NaN: scale to integers, mark gaps as nodata"
    raise InputError(f"{name}: expected uint8, uint16, int16 or int8, found {types}{note}")


def _crs_text(crs: CRS | None) -> str | None:
    """Return 'EPSG:n' if that is exactly this reference system, else its WKT."""
    if not crs:
        return None
    code = crs.to_epsg()
    if code is not None and CRS.from_epsg(code) == crs:
        return f"EPSG:{code}"
    return str(crs.to_wkt())


def write(path: Path, scene: Scene) -> None:
    """Write a scene as a tiled GeoTIFF, compressed without loss.

    It is made in memory: GDAL does not tell of all that it cannot write when it closes a file.

    Raises:
        InputError: image, nodata, band ids or CRS do not fit a GeoTIFF.
        UsageError: the file cannot be created, or there is not enough room for it.
    """
    with _no_georeference_warning(), MemoryFile(ext=".tif") as memory:
        with memory.open(**_profile(scene)) as dataset:
            dataset.write(scene.image)
            write_facts(dataset, scene)
        with open_whole(path) as file:
            file.write(memory.getbuffer())


def _profile(scene: Scene) -> dict[str, Any]:
    """Return the creation options for a scene.

    Raises:
        InputError: something in the scene cannot be written.
    """
    if scene.image.ndim != 3 or 0 in scene.image.shape:
        raise InputError(f"scene: expected (bands, rows, cols), found {scene.image.shape}")
    sample_type(scene.image)
    bands = len(scene.image)
    limits = np.iinfo(scene.image.dtype)
    if scene.nodata is not None and not limits.min <= scene.nodata <= limits.max:
        raise InputError(f"nodata: expected a {scene.image.dtype}, found {scene.nodata}")
    if scene.band_ids and len(scene.band_ids) != bands:
        raise InputError(f"band ids: expected {bands}, found {len(scene.band_ids)}")
    if scene.transform is not None and len(scene.transform) != 6:
        raise InputError(f"transform: expected 6 numbers, found {len(scene.transform)}")
    try:
        crs = None if scene.crs is None else CRS.from_user_input(scene.crs)
    except CRSError as error:
        raise InputError(f"CRS: expected EPSG:n or WKT, found {scene.crs!r}") from error
    return {
        "driver": "GTiff",
        **_size(scene.image),
        "nodata": scene.nodata,
        "crs": crs,
        "transform": None if scene.transform is None else Affine.from_gdal(*scene.transform),
        **GTIFF_OPTIONS,
        **_bits(scene),
    }


def _bits(scene: Scene) -> dict[str, Any]:
    """Return the creation options that say how many bits of a sample are in use."""
    bits = scene.significant_bits
    values = (int(scene.image.max()), int(scene.image.min()), scene.nodata or 0)
    if bits is None or not all(0 <= value < 1 << bits for value in values):
        return {}
    return {} if scene.image.dtype == np.int16 else {"nbits": bits, "predictor": 1}


def _size(image: NDArray[np.generic]) -> dict[str, Any]:
    """Return rasterio's words for the shape and dtype of an image."""
    bands, rows, cols = image.shape
    return {"count": bands, "height": rows, "width": cols, "dtype": image.dtype.name}


def write_mask(path: Path, mask: NDArray[np.uint8], scene: Scene) -> None:
    """Write a mask (rows, cols) as one band beside a scene, with its georeference.

    Raises:
        InputError: the mask is not uint8 or not of the scene's size.
        UsageError: the file cannot be created.
    """
    if mask.dtype != np.uint8 or mask.shape != scene.image.shape[1:]:
        expected = f"uint8 {scene.image.shape[1:]}"
        raise InputError(f"mask: expected {expected}, found {mask.dtype} {mask.shape}")
    write(path, Scene(mask[None], None, scene.transform, scene.crs, (MASK_NAME,)))


def write_product(path: Path, scene: Scene, mask: NDArray[np.uint8]) -> list[str]:
    """Write a decoded scene, and its mask beside it (`mask_path`).

    What a GeoTIFF cannot hold of what the stream says is left out.

    Returns:
        What was left out, and why.

    Raises:
        UsageError: a file cannot be created.
    """
    reasons = []
    try:
        write(path, scene)
    except InputError as error:
        reasons.append(f"written without CRS and band ids: {error}")
        scene = replace(scene, crs=None, band_ids=())
        write(path, scene)
    write_mask(mask_path(path), mask, scene)
    return reasons


def mask_path(path: Path) -> Path:
    """Return where the mask of a product lies."""
    return path.with_suffix(".mask.tif")


def is_mask(path: Path) -> bool:
    """Return whether a file is a mask that `write_mask` wrote."""
    try:
        with _no_georeference_warning(), rasterio.open(path) as dataset:
            return bool(dataset.descriptions == (MASK_NAME,))
    except RasterioError:
        return False


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
    with _no_georeference_warning(), MemoryFile(ext=".j2k") as memory:
        with memory.open(**_size(image), **JPEG2000_OPTIONS, **options) as dataset:
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
        with _no_georeference_warning(), MemoryFile(stream, ext=".j2k") as memory:
            dataset = memory.open(driver="JP2OpenJPEG")
            _check(dataset, "JPEG 2000", max_pixels)
            decoded: Image = dataset.read()
            return decoded
    except RasterioError as error:
        raise InputError(f"JPEG 2000: expected a stream: {error.__cause__ or error}") from error
