"""Speed by bands: what a sample costs to encode in scenes of 1 to 16 bands, beside four."""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import last_line, machine, run
from benchmarks.resources.crun import PORTABLE, PROGRAM, RUN_LIMIT, make, sources, write_bil
from benchmarks.resources.instructions import count_instructions
from benchmarks.resources.timing import RATIO
from benchmarks.resources.worker import Tasks, Worker, cpus, pin
from benchmarks.scenes import mosaic
from onboard.bundle import load
from onboard.codec.lapped.part import MAX_BANDS
from onboard.encoder import Encoder, Options
from onboard.errors import SkybookError

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
FOUR = 4
SIDE, COUNTED_SIDE = 1024, 512
"""Rows and columns of the scenes that are timed, and of those whose instructions are counted."""
MODES: dict[str, tuple[str, ...]] = {"plain": (), "trellis": ("--trellis",)}
_MACROS = f"-DSKYBOOK_MAX_BANDS={MAX_BANDS}"
_NS = 1e9
Costs = dict[str, dict[int, float]]
"""Of a sample, by mode and bands."""


def scene_of(bands: int, side: int) -> NDArray[np.uint16]:
    """Return a square scene: the four bands of the mosaic, and these again, moved elsewhere."""
    four = mosaic(side, side)
    again = (np.roll(four, (37 * n, 91 * n), axis=(1, 2)) for n in range(-(-bands // FOUR)))
    return np.concatenate(list(again))[:bands]


def measure_by_bands(
    name: str,
    runs: int,
    side: int = SIDE,
    counted_side: int = COUNTED_SIDE,
    counts: Sequence[int] = COUNTS,
) -> dict[str, Any]:
    """Measure what a sample costs on numpy and in C, all numbers of bands in turn.

    Args:
        name: name or path of a bundle of the lapped codec.
        runs: runs of each, of which the middle one counts.
        side: rows and columns of the scenes that are timed.
        counted_side: rows and columns of those whose instructions are counted.
        counts: numbers of bands, four among them.

    Returns:
        `costs`, by what is measured: `numpy_ns`, `c_ns` (processor time of a whole process) and
        `c_instructions` (portable build, -O2), by mode and bands, or the `reason` of `c`;
        `over_four`: the same over that of four bands; `most_over_four`: of 2 bands and more.

    Raises:
        BundleError: no such bundle.
        SkybookError: a measurement failed.
    """
    with TemporaryDirectory() as folder:
        images = {bands: Path(folder) / f"{bands}.npy" for bands in counts}
        for bands, path in images.items():
            np.save(path, scene_of(bands, side))
        costs = {"numpy_ns": _on_numpy(name, images, runs)}
        document: dict[str, Any] = {"bundle": name, "side": side, "counted_side": counted_side}
        try:
            costs |= _in_c(name, images, runs, counted_side, Path(folder) / "c")
        except SkybookError as error:
            document["reason"] = str(error)
    over = {key: _over_four(found) for key, found in costs.items()}
    most = {
        key: {mode: max(v for n, v in of.items() if n > 1) for mode, of in found.items()}
        for key, found in over.items()
    }
    found = {"costs": costs, "over_four": over, "most_over_four": most}
    return document | {"ratio": RATIO, "runs": runs, **found, "machine": machine()}


def open_numpy(name: str, images: Mapping[str, str], cpu: int) -> tuple[dict[str, Any], Tasks]:
    """Get ready to encode images on numpy.

    Args:
        name: name or path of the bundle.
        images: paths of .npy files (bands, rows, cols) uint16, by bands.
        cpu: CPU to stay on.

    Returns:
        Hello, which is empty, and for each mode and image a task that returns processor seconds.
    """
    pin(cpu)
    encoder = Encoder(load(name), "numpy")
    return {}, {
        f"{mode} {bands}": partial(_encode, encoder, np.load(path), mode == "trellis")
        for mode in MODES
        for bands, path in images.items()
    }


def _encode(encoder: Encoder, image: NDArray[Any], trellis: bool) -> float:
    options = Options(budget=int(image.nbytes / RATIO), trellis=trellis)
    begun = time.process_time()
    for _ in encoder.encode(image, None, options):
        pass
    return time.process_time() - begun


def _on_numpy(name: str, images: Mapping[int, Path], runs: int) -> Costs:
    """Return nanoseconds of a sample."""
    given = {str(bands): str(path) for bands, path in images.items()}
    with Worker("resources.bybands", "open_numpy", [name, given, cpus()[-1]]) as worker:
        return _timed(lambda mode, bands: float(worker.run(f"{mode} {bands}")), images, runs)


def _in_c(
    name: str, images: Mapping[int, Path], runs: int, counted_side: int, folder: Path
) -> dict[str, Costs]:
    """Return nanoseconds and, where they can be counted, instructions of a sample."""
    sources(load(name), folder)
    fast, portable = (make(folder, program, _MACROS) for program in (PROGRAM, PORTABLE))
    lines = {bands: _line(np.load(path), folder, fast) for bands, path in images.items()}
    seconds = _timed(lambda mode, bands: _seconds([*lines[bands], *MODES[mode]]), images, runs)
    small = {bands: _line(scene_of(bands, counted_side), folder, portable) for bands in images}
    counted: Costs = {}
    for mode, also in MODES.items():
        each = {bands: count_instructions([*line, *also]) for bands, line in small.items()}
        samples = {bands: bands * counted_side**2 for bands in each}
        found = {n: count / samples[n] for n, count in each.items() if count is not None}
        counted |= {mode: found} if len(found) == len(each) else {}
    return {"c_ns": seconds} | ({"c_instructions": counted} if counted else {})


def _line(image: NDArray[np.uint16], folder: Path, program: Path) -> list[str]:
    """Write an image; return the command that encodes it."""
    bands, rows, cols = image.shape
    given = write_bil(folder / f"{bands}-{rows}.bil", image)
    scene = ["--bands", str(bands), "--width", str(cols), "--layout", "bil"]
    return [str(program), given, "-o", str(folder / "out.sky"), *scene, "--ratio", str(RATIO)]


def _seconds(line: Sequence[str]) -> float:
    """Return the processor time that a program takes, as a user and for it in the system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(line, RUN_LIMIT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SkybookError(f"C encoder: {last_line(done.stderr)}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _timed(task: Callable[[str, int], float], images: Mapping[int, Path], runs: int) -> Costs:
    """Return nanoseconds of a sample, of a task of mode and bands, after one run that is not."""
    samples = {bands: np.load(path, mmap_mode="r").size for bands, path in images.items()}
    found: dict[str, dict[int, list[float]]] = {mode: {n: [] for n in images} for mode in MODES}
    for measured in [False] + [True] * runs:
        for mode, of_mode in found.items():
            for bands in of_mode:
                cost = _NS * task(mode, bands) / samples[bands]
                of_mode[bands] += [cost] if measured else []
    return {mode: {n: median(taken) for n, taken in of.items()} for mode, of in found.items()}


def _over_four(costs: Costs) -> Costs:
    """Return costs over those of four bands."""
    return {mode: {n: cost / of[FOUR] for n, cost in of.items()} for mode, of in costs.items()}


def by_bands_text(found: Mapping[str, Any]) -> str:
    """Return the table for people."""
    names = {"numpy_ns": "numpy, ns", "c_ns": "C, ns", "c_instructions": "C, instructions"}
    columns = [(key, mode) for key in names if key in found["costs"] for mode in MODES]
    side, counted = found["side"], found["counted_side"]
    lines = [
        f"{found['bundle']}, ratio {found['ratio']}, {side} x {side} pixels (instructions: "
        f"{counted} x {counted}): what a sample takes, and that over what one of four bands does",
        "bands".ljust(7) + "".join(f"{f'{names[key]}, {mode}':>26}" for key, mode in columns),
    ]
    for bands in found["costs"]["numpy_ns"]["plain"]:
        cells = (
            f"{found['costs'][key][mode][bands]:>19.1f}{found['over_four'][key][mode][bands]:>7.2f}"
            for key, mode in columns
        )
        lines.append(f"{bands:<7}" + "".join(cells))
    reason = [f"C: {found['reason']}"] if "reason" in found else []
    return "\n".join([*lines, *reason, found["machine"]])
