"""Resources: what the onboard chain takes in time and memory, beside OpenJPEG on the same array.

Everything is measured in processes of their own, which begin with one thread for every library.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import mosaic
from benchmarks.speed import RATIO, budget_of
from onboard.bundle import find, load
from onboard.errors import BundleError, SkybookError

RUNS, QUICK_RUNS = 9, 3
SIDE = 1024
STRIP_ROWS, STRIP_COLS = 512, 2048
SPEEDS = ("encode", "openjpeg", "klt_openjpeg", "decode")
_SPEED_KEYS = ("mpixel_per_s", "lowest", "highest")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "GDAL_NUM_THREADS"), "1"
)
_CHILD = """\
import json, sys
from benchmarks.{module} import {function}
print(json.dumps({function}(*json.loads(sys.argv[1]))))
"""


def measure_resources(
    name: str,
    runs: int = RUNS,
    side: int = SIDE,
    strip: tuple[int, int] = (STRIP_ROWS, STRIP_COLS),
) -> dict[str, Any]:
    """Measure speed on a square mosaic and memory on a strip.

    Args:
        name: name or path of a bundle of 4 bands.
        runs: measured runs of each task.
        side: rows and columns of the mosaic.
        strip: rows and columns of the strip.

    Raises:
        BundleError: no such bundle, or not of the bands of the scene.
        SkybookError: a measurement failed.
    """
    bundle = load(name)
    image = mosaic(*strip)
    if bundle.bands != len(image):
        raise BundleError(f"{bundle.name}: expected {len(image)} bands, found {bundle.bands}")
    speed = _in_child("speed", "measure_speed", [name, runs, side])
    memory = _measure_memory(name, image, budget_of(image, bundle.variable_rate))
    medians = {task: speed["tasks"][task]["mpixel_per_s"] for task in SPEEDS}
    return {
        "bundle": bundle.name,
        "encode_speed_over_openjpeg": medians["encode"] / medians["openjpeg"],
        "encoder_mac_per_pixel": bundle.macs_per_pixel,
        **{f"{task}_mpixel_per_s": medians[task] for task in SPEEDS},
        **memory,
        "bundle_bytes": find(name).stat().st_size,
        "variable_rate": bundle.variable_rate,
        **speed,
        "runs": runs,
        "shape": [len(image), side, side],
        "raw_bytes": 2 * len(image) * side * side,
        "strip_shape": list(image.shape),
        "machine": machine(),
    }


def _measure_memory(name: str, image: NDArray[np.uint16], budget: int | None) -> dict[str, Any]:
    """Hand the strip over in a file, so that making it does not count."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strip.npy"
        np.save(path, image)
        return _in_child("memory", "measure_memory", [name, str(path), budget])


def _in_child(module: str, function: str, arguments: list[Any]) -> dict[str, Any]:
    """Call a function of this package in a fresh process where every library has one thread."""
    code = _CHILD.format(module=module, function=function)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SkybookError(f"{function}: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine() -> str:
    """Return the processor, its number of CPUs, and the versions of Python and numpy."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{model}, 1 of {os.cpu_count()} CPUs, {platform.system()}, {versions}"


def resources_text(found: Mapping[str, Any]) -> str:
    """Return the result of `measure_resources` for people."""
    bands, rows, cols = found["shape"]
    rate = f"{'' if found['variable_rate'] else 'fixed '}ratio {found['encode_ratio']:.2f}"
    lines = [
        f"{found['bundle']} ({found['engine']}, {rate})",
        f"spyndex scene mirrored to {bands} x {rows} x {cols} uint16, {found['raw_bytes']} bytes "
        f"raw; OpenJPEG at ratio {RATIO}; median of {found['runs']} interleaved runs",
        found["machine"],
        "",
        f"{'Mpixel/s':<24}{'median':>9}{'lowest':>9}{'highest':>9}",
    ]
    labels = dict(
        zip(SPEEDS, ("encode", "OpenJPEG", "gradient KLT + OpenJPEG", "decode"), strict=True)
    )
    lines += [_speed_row(label, found["tasks"][task]) for task, label in labels.items()]
    lines += [_speed_row(f"encode, {name}", row) for name, row in found["engines"].items()]
    strip = " x ".join(map(str, found["strip_shape"]))
    state = found["encode_state_bytes"]
    return "\n".join(
        [
            *lines,
            "",
            f"encode over OpenJPEG: {found['encode_speed_over_openjpeg']:.2f}",
            f"encoder: {found['encoder_mac_per_pixel']} MAC/pixel, bundle {found['bundle_bytes']} "
            f"bytes, state {'-' if state is None else state} bytes at {found['strip_shape'][2]} "
            "columns",
            f"encoding {strip}: peak RSS {found['peak_rss_mb']:.1f} MiB, "
            f"{found['rss_over_loaded_mb']:.1f} MiB over bundle, engine and image loaded",
        ]
    )


def _speed_row(label: str, speed: Mapping[str, Any]) -> str:
    """Return one line: the speeds, or the reason why there are none."""
    if "reason" in speed:
        return f"{label:<24} {speed['reason']}"
    return f"{label:<24}" + "".join(f"{speed[k]:>9.2f}" for k in _SPEED_KEYS)
