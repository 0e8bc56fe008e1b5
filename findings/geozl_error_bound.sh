#!/usr/bin/env bash
# geozl takes a bound D on the error of each sample. Of integers it then keeps every second D-th
# value, a step of 2 D, where 2 D + 1 keeps the same bound: errors run from -(D - 1) to D only. At
# D = 1 that is a whole step of two: 11 % more bytes than geozl itself takes, without loss, for the
# numbers floor((x + D) / (2 D + 1)), of which x comes back within D.
# skybook steps by 2 D + 1 (SPEC.md, section 20); its benchmark gives rivals that keep no bound of
# their own the plane of those numbers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq geozl==0.19.0 numpy==2.4.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys

import geozl
import numpy as np


def coded(image, bound=None):
    """Return the bytes of an image, the better of two predictors, and what comes back."""
    found = []
    for predictor in ("planar", "med"):
        graph = geozl.graph(image, f"{predictor}>zigzag>transpose>entropy", error=bound)
        frame = bytes(geozl.compress(image, graph=graph))
        found.append((len(frame), frame))
    length, frame = min(found)
    back = np.frombuffer(bytes(geozl.decompress(frame)), np.uint16)
    return length, back.reshape(image.shape).astype(int)


draw = np.random.default_rng(1)
slope = np.add.outer(np.arange(256) * 5, np.arange(256) * 3)
image = (slope + draw.integers(0, 65, (256, 256)) + 500).astype(np.uint16)
print(f"geozl {geozl.__version__}")
print("Done: a uint16 image of 256 x 256, within D by geozl's own error=D, and by its lossless")
print("coding of the numbers floor((x + D) / (2 D + 1)).")
same = True
for bound in (1, 2, 4):
    own, back = coded(image, bound)
    numbers = ((image.astype(int) + bound) // (2 * bound + 1)).astype(np.uint16)
    other, again = coded(numbers)
    errors = back - image.astype(int)
    rebuilt = np.abs(again * (2 * bound + 1) - image.astype(int)).max()
    print(
        f"Seen: D = {bound}: errors {errors.min()} to {errors.max()}, {own} bytes; by numbers "
        f"{other} bytes, largest error {rebuilt}."
    )
    same &= errors.min() == 1 - bound and errors.max() == bound
    same &= rebuilt <= bound and own > 1.04 * other
print("Expected: errors -D to D, and no more bytes than by the numbers.")
sys.exit(0 if same else 1)
PYTHON
