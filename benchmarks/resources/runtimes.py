"""Runtimes: one bundle in every engine and as C, each in processes of its own, timed in turn.

tflite-runtime needs numpy < 2, so it runs on a Python of another environment, if there is one.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.resources.crun import measure_program
from benchmarks.resources.timing import RATIO, spread_of
from benchmarks.resources.worker import Worker, call, cpus
from onboard.bundle import Bundle
from onboard.engine.engines import ENGINES

TFLITE_PYTHON = Path(".venv-tflite/bin/python")
"""Where the Python with tflite-runtime is looked for when nothing else is said."""
C, ENGINE_C = "c", "engine_c"
"""The C program; the same from Python."""
RUNTIMES = tuple(ENGINE_C if engine == C else engine for engine in ENGINES)
"""Engines of Python, by names that are not the program's."""
_NO_TILE = "the program codes whole rows of tiles, in a process that reads and writes files"
_NO_ARENA = {
    "ort": "onnxruntime tells its arena through the C interface alone",
    "litert": "LiteRT's Python interface does not tell its arena",
    "tflite": "tflite-runtime's Python interface does not tell its arena",
    "numpy": "numpy has no arena: arrays come and go",
    ENGINE_C: "engine c has no arena: arrays come and go, its library works in some of them",
}


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        runs: number of runs of each task.
        tiles: number of tiles timed alone.
        starts: number of fresh processes whose start-up is timed.
        rounds: number of rounds of the stages, and of all cores at once.
    """

    runs: int
    tiles: int
    starts: int
    rounds: int


@dataclass(frozen=True)
class Job:
    """What all runtimes are given.

    Attributes:
        name: name or path of the bundle.
        image: path of an .npy file.
        mpixel: million pixels of the image.
        bands: bands of the image.
        tflite_python: Python that has tflite-runtime, None for this one.
        program: C encoder of the bundle, or the reason why there is none.
        scale: how much is measured.
        previous: C encoder of an older version, if there is to be one.
        checkout: that older version.
        bundle_name: name of the bundle, not its path.
    """

    name: str
    image: str
    mpixel: float
    bands: int
    tflite_python: Path | None
    program: Path | str
    scale: Scale
    previous: Path | None = None
    checkout: Path | None = None
    bundle_name: str = ""

    def python(self, engine: str) -> str:
        """Return the Python to run an engine on."""
        return str(self.tflite_python or sys.executable) if engine == "tflite" else sys.executable

    def start(self, engine: str, cpu: int) -> Worker:
        """Start a worker of a runtime on a CPU."""
        if engine == C:
            return Worker("resources.crun", "open_c", [str(self.program), self.image, RATIO, cpu])
        given = [self.name, engine_of(engine), self.image, RATIO, self.scale.tiles, cpu]
        return Worker("resources.pythonrun", "open_runtime", given, self.python(engine))


def engine_of(runtime: str) -> str:
    """Return the engine of a runtime of Python."""
    return C if runtime == ENGINE_C else runtime


def runtime_of(engine: str) -> str:
    """Return the runtime of an engine."""
    return ENGINE_C if engine == C else engine


@contextmanager
def open_runtimes(job: Job) -> Iterator[tuple[dict[str, Worker], dict[str, dict[str, Any]]]]:
    """Start every runtime that can run the bundle.

    Yields:
        A worker of each; start-up and versions of each, or the `reason` of those that do not run.
    """
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        told: dict[str, dict[str, Any]] = {}
        for engine in RUNTIMES:
            worker = stack.enter_context(job.start(engine, cpus()[-1]))
            told[engine] = worker.hello
            if "reason" not in worker.hello:
                workers[engine] = worker
                told[engine] = _start_up(job, engine, worker)
        if isinstance(job.program, Path):
            workers[C] = stack.enter_context(job.start(C, cpus()[-1]))
            told[C] = _start_up(job, C, workers[C])
        else:
            told[C] = {"reason": job.program}
        yield workers, told


def _start_up(job: Job, engine: str, first: Worker) -> dict[str, Any]:
    """Return versions and start-up times of a runtime from a few fresh processes."""
    ready, parts = [first.ready_s], [first.hello["seconds"]]
    for _ in range(job.scale.starts - 1):
        with job.start(engine, cpus()[-1]) as worker:
            ready.append(worker.ready_s)
            parts.append(worker.hello["seconds"])
    medians = {part: median(each[part] for each in parts) for part in parts[0]}
    medians = {"interpreter": max(median(ready) - sum(medians.values()), 0.0)} | medians
    if engine == C:  # its process is started by the worker
        ready, medians = [each["process"] for each in parts], {}
    versions = {key: first.hello[key] for key in ("version", "python", "numpy")}
    return versions | {"start_up_s": spread_of(ready), "start_up_parts_s": medians}


def measure_runtime(job: Job, engine: str, worker: Worker) -> dict[str, Any]:
    """Return latency of a tile, stages, and speed with all cores of one runtime."""
    if engine == C:
        return {"tile_reason": _NO_TILE, "all_cores": _all_cores(job, engine)}
    tiles = [1e3 * seconds for seconds in worker.run("tiles")]
    latency = spread_of(tiles) | {"p99": percentile(tiles, 99), "tiles": len(tiles)}
    stages = [worker.run("stages") for _ in range(job.scale.rounds)]
    wholes = [sum(each.values()) for each in stages]
    split = {
        stage: {"seconds": seconds, "share": seconds / median(wholes)}
        for stage in stages[0]
        for seconds in [median(each[stage] for each in stages)]
    }
    return {
        "tile_ms": latency,
        "stages": split,
        "stages_s": spread_of(wholes),
        "all_cores": _all_cores(job, engine),
    }


def _all_cores(job: Job, engine: str) -> dict[str, Any]:
    """Encode with one process per core, all at the same time."""
    with ExitStack() as stack:
        workers = [stack.enter_context(job.start(engine, cpu)) for cpu in cpus()]
        seconds = []
        for _ in range(job.scale.rounds + 1):
            begun = time.perf_counter()
            for worker in workers:
                worker.ask("encode")
            for worker in workers:
                worker.answer()
            seconds.append(time.perf_counter() - begun)
    speeds = [len(workers) * job.mpixel / each for each in seconds[1:]]
    spread = spread_of(speeds)
    return {
        "processes": len(workers),
        "mpixel_per_s": spread["median"],
        "msample_per_s": job.bands * spread["median"],
        "lowest": spread["lowest"],
        "highest": spread["highest"],
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that `percent` % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1]


def model_bytes(bundle: Bundle, engine: str) -> dict[str, Any]:
    """Return what of a bundle an engine uses: graph (weights) and tables, and its arena."""
    graphs = {"ort": "encoder.onnx", "litert": "encoder.tflite", "tflite": "encoder.tflite"}
    graph = graphs.get(engine)
    tables = "lapped" if bundle.variable_rate else "codebooks"
    return {
        "weight_bytes": len(bundle.parts[graph]) if graph else 0,
        "table_bytes": len(bundle.parts[tables]),
        "arena_bytes": None,
        "arena_reason": _NO_ARENA[engine],
    }


def measure_memory(job: Job, engine: str, strip: str, budget: int | None) -> dict[str, Any]:
    """Encode a strip in a fresh process, see `memory.py`; with C see `measure_program`.

    Returns:
        Also `idle_rss_mb`, what an interpreter takes that does nothing, and `peak_over_idle_mb`.
    """
    if engine == C:
        return measure_program(str(job.program), strip, RATIO)
    python = job.python(engine)
    idle = call("resources.pythonrun", "measure_idle", [], python)
    found = call(
        "resources.memory", "measure_memory", [job.name, strip, budget, engine_of(engine)], python
    )
    over = found["peak_rss_mb"] - idle["idle_rss_mb"]
    return {**idle, **found, "peak_over_idle_mb": over}
