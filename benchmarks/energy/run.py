"""Energy run: the times of a run whose power an external meter records meanwhile."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.energy.marker import CHIP_SECONDS, Marker, play_marker
from benchmarks.energy.measure import SIDE, Cost, codec_tasks, measured_cost, run_rounds
from benchmarks.energy.meter import Energy
from benchmarks.energy.trace import Trace, align
from benchmarks.files import read_limited
from onboard.errors import InputError
from onboard.outputs import open_output

SECONDS = 10.0
MAX_BYTES = 1 << 20
MAX_PASSES = 1 << 32
_EDGE = 0.2
"""Share of a rest left out at each end: the meter averages, and the alignment is a sample off."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Round:
    """A codec at work for a while, between two rests; times in s on the clock of the run."""

    codec: str
    passes: int
    before: Interval
    work: Interval
    after: Interval


@dataclass(frozen=True)
class EnergyRun:
    """A run.

    Attributes:
        mpixel: million pixels of a pass.
        marker: marker at its beginning.
        rounds: rounds of all codecs.
    """

    mpixel: float
    marker: Marker
    rounds: tuple[Round, ...]

    def save(self, path: Path) -> None:
        """Write JSON.

        Raises:
            UsageError: the file cannot be written.
        """
        with open_output(path) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")


def record_run(
    bundle: str,
    rounds: int,
    seconds: float = SECONDS,
    side: int = SIDE,
    chip: float = CHIP_SECONDS,
) -> EnergyRun:
    """Play the marker, then let our encoder and OpenJPEG work in turn, on one CPU.

    Args:
        bundle: name or path of the bundle.
        rounds: number of rounds, at least 1.
        seconds: seconds of each codec in each round; a rest takes half of it.
        side: side of the mosaic, pixels.
        chip: seconds of the marker's shortest load.

    Raises:
        BundleError: no such bundle, or not of the bands of the scene.
    """
    zero = time.perf_counter()

    def now() -> float:
        return time.perf_counter() - zero

    def rest() -> Interval:
        begin = now()
        time.sleep(seconds / 2)
        edge = _EDGE * seconds / 2
        return begin + edge, now() - edge

    def measure(work: Callable[[], object]) -> tuple[Interval, Interval, Interval]:
        before, begin = rest(), now()
        work()
        return before, (begin, now()), rest()

    with codec_tasks(bundle, side) as tasks:
        marker = play_marker(now, chip)
        found = run_rounds(tasks, measure, seconds, rounds)
    listed = [Round(codec, n, *times) for codec, rows in found.items() for times, n in rows]
    return EnergyRun(side**2 / 1e6, marker, tuple(listed))


def load_run(path: Path) -> EnergyRun:
    """Read what `EnergyRun.save` wrote.

    Raises:
        UsageError: there is no such file.
        InputError: it is damaged.
        LimitError: it is longer than `MAX_BYTES`.
    """
    packed = read_limited(path, MAX_BYTES, "a recorded run")
    try:
        return _run(json.loads(packed))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected a recorded run: {error!r:.100}") from error


def _run(document: Any) -> EnergyRun:
    """Check a run; raises ValueError, TypeError, KeyError or AttributeError."""
    marker = document["marker"]
    loads = tuple(_interval(load) for load in marker["on"])
    rounds = tuple(
        Round(
            _name(entry["codec"]),
            _count(entry["passes"]),
            *(_interval(entry[key]) for key in ("before", "work", "after")),
        )
        for entry in document["rounds"]
    )
    if not rounds:
        raise ValueError("expected at least one round")
    return EnergyRun(
        _number(document["mpixel"], 1e-6),
        Marker(*_interval([marker["begin"], marker["end"]]), loads),
        rounds,
    )


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a name, found {value!r:.40}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_PASSES:
        raise ValueError(f"expected 1..{MAX_PASSES}, found {value!r:.40}")
    return value


def _number(value: Any, least: float) -> float:
    if type(value) not in (int, float) or not least <= value <= 1e9:
        raise ValueError(f"expected a number of {least}..1e9, found {value!r:.40}")
    return float(value)


def _interval(value: Any) -> Interval:
    begin, end = (_number(edge, 0) for edge in value)
    if not begin < end:
        raise ValueError(f"expected an end after {begin}, found {end}")
    return begin, end


def run_costs(run: EnergyRun, trace: Trace) -> list[Cost]:
    """Return the cost of each codec of a run, from the trace of an external meter.

    Raises:
        InputError: the marker is not found, or the trace does not cover the run.
        EngineError: the meter found no energy.
    """
    found = align(trace, run.marker)

    def joules(interval: Interval) -> float:
        return trace.joules(interval[0] + found.offset, interval[1] + found.offset)

    source = (
        f"external meter, {trace.name}: {found.offset:+.3f} s from our clock, "
        f"correlation of the marker {found.correlation:.2f}"
    )
    rows: dict[str, list[tuple[Energy, int]]] = {}
    for one in run.rounds:
        rests = (one.before, one.after)
        idle = sum(map(joules, rests)) / sum(end - begin for begin, end in rests)
        length = one.work[1] - one.work[0]
        energy = Energy(joules(one.work), length, idle, "measured", source)
        rows.setdefault(one.codec, []).append((energy, one.passes))
    return [measured_cost(codec, rounds, run.mpixel) for codec, rounds in rows.items()]
