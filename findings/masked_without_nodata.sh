#!/usr/bin/env bash
# rasterio writes masked pixels of an integer image as 16959 (63 in uint8) where the file has no
# nodata value: numpy's fill value, 999999, cut to 16 bits. 16959 is a plausible bright pixel, so
# clouds and swath edges that were masked come back as measurements, without a word.
# skybook keeps plain arrays and a nodata value together (ground/scene.py), never masked arrays.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq rasterio==1.4.4 numpy==2.4.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys
import warnings

import numpy as np
import rasterio
from rasterio.io import MemoryFile

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)


def written(dtype, nodata, **options):
    """Return what a masked pixel (of value 100) and a valid one (200) are read as."""
    image = np.ma.masked_array(np.array([[100, 200]], dtype), mask=[[True, False]])
    shape = dict(count=1, height=1, width=2, dtype=dtype, nodata=nodata)
    with MemoryFile(ext=".tif") as memory:
        with memory.open(driver="GTiff", **shape) as target:
            target.write(image, 1, **options)
        with memory.open() as source:
            return source.read(1)[0].tolist()


print(f"rasterio {rasterio.__version__}, numpy {np.__version__}")
print("Done: an image with a masked pixel of 100 and a valid one of 200, written and read.")
same = True
for dtype, found in (("uint8", 63), ("uint16", 16959), ("int16", 16959)):
    lost, given = written(dtype, None), written(dtype, 0)
    plain = written(dtype, None, masked=True)
    print(f"  {dtype:6}: without nodata {lost}, with nodata=0 {given}, masked=True {plain}")
    same &= lost == [found, 200] and given == [0, 200] and plain == [100, 200]
print("Seen: without nodata the masked pixel becomes a number that stands for nothing.")
print("Expected: an error, or a mask in the file, since the mask has nowhere to go.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
