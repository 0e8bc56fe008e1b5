#!/usr/bin/env bash
# zarr leaves chunks out that have the fill value alone, unless told, and asks numpy's array_equal with
# equal_nan=True whether one has. numpy knows of signed integers and bool that they hold no NaN; of
# unsigned ones it does not (numpy/_core/numeric.py, _no_nan_types): it looks for NaN in both arrays
# and compares copies of what is none. So each write of a whole chunk of uint8 or uint16 takes many
# times as long to look for emptiness as one of int16, in the thread that all calls of zarr share.
# skybook's codec looks itself, in the thread that encodes the chunk (ground/chunks/serializer.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq zarr==3.1.6 numpy==2.4.6 || exit 2
cd "$work"
cat > seen.py <<'PYTHON'
import sys
import time

import numpy as np
import zarr
from zarr.core.buffer.cpu import NDBuffer

TIMES = 20


def least(dtype):
    """Return the least seconds of a processor for the look at a chunk of 4 x 512 x 512."""
    chunk = NDBuffer.from_numpy_array(np.ones((4, 512, 512), dtype))
    fill, taken = np.zeros((), dtype)[()], []
    for _ in range(TIMES):
        begun = time.process_time()
        assert not chunk.all_equal(fill)
        taken.append(time.process_time() - begun)
    return min(taken)


print(f"zarr {zarr.__version__}, numpy {np.__version__}")
print("Done: NDBuffer.all_equal, which zarr asks of each whole chunk, of 4 x 512 x 512 samples.")
signed, unsigned = least("i2"), least("u2")
print(f"  int16 {1e3 * signed:.2f} ms, uint16 {1e3 * unsigned:.2f} ms")
print("Expected: as long for both.")
same = unsigned > 3 * signed
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
venv/bin/python -I seen.py
