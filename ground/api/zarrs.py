"""Zarrs: an array of a Zarr as a scene that is read window by window. The door to stores."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.windows import Window
from ground.products.cube import IMAGE, MAPPING, MASK, TEXT_TAGS
from ground.products.extra import library
from ground.products.filefacts import TIME_TAG
from ground.products.legend import CONCEALED, NODATA, NOT_WRITTEN
from ground.products.origin import PREFIX
from ground.scene import Scene
from onboard.errors import InputError, LimitError, SkybookError, UsageError
from onboard.image.files import DTYPES
from onboard.image.nodata import has_data
from onboard.link.facts import Facts, Tag

_FULL_SIZE = "0"
"""Group of a multiscale Zarr that holds it at full size."""
_FILL = "_FillValue"
_TIME = "time_coverage_start"
_OWN = ("spatial:", "proj:", "zarr_", "multiscales", "Conventions", "source", TEXT_TAGS, _TIME)
"""Beginnings of attributes that say what a product says in other words."""
_CRS_KEYS = ("proj:code", "proj:wkt2", "crs_wkt", "spatial_ref")
_MOST_BANDS = 1_024
_TYPES = set(DTYPES.values())


@dataclass(frozen=True)
class _Array:
    """An array of a store, and what is said beside it.

    Attributes:
        shape: (..., rows, cols).
        dtype: type of its samples, of this machine's byte order.
        get: function that returns the samples of some rows and columns.
        mask: the same of its mask; None without one.
        cube: xarray.Dataset that it is of; None where it is alone.
        words: its attributes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    get: Callable[[slice, slice], NDArray[Any]]
    mask: Callable[[slice, slice], NDArray[Any]] | None
    cube: Any
    words: Mapping[str, Any]


def open_zarr(
    path: Path, array: str | None, max_pixels: int
) -> tuple[Scene, dict[str, str], Callable[[slice, slice], Window]]:
    """Open an array (..., rows, cols) of 8 or 16 bits; all other dimensions are folded into bands.

    A mask beside it, as `ground decode` writes it, is read with it; else a pixel is nodata or not.

    Args:
        path: folder of the Zarr.
        array: path of the array in it; None where there is one alone, or one named `image`.
        max_pixels: most pixels (rows x columns) that it may have.

    Returns:
        What is said of it, with an image that takes no memory; what of its origin; what reads
        windows.

    Raises:
        InputError: the folder is no Zarr, or the array no image.
        UsageError: there are several, and none was chosen.
        LimitError: it has more than `max_pixels`.
        EngineError: a library is not installed.
    """
    with _told(path):
        found = _array(path, array)
        _check(path, found, max_pixels)
        scene = _scene(found)
    shape = scene.image.shape

    def read(down: slice, across: slice) -> Window:
        with _told(path):
            part = np.ascontiguousarray(found.get(down, across), found.dtype)
            image = part.reshape(shape[0], *part.shape[-2:])
            if found.mask is None:
                valid = has_data(image, scene.nodata)
                return image, np.where(valid, 0, NODATA).astype(np.uint8)
            mask = np.array(found.mask(down, across), np.uint8)
            mask[mask == NOT_WRITTEN] = CONCEALED
            return image, mask

    return scene, _origin(found.cube), read


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of a damaged store which one it is; what libraries warn of is not for our users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (SkybookError, MemoryError):
        raise
    except Exception as error:  # zarr and what it reads with have no error of their own
        raise InputError(f"{path}: cannot be read as a Zarr: {error!r:.200}") from error


def _check(path: Path, found: _Array, max_pixels: int) -> None:
    """Refuse what is no image of ours, or too large a one."""
    rows, cols = found.shape[-2:]
    bands = int(np.prod(found.shape[:-2], dtype=np.int64))
    if not (rows and cols and 1 <= bands <= _MOST_BANDS):
        raise InputError(f"{path}: expected 1 to {_MOST_BANDS} bands, found shape {found.shape}")
    if rows * cols > max_pixels:
        raise LimitError(f"{path}: expected at most {max_pixels} pixels, found {rows} x {cols}")


def _array(path: Path, array: str | None) -> _Array:
    """Return the array that is meant."""
    node = library("zarr").open(path, mode="r")
    if not hasattr(node, "group_keys"):
        if array is not None:
            raise UsageError(f"{path}: is an array, expected a group that holds {array!r}")
        dtype = _sample_type(path, node)
        nodata = {} if node.fill_value is None else {_FILL: node.fill_value}
        return _Array(node.shape, dtype, _windows(node), None, None, {**nodata, **node.attrs})
    group, _, name = ("" if array is None else array).strip("/").rpartition("/")
    if array is None and not list(node.array_keys()) and _FULL_SIZE in node:
        group = _FULL_SIZE
    cube = library("xarray").open_zarr(
        path, group=group or None, mask_and_scale=False, decode_times=False, chunks=None
    )
    name = name or _only(path, cube)
    if name not in cube.variables:
        raise UsageError(f"{path}: expected an array of {', '.join(cube.data_vars)}, not {name}")
    found, mask = cube[name], cube.get(MASK)
    fits = mask is not None and name != MASK and mask.shape == found.shape[-2:]
    of_mask = _windows(mask) if fits and "flag_meanings" in mask.attrs else None
    dtype = _sample_type(path, found)
    return _Array(found.shape, dtype, _windows(found), of_mask, cube, found.attrs)


def _windows(array: Any) -> Callable[[slice, slice], NDArray[Any]]:
    return lambda down, across: np.asarray(array[..., down, across])


def _sample_type(path: Path, array: Any) -> np.dtype[Any]:
    """Return the type of the samples; refuse what is no image."""
    dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
    if dtype not in _TYPES or array.ndim < 2:
        raise InputError(
            f"{path}: expected an array (..., rows, cols) of 8 or 16 bits, found {array.dtype} of "
            f"{array.ndim} dimensions"
        )
    return dtype


def _only(path: Path, cube: Any) -> str:
    """Return the name of the array that is meant where none was named."""
    found = [
        str(name)
        for name, variable in cube.data_vars.items()
        if variable.ndim >= 2
        and np.dtype(variable.dtype).newbyteorder("=") in _TYPES
        and "flag_meanings" not in variable.attrs
    ]
    if IMAGE in found:
        return IMAGE
    if len(found) != 1:
        there = ", ".join(found) or "none"
        raise UsageError(f"{path}: expected --array, or one array of 8 or 16 bits, found {there}")
    return found[0]


def _scene(found: _Array) -> Scene:
    """Return what is said of an array, with an image that takes no memory."""
    *others, rows, cols = found.shape
    bands = int(np.prod(others, dtype=np.int64))
    image = np.broadcast_to(found.dtype.type(0), (bands, rows, cols))
    scene = Scene(image, nodata=_nodata(found))
    if found.cube is None:
        return scene
    cube, words = found.cube, found.words
    mapping = cube.variables.get(words.get("grid_mapping", MAPPING))
    told = {**cube.attrs, **({} if mapping is None else mapping.attrs)}
    names = tuple(map(str, cube.band.values)) if "band" in cube.coords else ()
    facts = Facts(
        _pairs(cube, words, bands),
        (str(words["units"]),) if words.get("units") else (),
        (),
        tuple(_tags(cube, words)),
    )
    return replace(
        scene,
        transform=_transform(cube, told),
        crs=next((str(told[key]) for key in _CRS_KEYS if told.get(key)), None),
        band_ids=names if len(names) == bands and names != _numbers(bands) else (),
        facts=facts,
        significant_bits=words.get("significant_bits"),
        bayer=words.get("bayer_pattern"),
    )


def _nodata(found: _Array) -> int | None:
    """Return the value of pixels without data, if it is one of the type's."""
    value = found.words.get(_FILL)
    limits = np.iinfo(found.dtype)
    if not isinstance(value, int | np.integer) or not limits.min <= value <= limits.max:
        return None
    return int(value)


def _numbers(bands: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, bands + 1))


def _pairs(cube: Any, words: Mapping[str, Any], bands: int) -> tuple[tuple[float, float], ...]:
    """Return scale and offset."""
    if "scale_factor" in words or "add_offset" in words:
        return ((float(words.get("scale_factor", 1)), float(words.get("add_offset", 0))),)
    if "band_scale" not in cube.variables or "band_offset" not in cube.variables:
        return ()
    both = zip(cube["band_scale"].values, cube["band_offset"].values, strict=True)
    pairs = tuple((float(scale), float(offset)) for scale, offset in both)
    return pairs if len(pairs) == bands else ()


def _tags(cube: Any, words: Mapping[str, Any]) -> Iterator[Tag]:
    """Yield the texts about all of it, its time, and what its codec says that it keeps."""
    for key, value in cube.attrs.items():
        if isinstance(value, str) and not key.startswith((PREFIX.lower(), *_OWN)):
            yield "", key, value
    for where, key, value in json.loads(cube.attrs.get(TEXT_TAGS, "[]")):
        yield str(where), str(key), str(value)
    if time := cube.attrs.get(_TIME):
        yield *TIME_TAG, str(time)
    for key, value in words.items():
        if key.startswith("compression"):
            yield "", key, str(value)


def _origin(cube: Any) -> dict[str, str]:
    """Return what a product says of what it was decoded from, but for the shares of its mask."""
    if cube is None:
        return {}
    told = {str(key).upper(): str(value) for key, value in cube.attrs.items()}
    shares = f"{PREFIX}PERCENT_"
    return {k: v for k, v in told.items() if k.startswith(PREFIX) and not k.startswith(shares)}


def _transform(cube: Any, told: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return the transform of pixels, in GDAL's order."""
    if "spatial:transform" in told:
        a, b, c, d, e, f = map(float, told["spatial:transform"][:6])
        return c, a, b, f, d, e
    if "GeoTransform" in told:
        return tuple(map(float, str(told["GeoTransform"]).split()[:6]))
    if not {"x", "y"} <= cube.coords.keys() or min(cube.sizes["x"], cube.sizes["y"]) < 2:
        return None
    x, y = (np.asarray(cube[axis].values, np.float64) for axis in "xy")
    dx, dy = ((side[-1] - side[0]) / (len(side) - 1) for side in (x, y))
    return float(x[0] - dx / 2), float(dx), 0.0, float(y[0] - dy / 2), 0.0, float(dy)
