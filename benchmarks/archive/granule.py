"""A granule, encoded and decoded to a cloud-optimised GeoTIFF: memory, and what products cost."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import mirrored
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import SkybookError

SIDE, QUICK_SIDE = 10_980, 1_200
RATIO = 20.48
_PROCEDURAL = 1_220
"""Rows and columns of the procedural scene, which is mirrored."""
_TOLD = (
    "import atexit, sys; from onboard.commands.commandline import peak_rss_mb; "
    "atexit.register(lambda: print(peak_rss_mb(), file=sys.stderr)); "
)
"""What has a process tell its peak at its end: that of `wait` counts the parent's, too."""
_COMMAND = "import runpy; del sys.argv[0]; runpy.run_module(sys.argv[0], None, '__main__', True)"
_ALONE = (
    "from pathlib import Path; from ground.api.source import Choice, Source; "
    "source = Source.open([Path(sys.argv[1])], Choice(threads=int(sys.argv[2]))); "
    "source.decode()"
)
"""What decodes all of a scene to memory, with the network, as `ground decode` does."""


@dataclass(frozen=True)
class Run:
    """What a process took.

    Attributes:
        seconds: from its start to its end.
        processor: seconds of the processor, of all its threads.
        peak_mb: most memory that was resident, in units of 10^6 bytes.
    """

    seconds: float
    processor: float
    peak_mb: float


def timed(code: str, *arguments: str) -> Run:
    """Run Python code with some arguments to its end.

    Raises:
        SkybookError: it fails.
    """
    begun = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", _TOLD + code, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    *words, peak = said.decode(errors="replace").strip().splitlines() or ["no message"]
    if process.returncode:
        raise SkybookError(f"{' '.join(arguments[:2])}: {[*words, peak][-2:][0]}")
    return Run(seconds, used.ru_utime + used.ru_stime, float(peak) * (1 << 20) / 1e6)


def measure_granule(
    side: int, runs: int, threads: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Encode and decode a real and a procedural scene, mirrored to a granule of four bands.

    Args:
        side: rows and columns.
        runs: times that each is decoded, alone and to products in turn; medians count.
        threads: of decoding.
        folder: for the files.
        say: called with what is done.

    Returns:
        `rss_mb`: most memory of any encode or decode; `products_over_decode`: speed of decoding to
        products over that of decoding to memory, the lower of the two scenes;
        `products_over_decode_cpu`: the same by seconds of the processor.
    """
    scenes: dict[str, Callable[[], NDArray[Any]]] = {
        "real": lambda: spyndex_scene().image,
        "procedural": lambda: procedural(3, _PROCEDURAL, _PROCEDURAL, nodata=False).image,
    }
    found = {}
    for name, made in scenes.items():
        say(f"granule, {name}: making it")
        image = folder / f"{name}.npy"
        np.save(image, mirrored(made().astype(np.uint16), side))
        found[name] = _measured(image, runs, threads, say)
        image.unlink()
    every = found.values()
    return {
        "side": side,
        "rss_mb": max(max(one["encode_rss_mb"], one["decode_rss_mb"]) for one in every),
        "products_over_decode": min(one["products_over_decode"] for one in every),
        "products_over_decode_cpu": min(one["products_over_decode_cpu"] for one in every),
        "scenes": found,
    }


def _measured(image: Path, runs: int, threads: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure one scene."""
    stream, product = image.with_suffix(".sky"), image.with_suffix(".tif")
    say(f"granule, {image.stem}: encoding")
    rate = ["--bundle", "skybook", "--plain", "--ratio", str(RATIO)]
    encode = timed(_COMMAND, "onboard", "encode", str(image), *rate, "-o", str(stream))
    decode = ["ground", "decode", str(stream), "-o", str(product), "--threads", str(threads)]
    alone: list[Run] = []
    products: list[Run] = []
    for number in range(runs):
        say(f"granule, {image.stem}: decoding, {number + 1} of {runs}")
        alone.append(timed(_ALONE, str(stream), str(threads)))
        products.append(timed(_COMMAND, *decode))
    pairs = list(zip(alone, products, strict=True))
    found = {
        "stream_bytes": stream.stat().st_size,
        "product_bytes": product.stat().st_size,
        "encode_s": encode.seconds,
        "encode_rss_mb": encode.peak_mb,
        "decode_rss_mb": max(run.peak_mb for run in products),
        "decode_alone_s": median(run.seconds for run in alone),
        "decode_s": median(run.seconds for run in products),
        "decode_alone_cpu_s": median(run.processor for run in alone),
        "decode_cpu_s": median(run.processor for run in products),
        "products_over_decode": median(one.seconds / other.seconds for one, other in pairs),
        "products_over_decode_cpu": median(one.processor / other.processor for one, other in pairs),
    }
    for path in image.parent.glob(f"{image.stem}.*"):
        if path != image:
            path.unlink()
    return found
