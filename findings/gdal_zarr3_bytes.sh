#!/usr/bin/env bash
# Zarr version 3, as it was published, has each array say how its samples become bytes by a codec
# `bytes`; zarr-python 3 writes it, and by default. The GDAL of rasterio's wheels has a driver of
# Zarr and lists such arrays as parts of a group, but opens none of them, compressed or not:
# it knows the codec by the name of a draft. Arrays of version 2 it opens.
# skybook writes Zarr version 3 for xarray and Dask, and says that GDAL gets a GeoTIFF or NetCDF
# file (docs/products.md).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 zarr==3.1.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys
import warnings

import numpy as np
import rasterio
import zarr

warnings.simplefilter("ignore")
image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def opened(name):
    """Return what rasterio says of an array of a store, or whether its samples are right."""
    try:
        with rasterio.open(f"ZARR:{name}") as array:
            return "right" if np.array_equal(array.read(1), image) else "wrong"
    except rasterio.errors.RasterioIOError as error:
        return str(error)


print(f"rasterio {rasterio.__version__}, GDAL {rasterio.__gdal_version__}, zarr {zarr.__version__}")
print("Done: an image of uint16 as two arrays of a Zarr group, opened by rasterio.")
found = {}
for version in (2, 3):
    store = f"v{version}.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=version)
    for name, how in (("plain", {"compressors": None}), ("usual", {})):
        array = group.create_array(name, shape=(64, 64), chunks=(32, 32), dtype="uint16", **how)
        array[:] = image
    listed = [part.rpartition("/")[2] for part in rasterio.open(f"ZARR:{store}").subdatasets]
    found[version] = sorted(listed), *(opened(f'"{store}":/{name}') for name in ("plain", "usual"))
    print(f"  version {version}: lists {', '.join(found[version][0])}")
    print(f"    without compression: {found[version][1]}; with the usual one: {found[version][2]}")
print("Seen: a list of arrays, none of which opens.")
print("Expected: what is listed can be opened.")
refused = "Unsupported codec: bytes"
same = found == {
    2: (["plain", "usual"], "right", "right"),
    3: (["plain", "usual"], refused, refused),
}
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
