"""How the archive scales, for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def ground_text(found: Mapping[str, Any]) -> str:
    """Return what `ground` prints."""
    batch = found["batch"]
    lines = [
        found["machine"],
        f"{found['scenes']} scenes of 4 x {found['side']} x {found['side']}, to GeoTIFFs:",
    ]
    lines += [
        f"{workers:>3} workers: {seconds:8.1f} s, {batch['mpixel_per_s'][workers]:6.2f} Mpixel/s, "
        f"{batch[f'efficiency_{workers}']:5.2f} x one"
        for workers, seconds in batch["seconds"].items()
    ]
    return "\n".join([*lines, f"at most {batch['peak_worker_bytes'] >> 20} MiB a worker"])


def plot_ground(found: Mapping[str, Any], path: Path) -> None:
    """Plot the speed against the workers, beside what it would be without loss."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (only where a plot is wanted)

    batch = found["batch"]
    workers = [int(count) for count in batch["seconds"]]
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(workers, workers, "--", color="grey", label="no loss")
    axes.plot(workers, [batch[f"efficiency_{n}"] for n in workers], "o-", label="measured")
    axes.set(xlabel="workers", ylabel="times as fast as one", xticks=workers)
    axes.legend()
    figure.savefig(path)
