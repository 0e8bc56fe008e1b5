"""What works with every zarr: run with nothing of skybook imported, in a folder of its own.

It prints the checksum of what it read, which every version must share.
"""

import sys
import warnings
import zlib

import numpy as np
import zarr

from_metadata = {"name": "skybook", "configuration": {"max_error": 3}}
random = np.random.default_rng(4)
rows, cols = np.mgrid[:40, :50]
image = (900 + 9 * rows + 5 * cols + random.integers(0, 40, (2, 40, 50))).astype(np.uint16)
image[:, :9] = 0


def stored(name, chunks, serializer, data=image, **options):
    """Return an array's samples, written, and read by a second look at the store."""
    array = zarr.create_array(
        name,
        shape=data.shape,
        dtype=data.dtype,
        chunks=chunks,
        serializer=serializer,
        compressors=None,
        fill_value=0,
        zarr_format=3,
        **options,
    )
    array[:] = data
    return zarr.open_array(name, mode="r")[:]


def check(found, data=image):
    """Check a bound and nodata; return the checksum."""
    assert found.dtype == data.dtype.newbyteorder("=")
    assert np.abs(found.astype(int) - data).max() <= 3
    assert ((found == 0).all(axis=0) == (data == 0).all(axis=0)).all()
    return zlib.crc32(found.astype("<u2").tobytes())


whole = check(stored("whole", (2, 40, 50), from_metadata))
edges = check(stored("edges", (2, 32, 32), from_metadata))
shards = check(stored("shards", (2, 16, 25), from_metadata, shards=(2, 48, 50)))
big = check(stored("big", (2, 32, 32), from_metadata, image.astype(">u2")), image.astype(">u2"))
assert big == edges
rate = {"name": "skybook", "configuration": {"rmse": 4.0}}
lossy = stored("lossy", (2, 20, 25), rate)  # what fills edge chunks up would count
assert 3 < np.sqrt(np.mean((lossy.astype(float) - image) ** 2)) < 5
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that v3 has no numcodecs, in old versions
    import numcodecs

    compressor = numcodecs.get_codec({"id": "skybook", "max_error": 3, "nodata": 0})
    old = zarr.create_array(
        "v2",
        shape=image.shape,
        dtype="<u2",
        chunks=(2, 32, 32),
        compressors=compressor,
        fill_value=0,
        zarr_format=2,
    )
    old[:] = image
    second = check(zarr.open_array("v2", mode="r")[:])
assert second == edges
late = [name for name in sys.modules if name.split(".")[0] in ("torch", "rasterio", "xarray")]
assert not late, late
print("READ", zarr.__version__, whole, edges, shards, zlib.crc32(lossy.tobytes()))
