#!/usr/bin/env bash
# The lossless HTJ2K and JPEG 2000 codecs that imagecodecs offers to Zarr decode some chunks of
# several bands in another order of axes than they were given, and Zarr, which knows the shape,
# takes the values as they come: the image is scrambled. Which band counts are hit depends
# on the codec and the order of axes. planar=True (bands first) or one band a chunk is right.
# skybook passes planar=True for HTJ2K (benchmarks/codecs/htj2k.py) and writes no Zarr.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq imagecodecs==2026.3.6 zarr==3.1.6 numcodecs==0.16.6 \
    numpy==2.4.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys
import warnings

import imagecodecs
import numpy as np
import zarr
from imagecodecs.numcodecs import Htj2k, Jpeg2k, register_codecs

warnings.simplefilter("ignore")
register_codecs(verbose=False)
BANDS = (1, 2, 3, 4, 5, 8, 10, 13)
CODECS = {"HTJ2K": Htj2k, "JPEG 2000": Jpeg2k}


def survives(codec, shape):
    """Return whether an image of one chunk comes back through Zarr."""
    image = np.random.default_rng(1).integers(0, 4096, shape).astype(np.uint16)
    form = dict(shape=shape, chunks=shape, dtype="uint16", zarr_format=2, filters=None)
    array = zarr.create_array({}, compressors=codec, **form)
    array[:] = image
    return np.array_equal(array[:], image)


print(f"imagecodecs {imagecodecs.__version__}, zarr {zarr.__version__}")
print(f"Done: uint16 images of {BANDS} bands, a chunk each, coded without loss and read.")
same = planar_right = True
for name, order, hit in (
    ("HTJ2K", "bands first", (5, 8, 10, 13)),
    ("HTJ2K", "bands last", (2, 5, 8, 10, 13)),
    ("JPEG 2000", "bands first", (2, 3, 4)),
    ("JPEG 2000", "bands last", ()),
):
    shapes = [(n, 64, 64) if order == "bands first" else (64, 64, n) for n in BANDS]
    plain = CODECS[name](reversible=True)
    wrong = tuple(s[0] if s[0] != 64 else s[2] for s in shapes if not survives(plain, s))
    print(f"  {name:9}, {order:11}: wrong with {wrong or 'none'} bands")
    same &= wrong == hit
    if order == "bands first":
        planar = CODECS[name](reversible=True, planar=True)
        planar_right &= all(survives(planar, shape) for shape in shapes)
print(f"  bands first, planar=True: {'none wrong' if planar_right else 'wrong, too'}")
same &= planar_right
print("Seen: scrambled arrays from codecs set to be lossless, without a word.")
print("Expected: what was written, or an error.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
