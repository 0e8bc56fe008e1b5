#!/usr/bin/env bash
# GDAL's JPEG 2000 writer, left to itself, codes an image below 128 pixels without any wavelet: it
# chooses RESOLUTIONS so that the smallest overview is about 128 pixels wide. At the same rate such
# an image is several times worse. Tiles and chips of satellite images are often that small, and a
# comparison with JPEG 2000 on them flatters the other codec.
# skybook sets RESOLUTIONS itself (ground/products/geotiff.py).
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


def scene(side):
    """Return a smooth uint16 image with a little noise."""
    row, col = np.mgrid[:side, :side]
    noise = np.random.default_rng(1).normal(0, 40, (side, side))
    return (2000 + 800 * np.sin(row / 17) + 600 * np.cos(col / 23) + noise).astype(np.uint16)


def coded(image, **options):
    """Return decomposition levels, bytes, and RMSE at QUALITY=8 (8 % of the raw bytes)."""
    shape = dict(count=1, height=len(image), width=len(image), dtype="uint16")
    choice = dict(CODEC="J2K", REVERSIBLE="NO", QUALITY="8", **options)
    with MemoryFile(ext=".j2k") as memory:
        with memory.open(driver="JP2OpenJPEG", **shape, **choice) as target:
            target.write(image, 1)
        stream = bytes(memory.getbuffer())
    with MemoryFile(stream, ext=".j2k") as memory, memory.open() as source:
        error = source.read(1).astype(float) - image
    levels = stream[stream.find(b"\xff\x52") + 9]  # of the coding style marker, COD
    return levels, len(stream), float(np.sqrt((error**2).mean()))


print(f"rasterio {rasterio.__version__} with GDAL {rasterio.__gdal_version__}")
print("Done: a smooth noisy uint16 image written as JPEG 2000, 9/7 wavelet, at 8 % of its bytes.")
same = True
for side in (100, 120, 1024):
    left, chosen = coded(scene(side)), coded(scene(side), RESOLUTIONS="6")
    for name, (levels, size, rmse) in (("by default", left), ("RESOLUTIONS=6", chosen)):
        print(f"  {side:4} pixels, {name:13}: {levels} levels, {size:6} bytes, RMSE {rmse:6.1f} DN")
    if side < 128:
        same &= left[0] == 0 and left[2] > 4 * chosen[2] and chosen[1] < left[1]
print("Seen: no wavelet on small images; with one, fewer bytes and a fraction of the error.")
print("Expected: a default that codes small images about as well as it can.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
