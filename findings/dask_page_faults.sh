#!/usr/bin/env bash
# Workers that dask.distributed starts get MALLOC_TRIM_THRESHOLD_=65536. The C library then no longer
# adapts from which size on it asks the kernel for memory anew: from 128 KiB, so that each array of
# numpy of more is new pages, each of them a fault to be handled, however often arrays of that size
# come and go. Such work takes longer than in the process that started the workers, with no word why.
# skybook starts its workers without that variable (ground/batch/cluster.py): a scene of 4 x 1024 x
# 1024 is decoded in 0.30 s of a processor in place of 0.42.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq distributed==2026.8.0 dask==2026.8.0 numpy==2.4.6 || exit 2
cd "$work"
cat > seen.py <<'PYTHON'
import resource
import sys

import dask
import distributed
import numpy as np
from distributed import Client, LocalCluster

VARIABLE = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
TIMES = 300


def faults():
    """Return the page faults of 300 sums of two arrays of 1 MiB, once memory is there."""
    one = np.ones(1 << 17)
    for number in range(2 * TIMES):
        if number == TIMES:
            begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        one = one + 1.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun


def of_worker(settings):
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        return client.submit(faults).result()


if __name__ == "__main__":
    print(f"distributed {distributed.__version__}, numpy {np.__version__}")
    print(f"Done: {TIMES} sums of arrays of 1 MiB, page faults counted.")
    here, without, usual = faults(), of_worker({VARIABLE: None}), of_worker({})
    print(f"  in this process {here}, in a worker without the variable {without}")
    print(f"  in a worker as it is {usual}: {usual / TIMES:.0f} for each sum")
    print("Expected: in a worker about as many as here.")
    same = usual > 100 * TIMES > 10 * max(here, without)
    print("As described." if same else "CHANGED: this is no longer so.")
    sys.exit(0 if same else 1)
PYTHON
venv/bin/python -I seen.py
