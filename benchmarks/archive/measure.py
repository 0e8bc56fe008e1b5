"""An archive of procedural scenes, decoded by one, two and more workers."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onboard
from ground.batch.cluster import connected, run
from ground.batch.jobs import Plan, jobs_of
from ground.scenes.procedural import procedural
from onboard.errors import StreamError

RATIO = 20.0


def measure_batch(
    workers: Sequence[int],
    scenes: int,
    side: int,
    progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Decode scenes to GeoTIFFs with so many workers each time; starting them is not counted.

    Args:
        workers: counts of processes; the first is what the others are compared with.
        scenes: scenes of four bands.
        side: rows and columns of each.
        progress: function that is called with what is under way.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "passes").mkdir()
        for seed in range(scenes):
            progress(f"encoding scene {seed}")
            image = procedural(seed, side, side, nodata=False).image
            stream = onboard.encode(image, ratio=RATIO, scene_id=seed, trellis=False)
            (folder / "passes" / f"{seed:03}.sky").write_bytes(stream)
        runs = {}
        for count in workers:
            progress(f"decoding {scenes} scenes with {count} workers")
            runs[count] = _run(folder, count)
    alone = runs[workers[0]]["seconds"] * workers[0]
    efficiency = {f"efficiency_{count}": alone / found["seconds"] for count, found in runs.items()}
    pixels = scenes * side * side
    return {
        "scenes": scenes,
        "side": side,
        **efficiency,
        "seconds": {str(count): found["seconds"] for count, found in runs.items()},
        "mpixel_per_s": {str(n): pixels / 1e6 / found["seconds"] for n, found in runs.items()},
        "peak_worker_bytes": max(found["peak"] for found in runs.values()),
    }


def _run(folder: Path, workers: int) -> dict[str, float]:
    """Decode all of an archive, once each worker has done a scene to get warm."""
    warm, plan = Plan(folder / f"warm-{workers}"), Plan(folder / f"products-{workers}")
    jobs = jobs_of(folder / "passes", plan)
    with connected(None, workers) as client:
        run(client, jobs[: 2 * workers], warm, {}, lambda _outcome: None)
        begun = time.perf_counter()
        outcomes = run(client, jobs, plan, {}, lambda _outcome: None)
        seconds = time.perf_counter() - begun
    for outcome in outcomes:
        if outcome.reasons:
            raise StreamError(f"{outcome.name}: {'; '.join(outcome.reasons)}")
    return {"seconds": seconds, "peak": max(outcome.peak_bytes for outcome in outcomes)}
