"""An older version: C encoder and decoder of another checkout, run in turn with ours."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import last_line, run
from benchmarks.resources.crun import BUILD_LIMIT, instructions, make
from benchmarks.resources.runtimes import ENGINE_C, C, Job
from benchmarks.resources.timing import RATIO, Task
from benchmarks.resources.worker import Worker, cpus
from onboard.errors import SkybookError, UsageError

_EARLIER_NAMES = ("skybook-s2",)
"""Names that the bundle has had."""
_IN_CHECKOUT = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)
PREVIOUS = "previous"
GRADES = {"fast": "decode_fast", "standard": "decode", "best": "decode_best"}
"""Grades of the decoder, and the task that decodes with each."""
TRELLIS = f"trellis_{C}"


def build_previous(checkout: Path, bundle: str, folder: Path) -> Path:
    """Have an older checkout write the C sources of a bundle, and build them for this machine.

    Args:
        checkout: folder that has `export`.
        bundle: name of the bundle today.
        folder: for sources and program.

    Raises:
        UsageError: the folder is no checkout that writes C.
        SkybookError: it writes none of the bundle, or what it writes does not build.
    """
    if not (checkout / "export" / "__main__.py").exists():
        raise UsageError(f"{checkout}: expected a checkout of skybook with export, found none")
    for name in (bundle, *_EARLIER_NAMES):
        asked = [str(checkout.absolute()), "export", "c", name, "-o", str(folder)]
        done = run([sys.executable, "-c", _IN_CHECKOUT, *asked], BUILD_LIMIT)
        if done.returncode == 0:
            return make(folder)
    raise SkybookError(f"{checkout}: writes no C encoder: {last_line(done.stderr)}")


@contextmanager
def previous_tasks(job: Job) -> Iterator[dict[str, Task]]:
    """Yield what the older C encoder does, by the name of ours after `previous_`."""
    if job.previous is None:
        yield {}
        return
    given = [str(job.previous), job.image, RATIO, cpus()[-1]]
    older = [str(job.checkout), [job.bundle_name, *_EARLIER_NAMES], *given]
    with (
        Worker("resources.crun", "open_c", given) as worker,
        Worker("resources.older", "open_older", older) as decoder,
    ):
        tasks = {C: "encode", TRELLIS: "trellis"}
        yield {
            **{f"{PREVIOUS}_{name}": partial(worker.run, task) for name, task in tasks.items()},
            f"{PREVIOUS}_decode": partial(decoder.run, "decode"),
        }


def of_decoders(seconds: Mapping[str, Sequence[float]], mpixel: float) -> dict[str, dict[str, Any]]:
    """Return how fast each grade of the decoder is; beside the only one that there was, if in turn.

    Args:
        seconds: seconds of the runs of each task, in turn; of the grade `best` on its own.
        mpixel: million pixels of the image.
    """
    previous = seconds.get(f"{PREVIOUS}_decode", ())
    found: dict[str, dict[str, Any]] = {}
    for grade, task in GRADES.items():
        if task in seconds:
            found[grade] = {"mpixel_per_s": mpixel / median(seconds[task])}
        if task in seconds and previous and grade != "best":
            pairs = zip(previous, seconds[task], strict=True)
            found[grade]["speed_over_previous"] = median(old / own for old, own in pairs)
    return found


def of_instructions(job: Job) -> dict[str, dict[str, float]]:
    """Return instructions a pixel of the C encoders' portable builds, of `c` and `c_trellis`."""
    found: dict[str, dict[str, float]] = {"c": {}, "c_trellis": {}}
    programs = {"instructions_per_pixel": job.program, "previous_instructions": job.previous}
    for key, program in programs.items():
        if isinstance(program, Path):
            for task, count in instructions(program, job.image, RATIO).items():
                found["c" if task == "encode" else "c_trellis"][key] = count
    return found


def of_c(seconds: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Return how fast the C encoder is beside HTJ2K and its older version, engine `c` beside it.

    Args:
        seconds: seconds of the runs of each task, in turn.

    Returns:
        Of `c`, `c_trellis`, `engine_c` and `engine_c_trellis`, as far as measured: the medians of
        ratios run by run.
    """
    over_c = {"speed_over_htj2k": "htj2k"}
    compared = {
        "c": (C, over_c | {"speed_over_previous": f"{PREVIOUS}_{C}"}),
        "c_trellis": (TRELLIS, over_c | {"speed_over_previous": f"{PREVIOUS}_{TRELLIS}"}),
        "engine_c": (ENGINE_C, {"speed_over_c": C}),
        "engine_c_trellis": (f"trellis_{ENGINE_C}", {"speed_over_c": TRELLIS}),
    }
    found: dict[str, dict[str, Any]] = {key: {} for key in compared}
    for key, (task, rivals) in compared.items():
        for name, rival in rivals.items():
            if task in seconds and rival in seconds:
                pairs = zip(seconds[rival], seconds[task], strict=True)
                found[key][name] = median(other / own for other, own in pairs)
    return found
