"""Cubes: xarray datasets whose images are to be written as chunks of streams."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ground.chunks.serializer import SkybookCodec

_SIDE = 512
_WHOLE = "band"
"""Dimension that is not cut unless told."""
_OTHERS = frozenset({"compressor", "compressors", "filters", "shards", "serializer"})


def compress(cube: Any, chunks: Mapping[str, int] | None = None, **configuration: Any) -> Any:
    """Return a dataset that `to_zarr(zarr_format=3)` writes with the serializer `skybook`.

    Every variable of 8 or 16 bits with rows and columns gets it, and attributes that say what it
    keeps; others, and flags, are as they were. What is said here of a variable is in its
    `encoding`: `to_zarr(encoding=...)` would replace it all.

    Args:
        cube: xarray.Dataset, whose variables have dimensions (..., y, x).
        chunks: sizes of chunks by dimension. Else they are those of Dask or of the variable's
            encoding; or 512 rows and columns, all of a dimension `band`, and 1 of any other.
        configuration: as of `SkybookCodec`.

    Raises:
        UsageError: a key or value makes no sense.
    """
    codec = SkybookCodec(**configuration)
    found = cube.copy()
    for name in cube.data_vars:
        variable = found[name]
        if not _is_image(variable):
            continue
        kept = {key: value for key, value in variable.encoding.items() if key not in _OTHERS}
        variable.encoding = {**kept, "serializer": codec, "compressors": ()}
        if chunks or (variable.chunks is None and "chunks" not in kept):
            variable.encoding["chunks"] = _chunks(variable, chunks or {})
        variable.attrs |= codec.quality.attributes()
    return found


def _is_image(variable: Any) -> bool:
    """Return whether a variable is of 8 or 16 bits; codes, none near another, are no image."""
    dtype = np.dtype(variable.encoding.get("dtype", variable.dtype))
    samples = dtype.kind in "iu" and dtype.itemsize <= 2
    flags = variable.attrs.keys() & {"flag_values", "flag_masks"}
    return variable.ndim >= 2 and samples and not flags


def _chunks(variable: Any, told: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of the chunks of a variable."""
    *_, rows, cols = variable.dims
    usual = {rows: _SIDE, cols: _SIDE, _WHOLE: variable.sizes.get(_WHOLE, 1)}
    return tuple(
        min(told.get(name, usual.get(name, 1)), size) for name, size in variable.sizes.items()
    )
