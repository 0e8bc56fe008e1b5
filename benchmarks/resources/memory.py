"""Memory of the encoder alone, as on board: this file imports nothing of the ground."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.resources.procfs import RESIDENT, memory_mb
from onboard.bundle import load
from onboard.commands.commandline import peak_rss_mb
from onboard.encoder import Encoder, Options
from onboard.link.header import SceneHeader

_FORGET_PEAK = "5"
"""What `clear_refs` takes to begin the peak anew (Linux, proc(5))."""


def measure_memory(
    name: str, image: str, budget: int | None, engine: str | None = None
) -> dict[str, Any]:
    """Encode a strip in this process, which must have done nothing before.

    Args:
        name: name or path of a bundle.
        image: path of an .npy file; it is in memory before the engine is loaded.
        budget: most bytes of the stream, for bundles of variable rate.
        engine: engine to run it with; None takes the one that a caller gets who names none.

    Returns:
        `peak_rss_mb` of the process; `rss_over_loaded_mb`: the peak while encoding over what was
        resident when bundle, engine and image were loaded; `encode_state_bytes`: what the encoder
        says it holds for a strip of this width, None for bundles of fixed rate.
    """
    samples = np.load(image)
    encoder = Encoder(load(name), engine)
    options = Options() if budget is None else Options(budget=budget)
    loading, loaded = peak_rss_mb(), _resident_mb()
    _forget_peak()
    for _ in encoder.encode(samples, None, options):
        pass
    peak = peak_rss_mb()
    of_scene = encoder.for_scene(SceneHeader.of(samples), options.tiling)
    state = of_scene.state_bytes(samples.shape[2]) if encoder.bundle.variable_rate else None
    return {
        "peak_rss_mb": max(loading, peak),
        "rss_over_loaded_mb": max(peak - loaded, 0.0),
        "encode_state_bytes": state,
    }


def _resident_mb() -> float:
    """Return the resident memory of this process in MiB; its peak where the system has no /proc."""
    resident = memory_mb(RESIDENT)
    return peak_rss_mb() if resident is None else resident


def _forget_peak() -> None:
    """Begin the peak anew; where that is not allowed the peak of loading counts as encoding."""
    try:
        Path("/proc/self/clear_refs").write_text(_FORGET_PEAK)
    except OSError:
        return
