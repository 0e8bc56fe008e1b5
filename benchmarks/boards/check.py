"""Check of the roofline: what this machine is estimated to encode, beside what it does encode."""

import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.boards.profiles import Profile
from benchmarks.boards.roofline import IMPLEMENTATIONS, estimate
from benchmarks.boards.workload import RATIO, Workload
from benchmarks.resources.worker import Tasks, Worker, cpus, pin
from benchmarks.scenes import mosaic
from ground.scene import raw_bytes
from onboard.bundle import load
from onboard.encoder import Encoder, Options
from onboard.errors import UsageError

WITHIN = 2.0
"""Factor by which estimate and measurement may differ."""
SIDE, RUNS = 1024, 3


def measure_numpy(bundle: str) -> float:
    """Return the Mpixel/s of one core and the numpy engine, in processor time, at `RATIO`.

    Raises:
        SkybookError: the measurement failed.
    """
    with Worker("boards.check", "encode_worker", [bundle]) as worker:
        speed: float = worker.run("encode")
    return speed


def encode_worker(name: str) -> tuple[dict[str, Any], Tasks]:
    """Be the worker that encodes; processor time, as the probe takes."""
    pin(cpus()[-1])
    image = mosaic(SIDE, SIDE)
    encoder = Encoder(load(name), "numpy")
    options = Options(budget=int(raw_bytes(image) / RATIO))

    def seconds() -> float:
        begun = time.thread_time()
        for _ in encoder.encode(image, None, options):
            pass
        return time.thread_time() - begun

    def encode() -> float:
        seconds()
        return SIDE * SIDE / 1e6 / median(seconds() for _ in range(RUNS))

    return {}, {"encode": encode}


def check(
    profile: Profile, workload: Workload, measured: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Compare estimates with measured speeds of one core.

    Args:
        profile: profile of the machine that was measured.
        workload: workload that was run.
        measured: measured speeds in Mpixel/s, by implementation.

    Returns:
        For each, `estimated` (middle of the range, Mpixel/s), `low`, `high`, `measured`, `ratio`
        of estimated to measured, and whether it is `within` a factor of two.

    Raises:
        UsageError: no such implementation, a speed that is none, or no estimate for this machine.
    """
    rows = []
    for name, speed in measured.items():
        if name not in IMPLEMENTATIONS or not 0 < speed < float("inf"):
            known = ", ".join(IMPLEMENTATIONS)
            raise UsageError(f"measured: expected {known} and Mpixel/s, found {name}={speed}")
        found = estimate(profile, workload, IMPLEMENTATIONS[name])
        if found.one_core is None:
            raise UsageError(f"{profile.key}: expected an estimate; missing {found.missing}")
        ratio = found.one_core.middle / speed
        rows.append(
            {
                "implementation": name,
                "estimated": found.one_core.middle,
                "low": found.one_core.low,
                "high": found.one_core.high,
                "measured": speed,
                "ratio": ratio,
                "within": 1 / WITHIN <= ratio <= WITHIN,
            }
        )
    return rows
