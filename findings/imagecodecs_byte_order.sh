#!/usr/bin/env bash
# imagecodecs takes big-endian arrays (>u2) for JPEG 2000, HTJ2K and TIFF, and codes their bytes as
# if they were little-endian: the image comes back with its bytes swapped. Its PNG and JPEG XL
# refuse such arrays. Raw lines of instruments and of many archives are big-endian.
# skybook gives its rivals arrays in native order (samples_of in benchmarks/codecs/codec.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq imagecodecs==2026.3.6 numpy==2.4.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys

import imagecodecs
import numpy as np

if sys.byteorder != "little":
    print("This machine is big-endian itself: nothing to see.")
    sys.exit(0)
IMAGE = np.random.default_rng(1).integers(0, 4096, (64, 64)).astype(np.uint16)


def outcome(encode, decode, image, **options):
    """Return what became of an image: equal, swapped, refused or other."""
    try:
        found = decode(encode(image, **options)).reshape(image.shape)
    except ValueError:
        return "refused"
    if np.array_equal(found, image):
        return "equal"
    return "swapped" if np.array_equal(found.byteswap(), image) else "other"


CODECS = (
    ("JPEG 2000", imagecodecs.jpeg2k_encode, imagecodecs.jpeg2k_decode, {"reversible": True}),
    ("HTJ2K", imagecodecs.htj2k_encode, imagecodecs.htj2k_decode, {"reversible": True}),
    ("TIFF", imagecodecs.tiff_encode, imagecodecs.tiff_decode, {}),
    ("PNG", imagecodecs.png_encode, imagecodecs.png_decode, {}),
)
print(f"imagecodecs {imagecodecs.__version__}, numpy {np.__version__}")
print("Done: the same 12-bit image coded without loss, as <u2 and as >u2, and decoded.")
same = True
for name, encode, decode, options in CODECS:
    little = outcome(encode, decode, IMAGE.astype("<u2"), **options)
    big = outcome(encode, decode, IMAGE.astype(">u2"), **options)
    print(f"  {name:9}: <u2 {little}, >u2 {big}")
    same &= little == "equal" and big == ("refused" if name == "PNG" else "swapped")
print("Seen: big-endian images are damaged silently by three codecs, and refused by another.")
print("Expected: the same values whatever the byte order, or an error.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
