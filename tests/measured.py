"""Results of a real but small measurement, made once for all processes of a test run."""

import fcntl
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.resources.measure import measure_resources
from benchmarks.resources.runtimes import Scale

SCALE = Scale(runs=2, tiles=4, starts=1, rounds=1)
FLAGSHIP = "skybook"


@cache
def resources(bundle: str, folder: Path) -> dict[str, Any]:
    """What `benchmarks resources` finds on a small mosaic.

    Args:
        bundle: name of a bundle.
        folder: folder of the test process; what is beside it is shared by those that pytest-xdist
            runs side by side.
    """
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with (shared / f"resources-{bundle}.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        if known := file.read():
            return dict(json.loads(known))
        against = Path(__file__).parents[1] if bundle == FLAGSHIP else None
        found = measure_resources(bundle, SCALE, side=192, strip=(128, 256), against=against)
        json.dump(found, file)
    return found
