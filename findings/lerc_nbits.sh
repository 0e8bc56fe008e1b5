#!/usr/bin/env bash
# GDAL writes nothing but zeros to a GeoTIFF with COMPRESS=LERC and NBITS=12 (or 10): no error, and
# a file that reads well. Each option alone is lossless. Most satellite images have 10 to 14 bits,
# so that the two are an obvious pair.
# skybook writes DEFLATE without NBITS (GTIFF_OPTIONS in ground/products/geotiff.py).
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
IMAGE = np.random.default_rng(1).integers(1, 1024, (256, 256)).astype(np.uint16)


def written(**options):
    """Return the image as it is read from a GeoTIFF of these options."""
    shape = dict(count=1, height=256, width=256, dtype="uint16")
    with MemoryFile(ext=".tif") as memory:
        with memory.open(driver="GTiff", **shape, **options) as target:
            target.write(IMAGE, 1)
        stream = bytes(memory.getbuffer())
    with MemoryFile(stream, ext=".tif") as memory, memory.open() as source:
        return source.read(1)


print(f"rasterio {rasterio.__version__} with GDAL {rasterio.__gdal_version__}")
print("Done: a uint16 image of 1..1023 written as GeoTIFF, without loss, and read again.")
same = True
for options, good in (
    ({"COMPRESS": "LERC"}, True),
    ({"COMPRESS": "DEFLATE", "NBITS": "12"}, True),
    ({"COMPRESS": "LERC", "NBITS": "12"}, False),
    ({"COMPRESS": "LERC", "NBITS": "10"}, False),
    ({"COMPRESS": "LERC_DEFLATE", "NBITS": "12"}, False),
):
    image = written(**options)
    equal = np.array_equal(image, IMAGE)
    print(f"  {options}: {'equal' if equal else f'all between {image.min()} and {image.max()}'}")
    same &= equal if good else not image.any()
print("Seen: LERC with NBITS gives an image of zeros, silently.")
print("Expected: the image, or an error that the two do not go together.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
