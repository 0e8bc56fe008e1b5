"""Results of real but small measurements, made once for all tests of a process."""

from functools import cache
from typing import Any

from benchmarks.resources.measure import measure_resources
from benchmarks.resources.runtimes import Scale

SCALE = Scale(runs=2, tiles=4, starts=1, rounds=1)
FLAGSHIP = "skybook-s2"


@cache
def resources(bundle: str) -> dict[str, Any]:
    """What `benchmarks resources` finds on a small mosaic."""
    return measure_resources(bundle, SCALE, side=192, strip=(128, 256))
