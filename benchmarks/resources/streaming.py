"""Streaming of an endless line source: memory against lines, and speed against whole scenes."""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.resources.procfs import RESIDENT, memory_mb
from benchmarks.resources.timing import (
    RATIO,
    pin_to_one_cpu,
    seconds_interleaved,
    speeds_of,
    spread_of,
)
from benchmarks.scenes import mosaic
from ground.scene import raw_bytes
from onboard.bundle import load
from onboard.bundle.scrub import Scrub
from onboard.downlink.recorder import Recorder
from onboard.encoder import Encoder, Options
from onboard.errors import SkybookError
from onboard.image.lines import LineSource
from onboard.image.rawrows import RawRows
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions

WIDTH = 2_048
PASS_LINES = 200_000
QUICK_LINES = 8_192
SPEED_LINES = 1_024
_SAMPLES = 400
WARM = 2_048
"""Lines after which the memory in use is taken as the level that must not rise."""


def measure_streaming(
    bundle: str, lines: int, width: int, runs: int, report: Callable[[int], None]
) -> dict[str, Any]:
    """Stream a pass through a pipe and watch the memory; then time streaming in this process.

    Args:
        bundle: name or path of the bundle.
        lines: lines of the pass, at least 4,096.
        width: columns of a line.
        runs: number of runs of the timing.
        report: function called with the lines sent.

    Returns:
        `lines`, `width`, `rss_mb` (pairs of lines read and MiB in use), `rss_level_mb` (the median
        of the second quarter), `rss_growth_mb` (median of the last quarter less the level),
        `peak_rss_mb`, `packets`, `bytes`, `ratio`, `pass_mpixel_per_s`, `latency_median_s`,
        `latency_max_s`; `stream_mpixel_per_s`, `scene_mpixel_per_s`, `stream_over_scene`: the
        median of pairs run side by side, with `_lowest` and `_highest`.
    """
    if lines < 2 * WARM:
        raise SkybookError(f"lines: expected at least {2 * WARM}, found {lines}")
    found = _stream_pass(bundle, lines, width, report)
    return {"width": width} | found | _compare(bundle, width, runs)


def _stream_pass(
    bundle: str, lines: int, width: int, report: Callable[[int], None]
) -> dict[str, Any]:
    """Feed a child of its own through a pipe."""
    scene = np.ascontiguousarray(mosaic(SPEED_LINES, width).transpose(1, 0, 2))
    bands = scene.shape[1]
    rss: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        form = ["--layout", "bil", "--bands", str(bands), "--width", str(width), "--plain"]
        out = ["--bundle", bundle, "-o", str(Path(folder) / "pass.pkt"), "--json", str(told)]
        command = [sys.executable, "-m", "onboard", "stream", "--input", "-", *form, *out]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.stdin
            step = max(64, lines // _SAMPLES)
            for first in range(0, lines, step):
                for line in range(first, min(first + step, lines), SPEED_LINES // 16):
                    count = min(SPEED_LINES // 16, lines - line, first + step - line)
                    places = np.arange(line, line + count) % SPEED_LINES
                    process.stdin.write(scene[places].tobytes())
                rss.append((min(first + step, lines), memory_mb(RESIDENT, process.pid) or 0.0))
                report(rss[-1][0])
            process.stdin.close()
        if process.returncode:
            raise SkybookError(f"stream: expected exit code 0, found {process.returncode}")
        result = json.loads(told.read_text())
    warm = [mb for line, mb in rss if line >= WARM]
    level = float(np.median(warm[: max(1, len(warm) // 4)]))
    return {
        "lines": lines,
        "rss_mb": rss,
        "rss_level_mb": level,
        "rss_growth_mb": float(np.median(warm[-max(1, len(warm) // 4) :])) - level,
        "peak_rss_mb": result["peak_rss_mb"],
        "packets": result["packets"],
        "bytes": result["bytes"],
        "ratio": lines * raw_bytes(scene[0]) / result["bytes"],
        "pass_mpixel_per_s": width * lines / result["seconds"] / 1e6,
        "latency_median_s": result["latency_median_s"],
        "latency_max_s": result["latency_max_s"],
    }


def _compare(bundle: str, width: int, runs: int) -> dict[str, float]:
    """Time a whole-scene encode and the same lines streamed, packets and scrub and all."""
    pin_to_one_cpu()
    image = mosaic(SPEED_LINES, width)
    encoder = Encoder(load(bundle))
    scrub = Scrub(encoder.bundle, encoder.coder)
    lines = np.ascontiguousarray(image.transpose(1, 0, 2)).tobytes()

    def scene() -> None:
        for _ in encoder.encode(image, None, Options(ratio=RATIO)):
            pass

    def stream() -> None:
        _stream_once(encoder, scrub, image, lines)

    found = seconds_interleaved({"scene": scene, "stream": stream}, runs)
    mpixel = image[0].size / 1e6
    pairs = zip(found["scene"], found["stream"], strict=True)
    over = spread_of([whole / streamed for whole, streamed in pairs])
    return {
        "stream_mpixel_per_s": speeds_of(found["stream"], mpixel)["mpixel_per_s"],
        "scene_mpixel_per_s": speeds_of(found["scene"], mpixel)["mpixel_per_s"],
        "stream_over_scene": over["median"],
        "stream_over_scene_lowest": over["lowest"],
        "stream_over_scene_highest": over["highest"],
    }


def _stream_once(encoder: Encoder, scrub: Scrub, image: NDArray[np.uint16], lines: bytes) -> None:
    bands, _, width = image.shape
    packets = PacketOptions()
    options = Options(ratio=RATIO, window="strip", packets=packets)
    header = SceneHeader("u16", 16, bands, width, 0)
    tile = encoder.for_scene(header, options.tiling).bundle.tile
    rows = RawRows("bil", "u16", "little", bands, width)
    source = LineSource(rows).strips(io.BytesIO(lines), tile)
    with tempfile.TemporaryFile() as output:
        recorder = Recorder(output, packets, scrub, options.strips_at_once)
        for strip in encoder.stream(source, header, options):
            recorder.record(strip)
        recorder.flush()
