"""GeoTIFF files as plain arrays, cloud-optimised where written: the door to rasterio."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.env import Env
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.shutil import copy
from rasterio.transform import Affine

from ground.products.filefacts import in_place, read_facts, significant_bits, write_facts
from ground.products.large.block import SIDE
from ground.products.large.mapped import read_samples
from ground.products.large.pyramid import sizes_of
from ground.products.origin import DOMAIN
from ground.products.validity import alpha_bands, nodata_value, validated
from ground.scene import Scene
from onboard.errors import InputError, LimitError
from onboard.image.files import DTYPES, sample_type
from onboard.image.tiles import DEFAULT_MAX_PIXELS
from onboard.outputs import open_whole

SAMPLE_TYPES = tuple(np.dtype(code).name for code in DTYPES.values())
COG_OPTIONS = {
    "driver": "COG",
    "COMPRESS": "DEFLATE",
    "LEVEL": 1,  # half the time of the usual one, for as few bytes
    "BLOCKSIZE": SIDE,
    "BIGTIFF": "IF_SAFER",
    "COPY_SRC_MDD": "YES",
}
_SOURCE_OPTIONS = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": SIDE,
    "blockysize": SIDE,
    "compress": "zstd",
    "zstd_level": 1,
    "BIGTIFF": "IF_SAFER",
}
_CACHE_BYTES = 4 << 20
"""Of blocks that are not there: GDAL's usual one, a part of all memory, takes 4 times as long."""
UPRIGHT = Affine.scale(2, -2)
NO_TAGS: Mapping[str, str] = {}


@contextmanager
def no_georeference_warning() -> Iterator[None]:
    """Keep GDAL's remark on images without a georeference off the standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a raster for reading.

    Raises:
        InputError: it is missing, or no raster.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a GeoTIFF file, found none")
    try:
        with no_georeference_warning(), rasterio.open(path) as dataset:
            yield dataset
    except RasterioError as error:
        raise InputError(f"{path}: expected a raster: {error.__cause__ or error}") from error


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
    with opened(path) as dataset:
        return _read_dataset(dataset, str(path), max_pixels)


def _read_dataset(dataset: Any, name: str, max_pixels: int) -> Scene:
    """Return an open dataset as a scene; `name` begins the messages."""
    check_raster(dataset, name, max_pixels)
    alpha = alpha_bands(dataset)
    kept = [i for i in dataset.indexes if i not in alpha]
    identifiers = tuple(dataset.descriptions[i - 1] or "" for i in kept)
    transform = dataset.transform
    facts, remarks = read_facts(dataset, kept)
    scene = Scene(
        image=read_samples(dataset, kept),
        nodata=nodata_value(dataset, name),
        transform=None if transform == Affine.identity() else tuple(transform.to_gdal()),
        crs=_crs_text(dataset.crs),
        band_ids=identifiers if any(identifiers) else (),
        facts=facts,
        significant_bits=significant_bits(dataset, kept),
        remarks=tuple(remarks),
    )
    return validated(dataset, scene, alpha)


def check_raster(dataset: Any, name: str, max_pixels: int) -> None:
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


def write(
    path: Path,
    scene: Scene,
    hidden: NDArray[np.bool_] | None = None,
    tags: Mapping[str, str] = NO_TAGS,
) -> None:
    """Write a scene as a cloud-optimised GeoTIFF, compressed without loss, overviews averaged.

    It is made in memory: GDAL does not tell of all that it cannot write when it closes a file.

    Args:
        path: path of the file.
        scene: image and what is said of it.
        hidden: bool (rows, cols), pixels that the file's mask hides; None, or none of them, for a
            file without a mask.
        tags: what tells where it comes from.

    Raises:
        InputError: image, nodata, band ids or CRS do not fit a GeoTIFF.
        UsageError: the file cannot be created, or there is not enough room for it.
    """
    profile = profile_of(scene)
    with new_source(profile | {"photometric": "MINISBLACK"}) as (source, dataset):
        dataset.write(scene.image)
        if hidden is not None and hidden.any():
            dataset.write_mask(~hidden)
        write_facts(dataset, scene)
        dataset.update_tags(ns=DOMAIN, **tags)
        bits = _bits(scene)
        predictor = "NO" if "nbits" in bits else "YES"
        write_cog(path, source, dataset, OVERVIEW_RESAMPLING="AVERAGE", PREDICTOR=predictor, **bits)


@contextmanager
def new_source(profile: Mapping[str, Any]) -> Iterator[tuple[MemoryFile, Any]]:
    """Open a file in memory, to be filled, of which a cloud-optimised one is made."""
    with (
        no_georeference_warning(),
        Env(GDAL_TIFF_INTERNAL_MASK=True),
        MemoryFile(ext=".tif") as memory,
        memory.open(**profile) as dataset,
    ):
        yield memory, dataset


def write_cog(path: Path, source: MemoryFile, dataset: Any, **options: Any) -> None:
    """Close a filled source, and write a cloud-optimised GeoTIFF of it."""
    dataset.close()
    with MemoryFile(ext=".tif") as target:
        with source.open() as filled:
            copy(filled, target.name, **COG_OPTIONS, **options)
        with open_whole(path) as file:
            file.write(in_place(target.getbuffer()))


def empty_cog(
    profile: Mapping[str, Any],
    describe: Callable[[Any], None],
    is_masked: bool = False,
    **options: Any,
) -> bytes:
    """Return a cloud-optimised GeoTIFF whose directories say all, and whose blocks are not there.

    Args:
        profile: its creation options; it has overviews down to one block.
        describe: says of a dataset open for writing what else is to be said.
        is_masked: whether it has a mask.
        options: of GDAL's driver.
    """
    name, folder = "empty.tif", str(uuid4())
    with ExitStack() as stack:
        stack.enter_context(no_georeference_warning())
        stack.enter_context(Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_CACHEMAX=_CACHE_BYTES))
        for rows, cols in sizes_of(profile["height"], profile["width"]):
            level = stack.enter_context(MemoryFile(dirname=folder, filename=name))
            form = {**profile, "height": rows, "width": cols, "SPARSE_OK": True}
            with level.open(**form) as dataset:
                if is_masked:
                    dataset.write_mask(np.zeros((1, 1), np.bool_), window=((0, 1), (0, 1)))
                if name == "empty.tif":
                    describe(dataset)
            name += ".ovr"
        target = stack.enter_context(MemoryFile(ext=".tif"))
        source = f"/vsimem/{folder}/empty.tif"
        copy(source, target.name, **COG_OPTIONS, SPARSE_OK=True, **options)
        return bytes(in_place(target.getbuffer()))


def packed(image: NDArray[Any]) -> bytes:
    """Return a small GeoTIFF of an image alone, compressed without loss."""
    # With a transform nobody warns, and threads would undo each other's filters of warnings.
    profile = {"driver": "GTiff", "compress": "deflate", "zlevel": 1, "transform": UPRIGHT}
    with MemoryFile(ext=".tif") as memory:
        with memory.open(**profile, **size_of(image)) as dataset:
            dataset.write(image)
        return bytes(memory.getbuffer())


def profile_of(scene: Scene) -> dict[str, Any]:
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
        **_SOURCE_OPTIONS,
        **size_of(scene.image),
        "nodata": scene.nodata,
        "crs": crs,
        "transform": None if scene.transform is None else Affine.from_gdal(*scene.transform),
        **_bits(scene),
    }


def _bits(scene: Scene) -> dict[str, Any]:
    """Return the creation options that say how many bits of a sample are in use."""
    bits = scene.significant_bits
    values = (int(scene.image.max()), int(scene.image.min()), scene.nodata or 0)
    if bits is None or not all(0 <= value < 1 << bits for value in values):
        return {}
    return {} if scene.image.dtype == np.int16 else {"nbits": bits}


def size_of(image: NDArray[np.generic]) -> dict[str, Any]:
    """Return rasterio's words for the shape and dtype of an image."""
    bands, rows, cols = image.shape
    return {"count": bands, "height": rows, "width": cols, "dtype": image.dtype.name}
