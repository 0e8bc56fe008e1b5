"""An archive of procedural scenes, decoded by one, two and more workers."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import onboard
from ground.batch.cluster import connected, run
from ground.batch.jobs import Plan, jobs_of
from ground.scenes.procedural import procedural
from onboard.errors import StreamError

RATIO = 20.0


class _Run(NamedTuple):
    """What an archive took: seconds, mean seconds of a scene, most bytes of a worker."""

    seconds: float
    scene: float
    peak: int


def measure_batch(
    workers: Sequence[int],
    scenes: int,
    side: int,
    runs: int = 1,
    progress: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Decode scenes to GeoTIFFs with so many workers each time; starting them is not counted.

    Args:
        workers: counts of processes; the first is what the others are compared with.
        scenes: scenes of four bands.
        side: rows and columns of each.
        runs: times that it is done with each count, in turn; medians count.
        progress: function that is called with what is under way.

    Returns:
        `efficiency_N`: speed of N workers over that of one; `scene_N`: seconds that a scene takes
        a worker beside the others, over those of one alone, which is what the machine itself costs.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "passes").mkdir()
        for seed in range(scenes):
            progress(f"encoding scene {seed}")
            image = procedural(seed, side, side, nodata=False).image
            stream = onboard.encode(image, ratio=RATIO, scene_id=seed, trellis=False)
            (folder / "passes" / f"{seed:03}.sky").write_bytes(stream)
        found: dict[int, list[_Run]] = {count: [] for count in workers}
        for number in range(runs):
            for count in workers:
                progress(f"decoding {scenes} scenes with {count} workers, {number + 1} of {runs}")
                found[count].append(_run(folder / f"{count}-{number}", folder / "passes", count))
    seconds = {str(n): median(run.seconds for run in made) for n, made in found.items()}
    return {
        "scenes": scenes,
        "side": side,
        "runs": runs,
        **_over_first(found),
        "seconds": seconds,
        "mpixel_per_s": {n: scenes * side * side / 1e6 / took for n, took in seconds.items()},
        "peak_worker_bytes": max(run.peak for made in found.values() for run in made),
    }


def _over_first(found: Mapping[int, Sequence[_Run]]) -> dict[str, float | list[float]]:
    """Return medians, and values, of what runs are over those with the first count beside them."""
    least, first = next(iter(found.items()))
    over: dict[str, float | list[float]] = {}
    for count, made in found.items():
        pairs = [*zip(first, made, strict=True)]
        speeds = [least * one.seconds / other.seconds for one, other in pairs]
        over |= {
            f"efficiency_{count}": median(speeds),
            f"efficiency_{count}_runs": speeds,
            f"scene_{count}": median(other.scene / one.scene for one, other in pairs),
        }
    return over


def _run(folder: Path, passes: Path, workers: int) -> _Run:
    """Decode all of an archive, once each worker has done a scene to get warm."""
    warm, plan = Plan(folder / "warm"), Plan(folder / "products")
    jobs = jobs_of(passes, plan)
    with connected(None, workers) as client:
        run(client, jobs[: 2 * workers], warm, {}, lambda _outcome: None)
        begun = time.perf_counter()
        outcomes = run(client, jobs, plan, {}, lambda _outcome: None)
        seconds = time.perf_counter() - begun
    rmtree(folder)
    for outcome in outcomes:
        if outcome.reasons:
            raise StreamError(f"{outcome.name}: {'; '.join(outcome.reasons)}")
    peak = max(outcome.peak_bytes for outcome in outcomes)
    return _Run(seconds, fmean(outcome.seconds for outcome in outcomes), peak)
