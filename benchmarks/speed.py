"""Speed of the onboard chain and of OpenJPEG on one CPU, arrays in memory, in interleaved runs."""

import os
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.baselines import gradient_covariance, rotate
from benchmarks.scenes import mosaic
from ground.decoder import Decoder
from ground.geotiff import jpeg2000_encode
from onboard.bundle import find, load
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, EngineError, SkybookError
from onboard.session import ENGINES

RATIO = 20.48
Task = Callable[[], object]


def pin_to_one_cpu() -> None:
    """Keep this process on the last of the CPUs that it may use, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def budget_of(image: NDArray[np.uint16], variable_rate: bool) -> int | None:
    """Return the bytes of `RATIO`; None where the rate is fixed."""
    return int(2 * image.size / RATIO) if variable_rate else None


def measure_speed(name: str, runs: int, side: int) -> dict[str, Any]:
    """Pin this process and time everything on a mosaic of `side` x `side` pixels.

    Returns:
        `engine` and `encode_ratio` of the encoder that a caller gets who names no engine;
        `tasks`: speeds of each task, see `time_interleaved`; `engines`: the same of encoding with
        each engine, or the `reason` why it does not run.
    """
    pin_to_one_cpu()
    image = mosaic(side, side)
    bundle = load(name)
    encoder = Encoder(bundle)
    budget = budget_of(image, bundle.variable_rate)
    stream = encode(encoder, image, budget)
    decoder = Decoder(find(name), threads=1)
    engines, reasons = _engine_tasks(name, image, budget)
    tasks: dict[str, Task] = {
        "encode": lambda: encode(encoder, image, budget),
        "openjpeg": lambda: jpeg2000_encode(image, RATIO),
        "klt_openjpeg": lambda: klt_jpeg2000(image),
        "decode": lambda: decoder.decode(stream),
    }
    found = time_interleaved(tasks | engines, runs, side * side / 1e6)
    return {
        "engine": encoder.engine,
        "encode_ratio": 2 * image.size / len(stream),
        "tasks": {task: found[task] for task in tasks},
        "engines": {engine: reasons.get(engine) or found[engine] for engine in ENGINES},
    }


def encode(encoder: Encoder, image: NDArray[np.uint16], budget: int | None) -> bytes:
    """Return the whole stream of an image: front end, rate search, coding and all."""
    options = Options() if budget is None else Options(budget=budget)
    return b"".join(encoder.encode(image, None, options))


def klt_jpeg2000(image: NDArray[np.uint16]) -> bytes:
    """Return OpenJPEG's codestream after the gradient KLT, in one pass at `RATIO`."""
    return jpeg2000_encode(rotate(image, gradient_covariance(image)).image, RATIO)


def _engine_tasks(
    name: str, image: NDArray[np.uint16], budget: int | None
) -> tuple[dict[str, Task], dict[str, dict[str, str]]]:
    """Return a task for each engine that can run the bundle, and the reasons of the others."""
    tasks: dict[str, Task] = {}
    reasons: dict[str, dict[str, str]] = {}
    for engine in ENGINES:
        try:
            encoder = Encoder(load(name), engine)
        except (EngineError, BundleError) as error:
            reasons[engine] = {"reason": str(error)}
        else:
            tasks[engine] = _encode_task(encoder, image, budget)
    return tasks, reasons


def _encode_task(encoder: Encoder, image: NDArray[np.uint16], budget: int | None) -> Task:
    return lambda: encode(encoder, image, budget)


def time_interleaved(
    tasks: Mapping[str, Task], runs: int, mpixel: float
) -> dict[str, dict[str, float]]:
    """Run every task once unmeasured, then all of them in turn, `runs` times.

    Whatever else the machine does in the meantime falls on all tasks alike.

    Args:
        tasks: what to run.
        runs: at least 1.
        mpixel: million pixels that one run works through.

    Returns:
        `mpixel_per_s`, the median, and `lowest` and `highest` speed of each task in Mpixel/s.
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
    return {
        name: {
            "mpixel_per_s": mpixel / median(took),
            "lowest": mpixel / max(took),
            "highest": mpixel / min(took),
        }
        for name, took in seconds.items()
    }
