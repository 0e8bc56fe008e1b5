"""Resources: what the onboard chain takes in time and memory, beside the codecs used instead.

Every runtime and every codec is measured on the same array in a process of its own, on one CPU and
one thread, in turn; then every runtime with one process per core.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from benchmarks.resources.against import (
    build_previous,
    of_c,
    of_decoders,
    of_instructions,
    previous_tasks,
)
from benchmarks.resources.crun import build
from benchmarks.resources.runtimes import (
    RUNTIMES,
    TFLITE_PYTHON,
    C,
    Job,
    Scale,
    measure_memory,
    measure_runtime,
    model_bytes,
    open_runtimes,
    runtime_of,
)
from benchmarks.resources.timing import RATIO, seconds_interleaved, speeds_of, spread_of
from benchmarks.resources.worker import Worker, cpus
from benchmarks.scenes import mosaic
from ground.scene import raw_bytes
from onboard.bundle import Bundle, find, load
from onboard.errors import BundleError, SkybookError

RUNS, QUICK_RUNS = 9, 3
FULL, QUICK = Scale(RUNS, 1_000, 5, 5), Scale(QUICK_RUNS, 50, 2, 2)
SIDE = 1024
STRIP_ROWS, STRIP_COLS = 512, 2048
SPEEDS = ("encode", "openjpeg", "klt_openjpeg", "decode")
SPEED_KEYS = ("mpixel_per_s", "lowest", "highest")
KIND = "measured"


def measure_resources(
    name: str,
    scale: Scale,
    side: int = SIDE,
    strip: tuple[int, int] = (STRIP_ROWS, STRIP_COLS),
    tflite_python: Path | None = None,
    against: Path | None = None,
) -> dict[str, Any]:
    """Measure speed on a square mosaic and memory on a strip.

    Args:
        name: name or path of a bundle of 4 bands.
        scale: how much is measured.
        side: rows and columns of the mosaic.
        strip: rows and columns of the strip.
        tflite_python: Python of an environment with tflite-runtime; None looks for one in
            `TFLITE_PYTHON`.
        against: checkout of an older version whose C encoder is measured, too.

    Raises:
        UsageError: `against` is no such checkout.
        BundleError: no such bundle, or not of the bands of the scene.
        SkybookError: a measurement failed.
    """
    bundle = load(name)
    whole, image = mosaic(side, side), mosaic(*strip)
    if bundle.bands != len(image):
        raise BundleError(f"{bundle.name}: expected {len(image)} bands, found {bundle.bands}")
    if tflite_python is None and TFLITE_PYTHON.exists():
        tflite_python = TFLITE_PYTHON.absolute()
    with _arrays(whole, image) as (square, line):
        folder = Path(square).parent
        program = _program(bundle, folder / "c")
        previous = build_previous(against, bundle.name, folder / "older") if against else None
        older = (previous, against and against.absolute(), bundle.name)
        mpixel = side * side / 1e6
        job = Job(name, square, mpixel, bundle.bands, tflite_python, program, scale, *older)
        speed = _measure_speed(job, bundle)
        budget = int(raw_bytes(image) / RATIO) if bundle.variable_rate else None
        _add_memory(speed["runtimes"], job, bundle, line, budget)
    return {
        "bundle": bundle.name,
        "kind": KIND,
        "source": f"python -m benchmarks resources --bundle {name}",
        **_in_short(speed),
        "encoder_mac_per_pixel": bundle.macs_per_pixel,
        "bundle_bytes": find(name).stat().st_size,
        "variable_rate": bundle.variable_rate,
        **speed,
        "runs": scale.runs,
        "shape": list(whole.shape),
        "raw_bytes": raw_bytes(whole),
        "strip_shape": list(image.shape),
        "machine": machine(),
    }


def _add_memory(
    runtimes: dict[str, Any], job: Job, bundle: Bundle, line: str, budget: int | None
) -> None:
    """Add to what is known of runtimes what memory they take, where they ran."""
    for engine in (each for each in runtimes if "reason" not in runtimes[each]):
        runtimes[engine] |= measure_memory(job, engine, line, budget)
        if engine != C:
            runtimes[engine] |= model_bytes(bundle, engine)


def _in_short(speed: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that stand first: speeds, and the memory of the engine that was used."""
    medians = {task: speed["tasks"][task]["mpixel_per_s"] for task in SPEEDS}
    memory = speed["runtimes"][speed["engine"]]
    return {
        "encode_speed_over_openjpeg": medians["encode"] / medians["openjpeg"],
        **{f"{task}_mpixel_per_s": medians[task] for task in SPEEDS},
        **{key: memory[key] for key in ("peak_rss_mb", "rss_over_loaded_mb", "encode_state_bytes")},
    }


def _program(bundle: Bundle, folder: Path) -> Path | str:
    """Build the C encoder; return the reason where that cannot be."""
    try:
        return build(bundle, folder)
    except SkybookError as error:
        return str(error)


@contextmanager
def _arrays(*images: Any) -> Iterator[list[str]]:
    """Hand arrays over in files, so that making them does not count."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{number}.npy") for number in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            np.save(path, image)
        yield paths


def _measure_speed(job: Job, bundle: Bundle) -> dict[str, Any]:
    """Run every runtime and every rival in turn, then each runtime alone.

    Returns:
        `engine` and `encode_ratio` of the encoder that a caller gets who names no engine; `tasks`:
        speeds of each; `codecs`: ratio, quality and speed of each; `runtimes`; `engines`: their
        speeds, or the `reason` why one does not run.
    """
    with (
        open_runtimes(job) as (workers, runtimes),
        Worker("resources.rivals", "open_rivals", [job.name, job.image, cpus()[-1]]) as rivals,
        previous_tasks(job) as previous,
    ):
        default, codecs = runtime_of(rivals.hello["engine"]), rivals.hello["codecs"]
        tasks = {engine: partial(worker.run, "encode") for engine, worker in workers.items()}
        others = [*(codec for codec in codecs if _runs(codec, codecs, bundle)), "decode"]
        along: dict[str, Any] = {}
        if bundle.variable_rate:
            others += ["decode_trellis", "decode_fast"]
            along = {
                f"trellis_{engine}": partial(workers[engine].run, "trellis")
                for engine in dict.fromkeys((default, C))
                if engine in workers
            }
        rival_tasks = {other: partial(rivals.run, other) for other in others}
        seconds = seconds_interleaved(tasks | along | previous | rival_tasks, job.scale.runs)
        if bundle.variable_rate:  # eight times the standard one, so it runs once
            seconds |= seconds_interleaved({"decode_best": partial(rivals.run, "decode_best")}, 1)
        for engine, worker in workers.items():
            runtimes[engine] |= _speeds(job, seconds, engine)
            runtimes[engine] |= measure_runtime(job, engine, worker)
    for codec in codecs:
        if codec in seconds or codec == bundle.name:
            codecs[codec] |= _speeds(job, seconds, default if codec == bundle.name else codec)
    speeds = {task: speeds_of(seconds[task], job.mpixel) for task in others}
    speeds |= {task: _speeds(job, seconds, task) for task in along}
    compared, counts = of_c(seconds), of_instructions(job)
    return {
        **{key: own | counts.get(key, {}) for key, own in compared.items()},
        "decode": of_decoders(seconds, job.mpixel),
        "engine": default,
        "encode_ratio": codecs[bundle.name]["ratio"],
        "tasks": {"encode": speeds_of(seconds[default], job.mpixel)} | speeds,
        "codecs": codecs,
        "runtimes": runtimes,
        "engines": {engine: _short(runtimes[engine]) for engine in RUNTIMES},
    }


def _runs(codec: str, codecs: dict[str, Any], bundle: Bundle) -> bool:
    return codec != bundle.name and "reason" not in codecs[codec]


def _short(runtime: dict[str, Any]) -> dict[str, Any]:
    return {key: runtime[key] for key in ("reason", *SPEED_KEYS) if key in runtime}


def _speeds(job: Job, seconds: dict[str, list[float]], task: str) -> dict[str, Any]:
    """Return the speeds of a task, and how much faster it is than OpenJPEG run by run."""
    speeds = speeds_of(seconds[task], job.mpixel)
    paired = _ratios(seconds["openjpeg"], seconds[task])
    return speeds | {
        "msample_per_s": job.bands * speeds["mpixel_per_s"],
        "speed_over_openjpeg": spread_of(paired),
    }


def _ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(over, under, strict=True)]
