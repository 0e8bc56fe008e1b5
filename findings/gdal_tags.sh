#!/usr/bin/env bash
# Whoever copies a GeoTIFF to a cloud-optimised one keeps the tags of its bands or those of other
# metadata domains, never both: without COPY_SRC_MDD=YES all domains but the first are left behind,
# with it the tags of bands. GDAL says nothing of either.
# skybook moves the tags of bands into a domain, and takes the name of it out of the finished file.
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
from rasterio.shutil import copy

warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
shape = dict(count=1, height=64, width=64, dtype="uint16")
with rasterio.open("in.tif", "w", driver="GTiff", **shape) as dataset:
    dataset.write(np.ones((1, 64, 64), np.uint16))
    dataset.update_tags(1, WAVELENGTH="665")
    dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2026-05-01 10:00:00")

print(f"rasterio {rasterio.__version__} with GDAL {rasterio.__gdal_version__}")
print("Done: a GeoTIFF with a tag of its band and one of domain IMAGERY, copied by driver COG.")
same = True
for options in ({}, {"COPY_SRC_MDD": "YES"}):
    copy("in.tif", "out.tif", driver="COG", **options)
    with rasterio.open("out.tif") as dataset:
        band, domain = dataset.tags(1), dataset.tags(ns="IMAGERY")
    print(f"  options {options or 'none'}: tags of the band {band}, of the domain {domain}")
    same &= bool(band) != bool(options) and bool(domain) == bool(options)
print("Seen: one of the two is lost, whatever the options.")
print("Expected: COPY_SRC_MDD=YES adds the other domains, and drops nothing.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
