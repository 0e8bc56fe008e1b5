"""Energy: joules per megapixel of our encoder and of OpenJPEG, measured or estimated.

A measured figure comes from a meter; an estimate from a board's published power and its roofline
speed. An estimate is a range without a middle, and is never shown without that word.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any, TypeVar

from benchmarks.boards.profiles import Profile
from benchmarks.boards.roofline import Estimate
from benchmarks.boards.workload import Span
from benchmarks.codecs.jpeg2000 import Jpeg2000
from benchmarks.codecs.skybook import BundleCodec
from benchmarks.energy.meter import Energy, Meter
from benchmarks.resources.timing import RATIO, Task, seconds_interleaved
from benchmarks.resources.worker import Tasks, Worker, cpus, pin
from benchmarks.scenes import mosaic
from ground.scene import Scene
from onboard.bundle import load
from onboard.errors import BundleError, EngineError, UsageError

SIDE = 1024
ROUNDS, QUICK_ROUNDS = 3, 1
OPENJPEG = "OpenJPEG"
HERE = "this machine"
HOUR = 3600.0

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Cost:
    """Energy of a codec on a board.

    Attributes:
        codec: name of a bundle, or `OPENJPEG`.
        board: name of a profile, or `HERE`.
        joules_per_mpixel: median of the rounds; None where it is an estimate.
        lowest: lowest of the rounds; low end of the range of an estimate.
        highest: highest of the rounds; high end of the range of an estimate.
        above_idle: part of `joules_per_mpixel` that rest would not have taken; None as above.
        idle_watts: median power at rest; None as above.
        kind: `measured` or `estimated`.
        source: source of the figure.
    """

    codec: str
    board: str
    joules_per_mpixel: float | None
    lowest: float
    highest: float
    above_idle: float | None
    idle_watts: float | None
    kind: str
    source: str

    def as_figures(self) -> dict[str, Any]:
        """Return all attributes, and the same the other way round: Mpixel per W h."""
        middle = self.joules_per_mpixel
        return asdict(self) | {
            "mpixel_per_watt_hour": None if middle is None else HOUR / middle,
            "mpixel_per_watt_hour_lowest": HOUR / self.highest,
            "mpixel_per_watt_hour_highest": HOUR / self.lowest,
        }


@contextmanager
def codec_tasks(bundle: str, side: int = SIDE) -> Iterator[dict[str, Task]]:
    """Yield what encodes a mosaic once at `RATIO`, by codec: in a worker, on one CPU and thread.

    Args:
        bundle: name or path of the bundle.
        side: side of the mosaic, pixels.

    Raises:
        BundleError: no such bundle, or not of the bands of the scene.
    """
    loaded, bands = load(bundle), len(mosaic(1, 1))
    if loaded.bands != bands:
        raise BundleError(f"{loaded.name}: expected {bands} bands, found {loaded.bands}")
    with Worker("energy.measure", "codec_worker", [bundle, side]) as worker:
        yield {codec: partial(worker.run, codec) for codec in (loaded.name, OPENJPEG)}


def codec_worker(bundle: str, side: int) -> tuple[dict[str, Any], Tasks]:
    """Be the worker of `codec_tasks`; its tasks return the bytes of a stream."""
    pin(cpus()[-1])
    scene, ours = Scene(mosaic(side, side)), BundleCodec.open(bundle)
    own, other = (codec.one_pass(scene, RATIO) for codec in (ours, Jpeg2000()))
    return {}, {
        ours.name: lambda: own.encode().length,
        OPENJPEG: lambda: other.encode().length,
    }


def run_rounds(
    tasks: Mapping[str, Task],
    measure: Callable[[Task], Measured],
    seconds: float,
    rounds: int,
) -> dict[str, list[tuple[Measured, int]]]:
    """Run every task once unmeasured, then all of them in turn.

    Args:
        tasks: tasks by codec.
        measure: function that calls what it is given once, and measures that.
        seconds: seconds for which a task is repeated in each round.
        rounds: number of rounds, at least 1.

    Returns:
        by codec, for each round what `measure` gave and how often the task ran.

    Raises:
        UsageError: `seconds` or `rounds` is out of range.
    """
    if rounds < 1 or not 0 < seconds < HOUR:
        raise UsageError(
            f"rounds, seconds: expected at least 1 and 0..{HOUR:.0f}, found {rounds}, {seconds}"
        )
    found: dict[str, list[tuple[Measured, int]]] = {codec: [] for codec in tasks}
    for task in tasks.values():
        task()
    for _ in range(rounds):
        for codec, task in tasks.items():
            repeated = _Repeated(task, seconds)
            measured = measure(repeated)
            found[codec].append((measured, repeated.passes))
    return found


class _Repeated:
    """A task that runs again and again for some seconds, and counts."""

    def __init__(self, task: Task, seconds: float) -> None:
        self.passes = 0
        self._task, self._seconds = task, seconds

    def __call__(self) -> None:
        until = time.perf_counter() + self._seconds
        while not self.passes or time.perf_counter() < until:
            self._task()
            self.passes += 1


def measured_cost(codec: str, rounds: Sequence[tuple[Energy, int]], mpixel: float) -> Cost:
    """Return the cost of a codec from its rounds.

    Args:
        codec: name of the codec.
        rounds: energy and passes of each round, at least one pair, from one meter.
        mpixel: million pixels of a pass.

    Raises:
        EngineError: the meter found no energy.
    """
    joules = [energy.joules / (passes * mpixel) for energy, passes in rounds]
    if min(joules) <= 0:
        raise EngineError(f"{rounds[0][0].source}: expected energy above 0, found {min(joules)} J")
    above = [energy.above_idle / (passes * mpixel) for energy, passes in rounds]
    return Cost(
        codec,
        HERE,
        median(joules),
        min(joules),
        max(joules),
        median(above),
        median(energy.idle_watts for energy, _ in rounds),
        rounds[0][0].kind,
        rounds[0][0].source,
    )


def measure_costs(
    bundle: str, meter: Meter, rounds: int, seconds: float | None = None, side: int = SIDE
) -> list[Cost]:
    """Measure our encoder and OpenJPEG in turn, on one CPU.

    Args:
        bundle: name or path of the bundle.
        meter: meter to read.
        rounds: number of rounds, at least 1.
        seconds: seconds of each task in each round; None for as long as the meter needs.
        side: side of the mosaic, pixels.

    Raises:
        BundleError: no such bundle, or not of the bands of the scene.
        EngineError: the meter cannot be read.
    """
    length = meter.least_seconds if seconds is None else seconds
    with codec_tasks(bundle, side) as tasks:
        found = run_rounds(tasks, lambda work: meter.measure(work, length / 2), length, rounds)
    return [measured_cost(codec, rows, side**2 / 1e6) for codec, rows in found.items()]


def speed_ratio(bundle: str, runs: int = ROUNDS, side: int = SIDE) -> tuple[str, Span]:
    """Return a bundle's name, and its speed over OpenJPEG's here: a range, from paired runs."""
    with codec_tasks(bundle, side) as tasks:
        ours, theirs = seconds_interleaved(tasks, runs).values()
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return next(iter(tasks)), Span(min(ratios), max(ratios))


def estimated_costs(
    codec: str, ratio: Span, boards: Iterable[tuple[Profile, Estimate]]
) -> tuple[list[Cost], dict[str, str]]:
    """Estimate joules per megapixel of boards, all cores at work.

    Lowest: the least power at work and the highest speed; highest: the other ends.

    Args:
        codec: name of our bundle.
        ratio: its speed over that of OpenJPEG on this machine; taken to be the same on boards.
        boards: profile of each board and roofline estimate of our encoder on it.

    Returns:
        the costs, and by board the reason why there are none.
    """
    costs, reasons = [], {}
    for profile, speed in boards:
        if profile.power_range is None:
            reasons[profile.name] = "its power at work is not known"
        elif speed.all_cores is None:
            reasons[profile.name] = f"no speed without {', '.join(speed.missing)}"
        else:
            least, most = profile.power_range
            low, high = least / speed.all_cores.high, most / speed.all_cores.low
            source = (
                f"power {_power_source(profile)}; speed: roofline, "
                f"{speed.implementation} on all cores"
            )
            theirs = (
                f"that of {codec} on the same board times {ratio.low:.2f} .. {ratio.high:.2f}, "
                "its speed over OpenJPEG's on this machine"
            )
            costs += [
                _estimate(codec, profile.name, (low, high), source),
                _estimate(OPENJPEG, profile.name, (low * ratio.low, high * ratio.high), theirs),
            ]
    return costs, reasons


def _estimate(codec: str, board: str, joules: tuple[float, float], source: str) -> Cost:
    return Cost(codec, board, None, *joules, None, None, "estimated", source)


def _power_source(profile: Profile) -> str:
    """Return power, kind and source of the figures that `power_range` takes."""
    figures = (profile.figures.get(key) for key in ("active_power", "peak_power"))
    return "; ".join(f"{f} ({f.kind}: {f.source})" for f in figures if f is not None)
