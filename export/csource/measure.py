"""Measure the C encoder: its size, and its speed against OpenJPEG."""

import os
import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np

from export.csource.build import make
from ground.products.jpeg2000 import jpeg2000_encode
from ground.scenes.procedural import procedural
from onboard.bundle import Bundle
from onboard.encoder.options import DEFAULT_RATIO
from onboard.errors import EngineError

_MOSAIC = 1024
_RUNS = 5
_LONGEST_RUN = 120


@dataclass(frozen=True)
class Footprint:
    """What the portable build takes.

    Attributes:
        code_bytes: instructions and constants.
        static_bytes: memory that is written, the command's own buffers included.
        largest_frame_bytes: stack of the function that takes the most.
        stack_bound_bytes: stack of all functions together; nothing recurses, so no path takes more.
    """

    code_bytes: int
    static_bytes: int
    largest_frame_bytes: int
    stack_bound_bytes: int


@dataclass(frozen=True)
class Speed:
    """Seconds of processor per megapixel (all bands) turned round, medians of interleaved runs.

    Attributes:
        native_mpixel_per_s: C, -O3 -march=native, reading and writing files included.
        portable_mpixel_per_s: C, -O2.
        mpixel_per_s_trellis: the native build, along a trellis.
        openjpeg_mpixel_per_s: OpenJPEG in memory, bands independent.
        speed_over_openjpeg: speed of the native build over that of OpenJPEG.
        portable_over_openjpeg: speed of the portable build over that of OpenJPEG.
        speed_over_openjpeg_trellis: that speed along a trellis.
        mpixel_per_s_lossless: the native build, within a bound of 0; None if the bundle cannot.
        lossless_over_plain: that speed over the one at a rate.
        spread: largest over smallest time of the native build.
    """

    native_mpixel_per_s: float
    portable_mpixel_per_s: float
    mpixel_per_s_trellis: float
    openjpeg_mpixel_per_s: float
    speed_over_openjpeg: float
    portable_over_openjpeg: float
    speed_over_openjpeg_trellis: float
    mpixel_per_s_lossless: float | None
    lossless_over_plain: float | None
    spread: float


def footprint(folder: Path) -> Footprint:
    """Measure the portable build.

    Raises:
        EngineError: the compiler does not tell (`size`, -fstack-usage of gcc).
    """
    frames = [int(n) for n in re.findall(r"\t(\d+)\t", make(folder, "stack"))]
    sizes = re.findall(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s", make(folder, "size"), re.MULTILINE)
    if not frames or not sizes:
        raise EngineError("C encoder: expected sizes from `make stack size`, found none")
    text, constants, static = (int(word) for word in sizes[0])
    return Footprint(text + constants, static, max(frames), sum(frames))


def speed(bundle: Bundle, folder: Path, runs: int = _RUNS, side: int = _MOSAIC) -> Speed:
    """Time the C encoder and OpenJPEG at ratio 20.48 on one processor, in turn.

    Args:
        bundle: bundle that the sources were made of.
        folder: folder of the C encoder, built.
        runs: runs of each.
        side: rows and columns of the image.
    """
    scene = procedural(1, side, side, bundle.bands, nodata=False)
    image = scene.image.astype(np.uint16)
    programs: list[tuple[str, ...]] = [("skybook-native",), ("skybook",)]
    programs += [("skybook-native", "--trellis")]
    programs += [("skybook-native", "--max-error", "0")] if bundle.bounded else []
    times: list[list[float]] = [[] for _ in (*programs, "openjpeg")]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        with tempfile.TemporaryDirectory() as name:
            raw = Path(name) / "mosaic.bil"
            raw.write_bytes(image.transpose(1, 0, 2).astype("<u2").tobytes())
            for _ in range(runs):
                for (program, *arguments), found in zip(programs, times, strict=False):
                    found.append(_timed(folder / program, raw, ["--width", str(side), *arguments]))
                begun = time.process_time()
                jpeg2000_encode(image, DEFAULT_RATIO)
                times[-1].append(time.process_time() - begun)
    finally:
        os.sched_setaffinity(0, before)
    rates = [image[0].size / 1e6 / statistics.median(found) for found in times]
    spread = max(times[0]) / min(times[0])
    native, portable, along, *lossless, openjpeg = rates
    over = native / openjpeg, portable / openjpeg, along / openjpeg
    exact = lossless[0] if lossless else None
    over_plain = exact / native if exact else None
    return Speed(native, portable, along, openjpeg, *over, exact, over_plain, spread)


def _timed(program: Path, raw: Path, arguments: list[str]) -> float:
    """Return the seconds of processor that a run takes, its start included."""
    before = getrusage(RUSAGE_CHILDREN)
    command = [str(program), str(raw), "-o", str(raw.with_suffix(".sky")), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, timeout=_LONGEST_RUN)
    if done.returncode:
        raise EngineError(f"C encoder: {done.stderr.decode(errors='replace').strip()[-300:]}")
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
