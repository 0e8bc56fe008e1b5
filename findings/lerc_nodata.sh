#!/usr/bin/env bash
# LERC in a GeoTIFF keeps each pixel within MAX_Z_ERROR, but does not know the nodata value of the
# file: valid pixels that near to it become it. With the usual nodata of 0 these are the darkest
# pixels, water and shadow, which drop out of every mask and mean.
# skybook codes nodata apart from the image, so that no pixel changes sides.
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


def coast():
    """Return a uint16 image: a border of nodata (0), water (1..8), land (up to 4095)."""
    draw = np.random.default_rng(1)
    image = draw.integers(1, 4096, (256, 256))
    image[:128] = draw.integers(1, 9, (128, 256))
    image[:20] = 0
    return image.astype(np.uint16)


def masks(image, bound):
    """Return the largest error and the valid pixels lost, at an error bound."""
    shape = dict(count=1, height=256, width=256, dtype="uint16", nodata=0)
    with MemoryFile(ext=".tif") as memory:
        with memory.open(driver="GTiff", COMPRESS="LERC", MAX_Z_ERROR=bound, **shape) as target:
            target.write(image, 1)
        stream = bytes(memory.getbuffer())
    with MemoryFile(stream, ext=".tif") as memory, memory.open() as source:
        found, valid = source.read(1), source.read_masks(1) > 0
    worst = int(np.abs(found.astype(int) - image).max())
    return worst, int(((image > 0) & ~valid).sum())


print(f"rasterio {rasterio.__version__} with GDAL {rasterio.__gdal_version__}")
image = coast()
print(f"Done: {int((image > 0).sum())} valid pixels, nodata=0, written with LERC and error bounds.")
same = True
for bound in (0, 2, 4):
    worst, lost = masks(image, bound)
    print(f"  MAX_Z_ERROR={bound}: error up to {worst} DN, {lost} valid pixels read as nodata")
    same &= worst <= bound and (lost > 0) == (bound > 0)
print("Seen: the bound holds, and dark valid pixels turn into nodata.")
print("Expected: valid pixels stay valid, since the writer was told the nodata value.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
