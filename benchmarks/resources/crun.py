"""C runtime: the C99 encoder of a bundle, built here for this machine, in a worker of its own."""

import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import last_line, run
from benchmarks.resources.instructions import count_instructions
from benchmarks.resources.procfs import PEAK, memory_mb
from benchmarks.resources.worker import Tasks, pin
from onboard.bundle import Bundle
from onboard.errors import EngineError, SkybookError

PROGRAM, PORTABLE = "skybook-native", "skybook"
TASKS: dict[str, tuple[str, ...]] = {"encode": (), "trellis": ("--trellis",)}
"""What is done, and what the program is told for it."""
BUILD_LIMIT, RUN_LIMIT = 600, 600


def build(bundle: Bundle, folder: Path) -> Path:
    """Write the C sources of a bundle to a folder and build them for this machine.

    Raises:
        EngineError: there is no compiler, or this copy of skybook does not write C.
        BundleError: the bundle cannot be written as C.
        SkybookError: the build fails.
    """
    sources(bundle, folder)
    return make(folder)


def sources(bundle: Bundle, folder: Path) -> None:
    """Write the C sources of a bundle to a folder, where they can be built.

    Raises:
        EngineError: there is no compiler, or this copy of skybook does not write C.
        BundleError: the bundle cannot be written as C.
    """
    for tool in ("cc", "make"):
        if shutil.which(tool) is None:
            raise EngineError(f"C encoder: expected {tool} to build it, found none")
    if find_spec("export.csource") is None:
        raise EngineError("C encoder: expected export.csource to write it, found none")
    from export.csource.write import write  # noqa: PLC0415 (not needed for the other runtimes)

    write(bundle, folder)


def make(folder: Path, program: str = PROGRAM, macros: str = "") -> Path:
    """Build a program of the sources in a folder, that for this machine if not another; return it.

    Raises:
        SkybookError: the build fails.
    """
    done = run(["make", "-s", "-C", str(folder), program, f"MACROS={macros}"], BUILD_LIMIT)
    if done.returncode:
        raise SkybookError(f"C encoder: does not build: {last_line(done.stderr)}")
    return folder / program


def instructions(program: Path, image: str, ratio: float) -> dict[str, float]:
    """Return instructions a pixel of the portable build beside a program, by task, if counted."""
    portable = make(program.parent, PORTABLE)
    samples = np.load(image)
    with tempfile.TemporaryDirectory() as folder:
        given = write_bil(Path(folder) / "scene.bil", samples)
        line = _line(str(portable), given, Path(folder), samples.shape[2], ratio)
        counts = {task: count_instructions([*line, *also]) for task, also in TASKS.items()}
    pixels = samples.shape[1] * samples.shape[2]
    return {task: count / pixels for task, count in counts.items() if count is not None}


def encode_once(program: str, image: str, ratio: float) -> bytes:
    """Return the stream that a program makes of an image."""
    samples = np.load(image)
    with tempfile.TemporaryDirectory() as folder:
        given = write_bil(Path(folder) / "scene.bil", samples)
        _encode(_line(program, given, Path(folder), samples.shape[2], ratio))
        return (Path(folder) / "scene.sky").read_bytes()


def write_bil(path: Path, samples: NDArray[np.uint16]) -> str:
    """Write an image line by line; return the path."""
    path.write_bytes(np.ascontiguousarray(samples.transpose(1, 0, 2)).tobytes())
    return str(path)


def open_c(program: str, image: str, ratio: float, cpu: int) -> tuple[dict[str, Any], Tasks]:
    """Get ready to encode an image with the program; what is timed is a whole process of it.

    Args:
        program: path of the program that `build` made.
        image: path of an .npy file (bands, rows, cols) uint16.
        ratio: raw bytes over bytes, kept row of tiles by row of tiles.
        cpu: CPU to stay on.

    Returns:
        Hello: the compiler and seconds of a process that encodes eight lines. Tasks `encode` and
        `trellis`.
    """
    pin(cpu)
    samples = np.load(image)
    folder = Path(tempfile.mkdtemp(dir=Path(image).parent))
    paths = [
        write_bil(folder / "scene.bil", samples),
        write_bil(folder / "few.bil", samples[:, :8]),
    ]
    lines = [_line(program, path, folder, samples.shape[2], ratio) for path in paths]
    begun = time.perf_counter()
    _encode(lines[1])
    seconds = {"process": time.perf_counter() - begun}
    compiler = run(["cc", "--version"], RUN_LIMIT).stdout.decode(errors="replace")
    hello = {
        "version": f"cc {compiler.splitlines()[0].split()[-1]}",
        "python": "-",
        "numpy": "-",
        "seconds": seconds,
    }
    return hello, {task: partial(_encode, [*lines[0], *also]) for task, also in TASKS.items()}


def _line(program: str, given: str, folder: Path, width: int, ratio: float) -> list[str]:
    out = ["-o", str(folder / "scene.sky"), "--width", str(width), "--layout", "bil"]
    return [program, given, *out, "--ratio", str(ratio)]


def _encode(line: list[str]) -> None:
    done = run(line, RUN_LIMIT)
    if done.returncode:
        raise SkybookError(f"C encoder: exit code {done.returncode}: {done.stderr[-200:]!r}")


def measure_program(program: str, image: str, ratio: float) -> dict[str, Any]:
    """Return memory and size of the program, encoding an image from its standard input.

    Returns:
        `peak_rss_mb`, before the last line comes; `arena_bytes`, its static memory, and
        `weight_bytes`, its code with all tables. No interpreter runs, so `idle_rss_mb` is 0.
    """
    samples = np.load(image)
    lines = np.ascontiguousarray(samples.transpose(1, 0, 2)).tobytes()
    last = samples.shape[0] * samples.shape[2] * 2
    with tempfile.TemporaryDirectory() as folder:
        line = _line(program, "-", Path(folder), samples.shape[2], ratio)
        quiet = subprocess.DEVNULL
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet) as process:
            assert process.stdin
            peak = 0.0
            with suppress(BrokenPipeError):  # its exit code says why
                process.stdin.write(lines[:-last])
                process.stdin.flush()
                peak = _peak_mb(process.pid)
                process.stdin.write(lines[-last:])
                process.stdin.close()
        if process.returncode:
            raise SkybookError(f"C encoder: exit code {process.returncode}")
    text, initialised, zeroed = _sections(program)
    return {
        "idle_rss_mb": 0.0,
        "peak_rss_mb": peak,
        "peak_over_idle_mb": peak,
        "rss_over_loaded_mb": None,
        "encode_state_bytes": initialised + zeroed,
        "weight_bytes": text,
        "table_bytes": 0,
        "arena_bytes": initialised + zeroed,
    }


def _peak_mb(process: int) -> float:
    """Return the peak memory of a process so far in MiB."""
    peak = memory_mb(PEAK, process)
    if peak is None:
        raise SkybookError("C encoder: expected its peak memory in /proc, found none")
    return peak


def _sections(program: str) -> tuple[int, int, int]:
    """Return bytes of code and constants, of data and of zeroed data, as `size` tells them."""
    if shutil.which("size") is None:
        raise EngineError("C encoder: expected `size` of binutils, found none")
    words = run(["size", program], RUN_LIMIT).stdout.decode().splitlines()[1].split()
    return int(words[0]), int(words[1]), int(words[2])
