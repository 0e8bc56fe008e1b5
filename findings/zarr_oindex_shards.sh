#!/usr/bin/env bash
# zarr assigns by two arrays of rows and columns (oindex) to an array in chunks, but raises where the
# same chunks lie in a shard: the selection reaches the codec of shards as orthogonal indices, which
# are taken there for coordinates, one for each value (zarr-python's issue 2834). Reading the same
# selection works. Whoever changes single rows and columns of a cube in shards must read, change and
# write a window that holds them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq zarr==3.1.6 numpy==2.4.6 || exit 2
cd "$work"
cat > seen.py <<'PYTHON'
import sys

import numpy as np
import zarr

ROWS, COLS = np.array([0, 5]), np.array([1, 6])
VALUES = np.array([[1, 2], [3, 4]])


def assigned(shards):
    """Return what an array of 8 x 8 in chunks of 4 x 4 holds afterwards, or what was raised."""
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(8, 8), chunks=(4, 4), shards=shards, dtype="i4"
    )
    array[:] = np.arange(64).reshape(8, 8)
    assert array.oindex[ROWS, COLS].tolist() == [[1, 6], [41, 46]]
    try:
        array.oindex[ROWS, COLS] = VALUES
    except ValueError as error:
        return f"ValueError: {error}"
    return array[:][np.ix_(ROWS, COLS)].tolist()


print(f"zarr {zarr.__version__}, numpy {np.__version__}")
print("Done: array.oindex[[0, 5], [1, 6]] = [[1, 2], [3, 4]].")
chunks, shards = assigned(None), assigned((8, 8))
print(f"  in chunks: {chunks}")
print(f"  in a shard: {shards}")
print("Expected: the four values, both times.")
same = chunks == VALUES.tolist() and str(shards).startswith("ValueError: shape mismatch")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
venv/bin/python -I seen.py
