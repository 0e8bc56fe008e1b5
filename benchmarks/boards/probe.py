"""Probe: the profile of the machine that this runs on, every figure measured or read there.

Rates are those of the operations that the encoder is made of, on arrays of the sizes that it works
on, in a fresh process with one thread on one CPU (`Workload` says how many of each a pixel takes).
"""

import time
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.boards.profiles import THIS_MACHINE, UNITS, Figure, Profile, Runtime
from benchmarks.resources.worker import Tasks, Worker, cpus, pin
from onboard.errors import SkybookError

RUNS = 9
_COPIED = 1 << 26
"""Bytes that the copy reads and writes; no more than 1/16 of the memory."""
_BATCH, _LAYER = 24 * 64 * 64 * 4, 24 * 64 * 32
"""Samples of a batch of tiles; symbols of a layer of it."""
_PRODUCTS = [(24 * 64 * 4, 256, 64), *[(24 * 64, 132, 28)] * 18]
"""Rows, inner and columns: the transform of a batch, and its contexts, layer by layer."""
_PACKAGES = {
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "LiteRT": "ai-edge-litert",
    "tflite-runtime": "tflite-runtime",
}
_LANES = (("avx512f", 16), ("avx2", 8), ("asimd", 4), ("neon", 4), ("sse2", 4))
"""float32 lanes by flag of /proc/cpuinfo, the widest first."""


def probe(root: Path = Path("/")) -> Profile:
    """Measure this machine; takes a few seconds.

    Args:
        root: root of the tree that holds `proc` and `sys`.

    Raises:
        SkybookError: a measurement failed.
    """
    figures = {**_read_figures(root), **_measured_figures(_rates())}
    return Profile(
        THIS_MACHINE, "this machine", _processor(root), "", figures, tuple(_runtimes()), True
    )


def _rates() -> dict[str, float]:
    with Worker("boards.probe", "rates_worker", []) as worker:
        rates: dict[str, float] = worker.run("rates")
    return rates


def power_files(root: Path = Path("/")) -> list[str]:
    """Return the files of this machine that tell power or energy, sorted."""
    patterns = (
        "class/powercap/*/energy_uj",
        "class/hwmon/*/power*_input",
        "class/power_supply/*/power_now",
        "class/power_supply/*/current_now",
    )
    base = root / "sys"
    return sorted(str(path.relative_to(root)) for p in patterns for path in base.glob(p))


def rates_worker() -> tuple[dict[str, Any], Tasks]:
    """Be the worker that measures rates."""
    pin(cpus()[-1])
    return {}, {"rates": measure_rates}


def measure_rates() -> dict[str, float]:
    """Measure rates of one core in base units: per second, and seconds of a call."""
    source = np.zeros(_copied_bytes() // 4, np.float32)
    copy = partial(np.copyto, np.ones_like(source), source)
    return {
        "memory_bandwidth": 2 * source.nbytes / _seconds(copy),
        "gemm_rate": sum(map(_macs, _PRODUCTS)) / sum(map(_product_seconds, _PRODUCTS)),
        "int8_mac_rate": _int_product_rate(),
        "element_rate": _rate(_element_operations),
        "lookup_rate": _rate(_lookups),
        "call_overhead": _call_seconds(),
    }


def _copied_bytes() -> int:
    memory = _numbers(Path("/proc/meminfo"), "MemTotal")
    return min(_COPIED, int(memory[0] * 1024 / 16)) if memory else _COPIED


def _seconds(work: Callable[[], object]) -> float:
    """Return the median processor time of a piece of work that was done once before.

    Processor time: what else the machine does in the meantime should not count.
    """
    work()
    took = []
    for _ in range(RUNS):
        begun = time.thread_time()
        work()
        took.append(time.thread_time() - begun)
    return median(took)


def _macs(shape: tuple[int, int, int]) -> int:
    rows, inner, columns = shape
    return rows * inner * columns


def _product_seconds(shape: tuple[int, int, int]) -> float:
    rows, inner, columns = shape
    random = np.random.default_rng(1)
    left = random.integers(-2047, 2047, (rows, inner)).astype(np.float32)
    right = random.integers(-127, 127, (inner, columns)).astype(np.float32)
    return _seconds(lambda: left @ right)


def _int_product_rate() -> float:
    random = np.random.default_rng(1)
    left = random.integers(-127, 127, (512, 256), np.int32)
    right = random.integers(-127, 127, (256, 64), np.int32)
    return _macs((512, 256, 64)) / _seconds(lambda: left @ right)


def _rate(operations: Callable[[int], list[Callable[[], object]]]) -> float:
    """Return elements per second of operations on a batch and on a layer of it."""
    elements, seconds = 0, 0.0
    for size in (_BATCH, _LAYER):
        for operation in operations(size):
            elements += size
            seconds += _seconds(operation)
    return elements / seconds


def _element_operations(size: int) -> list[Callable[[], object]]:
    values = np.random.default_rng(1).integers(-99, 99, size, np.int32)
    other, floats = values.copy(), values.astype(np.float32)
    return [
        lambda: values + other,
        lambda: np.abs(values),
        lambda: np.minimum(values, 40),
        lambda: values >> 5,
        lambda: values * 3,
        lambda: values.astype(np.float32),
        lambda: floats + floats,
        lambda: values > 3,
    ]


def _lookups(size: int) -> list[Callable[[], object]]:
    random = np.random.default_rng(1)
    places = random.integers(0, 4096, size)
    table = np.arange(4096, dtype=np.int32)
    scattered = np.sort(random.permutation(2 * size)[:size])
    wide, flags = np.arange(2 * size, dtype=np.int32), places > 2048
    divisors = (places + 1).astype(np.uint32)
    return [
        lambda: np.take(table, places),
        lambda: wide[scattered],
        lambda: np.flatnonzero(flags),
        lambda: wide[:size].view(np.uint32) // divisors,
        lambda: np.bincount(places, minlength=4096),
    ]


def _call_seconds() -> float:
    """Return the mean time of calls that have next to nothing to do."""
    few, places = np.arange(4, dtype=np.int32), np.array([0, 1])
    calls: list[Callable[[], object]] = [
        lambda: np.add(few, few),
        lambda: np.minimum(few, 3),
        lambda: few.astype(np.float32),
        lambda: np.take(few, places),
        lambda: few[places],
        lambda: np.flatnonzero(few),
        lambda: np.zeros(4, np.int32),
        lambda: few.reshape(2, 2),
        lambda: np.concatenate([few, few]),
        few.sum,
    ]
    times = 100

    def many() -> None:
        for call in calls:
            for _ in range(times):
                call()

    return _seconds(many) / (times * len(calls))


def _measured_figures(rates: Mapping[str, float]) -> dict[str, Figure]:
    """Return the rates as figures."""
    how = {
        "memory_bandwidth": ("GB/s", "numpy copy, bytes read and written"),
        "gemm_rate": ("GMAC/s", "numpy float32 products of the codec's shapes"),
        "int8_mac_rate": ("GMAC/s", "numpy int32 products of int8 values, which use no BLAS"),
        "element_rate": ("Gelement/s", "numpy operations on int32 and float32 arrays"),
        "lookup_rate": ("Gelement/s", "numpy gathers, counts and divisions"),
        "call_overhead": ("us", "mean of ten numpy calls on four numbers"),
    }
    return {
        name: _figure(
            rates[name] / UNITS[unit][1],
            unit,
            f"{text}, one thread, processor time, median of {RUNS} runs",
        )
        for name, (unit, text) in how.items()
    }


def _figure(value: float, unit: str, source: str, kind: str = "measured") -> Figure:
    return Figure(float(f"{value:.4g}"), unit, kind, source, date.today())


def _read_figures(root: Path) -> dict[str, Figure]:
    """Return what the system tells of itself; what it does not tell is not there."""
    figures = {"cores": _figure(len(cpus()), "core", "CPUs that this process may use")}
    highest = root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
    clocks = _numbers(root / "proc/cpuinfo", "cpu MHz")
    khz = _first_number(highest.read_text()) if highest.exists() else 0
    if khz > 0:
        figures["clock"] = _figure(khz / 1000, "MHz", "cpuinfo_max_freq of cpu0")
    elif clocks:
        figures["clock"] = _figure(max(clocks), "MHz", "/proc/cpuinfo, cpu MHz while probing")
    memory = _numbers(root / "proc/meminfo", "MemTotal")
    if memory:
        figures["ram"] = _figure(memory[0] / 1024, "MiB", "/proc/meminfo, MemTotal")
    flags = _values(root / "proc/cpuinfo", "flags") or _values(root / "proc/cpuinfo", "Features")
    for flag, lanes in _LANES:
        if flags and flag in flags[0].split():
            source = f"float32 lanes of {flag}: one multiply-accumulate each a cycle, at least"
            figures["macs_per_cycle"] = _figure(lanes, "MAC/cycle", source, "estimated")
            break
    return figures


def _processor(root: Path) -> str:
    for key in ("model name", "Model", "Hardware"):
        found = _values(root / "proc/cpuinfo", key)
        if found:
            return found[0]
    return "unknown"


def _runtimes() -> list[Runtime]:
    found = []
    for name, package in _PACKAGES.items():
        try:
            installed = version(package)
        except PackageNotFoundError:
            continue
        found.append(Runtime(name, "measured", f"version {installed} is installed", date.today()))
    return found


def _values(path: Path, key: str) -> list[str]:
    """Return the values of lines `key : value`."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SkybookError(f"{path}: expected to be able to read it: {error.strerror}") from error
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == key and value.strip()]


def _numbers(path: Path, key: str) -> list[float]:
    """Return the first number of each value, those above 0."""
    return [number for text in _values(path, key) if (number := _first_number(text)) > 0]


def _first_number(text: str) -> float:
    """Return the first word of a text as a number; 0 if it is none."""
    try:
        return float(text.split(maxsplit=1)[0])
    except (IndexError, ValueError):
        return 0.0
