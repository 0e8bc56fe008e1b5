"""Speed: tasks timed in turn, so that whatever else the machine does falls on all of them alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

from benchmarks.resources.worker import cpus, pin
from onboard.errors import SkybookError

RATIO = 20.48
Task = Callable[[], object]


def pin_to_one_cpu() -> None:
    """Keep this process on the last of the CPUs that it may use, where the system can do that."""
    pin(cpus()[-1])


def seconds_interleaved(tasks: Mapping[str, Task], runs: int) -> dict[str, list[float]]:
    """Run every task once unmeasured, then all of them in turn, `runs` times.

    Returns:
        Seconds of each run of each task; runs of one number happened side by side.
    """
    if runs < 1:
        raise SkybookError(f"runs: expected at least 1, found {runs}")
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for measured in [False] + [True] * runs:
        for name, task in tasks.items():
            begun = time.perf_counter()
            task()
            if measured:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def speeds_of(seconds: Sequence[float], mpixel: float) -> dict[str, float]:
    """Return `mpixel_per_s`, the median, and `lowest` and `highest` speed in Mpixel/s."""
    return {
        "mpixel_per_s": mpixel / median(seconds),
        "lowest": mpixel / max(seconds),
        "highest": mpixel / min(seconds),
    }


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Return `median`, `lowest`, `highest` and, from 4 values on, the quartiles."""
    found = {"median": median(values), "lowest": min(values), "highest": max(values)}
    if len(values) >= 4:
        low, _, high = quantiles(values, n=4, method="inclusive")
        found |= {"lower_quartile": low, "upper_quartile": high}
    return found
