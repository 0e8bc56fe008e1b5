#!/usr/bin/env bash
# Where a file cannot grow any more, as on a full disk, GDAL's driver COG, called by rasterio, ends
# without an error if what has no room is written last: the file lacks its end, and blocks of it
# cannot be read. (Where less has room, an error is raised.) A limit on the size of files stands for
# the disk here: the write that passes it fails the same way, with another number.
# skybook has GDAL make such files in memory alone: it writes them itself, and reads large ones back
# before they take their place (ground/products/large/layout.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import resource
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import rasterio
from rasterio.shutil import copy

warnings.simplefilter("ignore")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
noise = np.random.default_rng(1).integers(0, 65_535, (2, 256, 300)).astype(np.uint16)
form = {"driver": "GTiff", "count": 2, "height": 256, "width": 300, "dtype": "uint16"}
with rasterio.open("source.tif", "w", **form) as dataset:
    dataset.write(noise)


def copied(most):
    """Copy with so many bytes of room; return how it ended, and whether all can be read."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        copy("source.tif", "copy.tif", driver="COG", compress="deflate", overviews="none")
        ended = "no error"
    except Exception as error:
        return type(error).__name__, "not looked at"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    try:
        with rasterio.open("copy.tif") as dataset:
            return ended, "right" if np.array_equal(dataset.read(), noise) else "wrong"
    except rasterio.errors.RasterioIOError:
        return ended, "cannot be read"


print(f"rasterio {rasterio.__version__}, GDAL {rasterio.__gdal_version__}")
print("Done: an image copied to a cloud-optimised GeoTIFF, with room for all, or a byte less.")
whole = copied(1 << 30)
size = Path("copy.tif").stat().st_size
Path("copy.tif").unlink()
short = copied(size - 1)
print(f"  {size} bytes of room: {whole[0]}, the copy is {whole[1]}")
print(f"  {size - 1} bytes of room: {short[0]}, the copy {short[1]}")
print("Seen: a damaged file, and no error.")
print("Expected: an error.")
same = whole == ("no error", "right") and short == ("no error", "cannot be read")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
