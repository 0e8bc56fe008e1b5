"""Measure: CPU seconds and bytes that parts of a scene take, how far overviews are off its mean."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import onboard
from benchmarks.machine import machine
from benchmarks.scenes import mirrored
from ground.api.source import Choice, Source
from ground.api.windows import Windows
from ground.decode.lapped.overview import STEPS, averaged
from ground.scene import Scene
from onboard.errors import UsageError

RATIO = 20.48
WINDOW = 512
_LOOKED_AT = 1024
"""Pixels of a side of the corner in which overviews are compared with the whole image."""


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        side: rows and columns of the scene.
        runs: times that each thing is done; the fastest counts.
    """

    side: int
    runs: int


FULL, QUICK = Scale(10_980, 3), Scale(1_200, 1)


def measure(
    scene: Scene, scale: Scale, folder: Path, say: Callable[[str], None] = lambda _what: None
) -> dict[str, Any]:
    """Encode a scene mirrored to some size, index it, and decode parts of it.

    Args:
        scene: scene to mirror.
        scale: how much is measured.
        folder: where the recording and its index are written.
        say: called with what is done.

    Raises:
        UsageError: the side is smaller than the window.
    """
    if scale.side < WINDOW:
        raise UsageError(f"side: expected {WINDOW} or more, found {scale.side}")
    say(f"encoding {scale.side} x {scale.side}")
    path = folder / "scene.sky"
    image = mirrored(scene.image, scale.side)
    path.write_bytes(onboard.encode(image, ratio=RATIO, trellis=False))
    say("indexing")
    began = time.process_time()
    _opened(path, keep_index=True)
    indexed = time.process_time() - began
    decode: dict[str, Any] = {"index": {"s": indexed}}
    say("window")
    decode["window"] = _fastest(path, _window, scale, linear=False)
    decode["window_fast"] = _fastest(path, _window, scale, linear=True)
    side = min(_LOOKED_AT, scale.side)
    corner, _ = _opened(path).read(np.arange(side), np.arange(side))
    for step in STEPS:
        say(f"overview 1/{step}")
        found = _fastest(path, partial(_overview, step), scale, linear=True)
        overview = found.pop("part")
        wanted = averaged(corner.astype(np.float32), step)
        rows, cols = side // step, side // step  # whole squares
        away = overview.image[:, :rows, :cols] - wanted[:, :rows, :cols]
        rmse = float(np.sqrt(np.mean(away**2)))
        decode[f"overview{step}"] = {**found, "layers": overview.layers, "rmse_dn": rmse}
    for name in ("window", "window_fast"):
        del decode[name]["part"]
    return {
        "machine": machine(),
        "side": scale.side,
        "bands": len(scene.image),
        "bytes": path.stat().st_size,
        "deviation_dn": float(corner.std()),
        "decode": decode,
    }


def _opened(path: Path, linear: bool = True, keep_index: bool = False) -> Windows:
    windows = Windows.of(Source.open([path], Choice(linear=linear), keep_index))
    if windows is None:
        raise UsageError(f"{path}: expected a scene with a header")
    return windows


def _overview(step: int, windows: Windows) -> Any:
    return windows.overview(step)


def _window(windows: Windows) -> Any:
    """Read a window from the middle of a scene."""
    first = (windows.grid.height - WINDOW) // 2
    side = np.arange(first, first + WINDOW)
    return windows.read(side, side)


def _fastest(
    path: Path, part: Callable[[Windows], Any], scale: Scale, linear: bool
) -> dict[str, Any]:
    """Return CPU seconds, share of the bytes and the part itself."""
    seconds, found, windows = [], None, _opened(path, linear)
    for _ in range(scale.runs):
        windows = _opened(path, linear)
        began = time.process_time()
        found = part(windows)
        seconds.append(time.process_time() - began)
    share = windows.source.bytes_read / windows.source.size
    return {"s": min(seconds), "bytes_share": share, "part": found}


def text_of(found: Mapping[str, Any]) -> str:
    """Return a table of what was measured."""
    decode = found["decode"]
    lines = [
        f"{found['machine']}",
        f"{found['bands']} x {found['side']} x {found['side']}, {found['bytes']} bytes; indexed in "
        f"{decode['index']['s']:.2f} s; samples deviate by {found['deviation_dn']:.0f} DN",
        "part            CPU s   bytes   layers   off the mean",
    ]
    for name, own in decode.items():
        if name == "index":
            continue
        rest = f"{own['layers']!s:>6} {own['rmse_dn']:9.1f} DN" if "layers" in own else ""
        lines.append(f"{name:<14}{own['s']:7.2f} {100 * own['bytes_share']:6.1f} %  {rest}")
    return "\n".join(lines)
