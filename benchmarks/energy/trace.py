"""Power trace: what an external meter recorded, and where in it a run of ours lies.

The meter has its own clock. Each run begins with a marker, a load that goes on and off in a pattern
that looks like no other stretch of it; the marker is found in the trace by correlation.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.energy.marker import Marker
from benchmarks.files import read_limited
from onboard.errors import InputError, LimitError

MAX_BYTES = 1 << 27
MAX_SAMPLES = 1 << 22
LEAST_CORRELATION = 0.7
"""At 0.7 the marker makes half the variance of the power, as much as all else together."""
_CLEARLY = 0.9
_HOLE = 10
_HUGE = 1e12

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """Power over time.

    Attributes:
        seconds: times, float64 (samples,), rising, on any clock.
        watts: power at these times, float64 (samples,).
        name: name of the file.
    """

    seconds: Array
    watts: Array
    name: str

    @property
    def step(self) -> float:
        """Median time between samples, s."""
        return float(np.median(np.diff(self.seconds)))

    def joules(self, begin: float, end: float) -> float:
        """Integrate the power by the trapezoid rule.

        Raises:
            InputError: the trace does not cover this time, or has a hole in it.
        """
        first, last = self.seconds[0], self.seconds[-1]
        if not first <= begin < end <= last:
            raise InputError(
                f"{self.name}: expected samples from {begin:.3f} to {end:.3f} s, "
                f"found {first:.3f} to {last:.3f} s"
            )
        inside = (self.seconds > begin) & (self.seconds < end)
        times = np.concatenate([[begin], self.seconds[inside], [end]])
        if (hole := float(np.diff(times).max())) > _HOLE * self.step:
            raise InputError(
                f"{self.name}: expected a sample every {self.step:.3g} s from {begin:.3f} to "
                f"{end:.3f} s, found a hole of {hole:.3g} s"
            )
        watts = np.interp(times, self.seconds, self.watts)
        return float(np.sum(np.diff(times) * (watts[1:] + watts[:-1]) / 2))


def read_trace(path: Path) -> Trace:
    """Read a CSV file whose header names at least the columns `time` (s) and `watts`.

    Raises:
        UsageError: there is no such file.
        InputError: it is damaged.
        LimitError: it is longer than `MAX_BYTES` or has more than `MAX_SAMPLES` samples.
    """
    packed = read_limited(path, MAX_BYTES, "a trace")
    try:
        text = packed.decode("utf-8-sig")
        rows = _rows(path, text)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected CSV in UTF-8: {error}") from error
    if len(rows) < 2:
        raise InputError(f"{path}: expected at least 2 samples, found {len(rows)}")
    seconds, watts = np.array(rows, np.float64).T
    wrong = np.flatnonzero(np.diff(seconds) <= 0)
    if wrong.size:
        raise InputError(
            f"{path}: expected times that rise, found {seconds[wrong[0] + 1]:.6f} s "
            f"after {seconds[wrong[0]]:.6f} s"
        )
    return Trace(seconds, watts, path.name)


def _rows(path: Path, text: str) -> list[tuple[float, float]]:
    """Return time and power of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip().lower() for name in next(reader, [])]
    if "time" not in header or "watts" not in header:
        raise InputError(f"{path}: expected columns time and watts, found {header!r:.60}")
    time, watts = header.index("time"), header.index("watts")
    rows: list[tuple[float, float]] = []
    for row in filter(None, reader):
        if len(rows) == MAX_SAMPLES:
            raise LimitError(f"{path}: expected at most {MAX_SAMPLES} samples")
        try:
            sample = float(row[time]), float(row[watts])
        except (ValueError, IndexError) as error:
            raise _bad_row(path, reader.line_num, row) from error
        if not all(abs(value) < _HUGE for value in sample):
            raise _bad_row(path, reader.line_num, row)
        rows.append(sample)
    return rows


def _bad_row(path: Path, line: int, row: list[str]) -> InputError:
    return InputError(f"{path}: line {line}: expected time and watts, found {','.join(row)!r:.60}")


@dataclass(frozen=True)
class Alignment:
    """Where a run lies in a trace: a time of the run plus `offset` is a time of the trace, s."""

    offset: float
    correlation: float


def align(trace: Trace, marker: Marker) -> Alignment:
    """Find the marker in a trace.

    The trace is resampled at its median step and correlated (Pearson) with the share of each step
    for which the load was on.

    Raises:
        InputError: the trace is shorter than the marker, too coarse for it, or nothing in it looks
            enough like the marker, or more than one stretch does.
        LimitError: one step and the whole length of the trace do not fit together.
    """
    step, span = trace.step, float(trace.seconds[-1] - trace.seconds[0])
    if 2 * step > marker.shortest:
        raise InputError(
            f"{trace.name}: expected a sample at least every {marker.shortest / 2:.3g} s, "
            f"found one every {step:.3g} s"
        )
    if span > step * MAX_SAMPLES:
        raise LimitError(f"{trace.name}: expected at most {MAX_SAMPLES} steps of {step:.3g} s")
    if span < (length := marker.end - marker.begin):
        raise InputError(
            f"{trace.name}: expected the {length:.3g} s of the marker, found {span:.3g} s"
        )
    grid = trace.seconds[0] + step * np.arange(int(span / step) + 1)
    pattern = marker.pattern(step)
    likeness = _correlate(np.interp(grid, trace.seconds, trace.watts), pattern)
    best = int(np.argmax(likeness))
    _check_likeness(trace, likeness, best, int(marker.shortest / step))
    offset = float(grid[best]) - step / 2 - marker.begin
    return Alignment(offset, float(likeness[best]))


def _correlate(watts: Array, pattern: Array) -> Array:
    """Return Pearson's coefficient of the pattern with every stretch of the same length."""
    count, size = len(pattern), len(watts) + len(pattern) - 1
    centred, pattern = watts - watts.mean(), pattern - pattern.mean()
    spectrum = np.fft.rfft(centred, size) * np.fft.rfft(pattern[::-1], size)
    products = np.fft.irfft(spectrum, size)[count - 1 : len(watts)]
    sums, squares = _moving_sum(centred, count), _moving_sum(centred**2, count)
    spread = np.maximum(squares - sums**2 / count, 0) * np.sum(pattern**2)
    flat = spread <= 1e-12 * spread.max()
    likeness: Array = np.where(flat, 0.0, products / np.sqrt(np.where(flat, 1.0, spread)))
    return likeness


def _moving_sum(values: Array, count: int) -> Array:
    """Return the sum of every `count` values in a row."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    sums: Array = total[count:] - total[:-count]
    return sums


def _check_likeness(trace: Trace, likeness: Array, best: int, near: int) -> None:
    """Refuse a weak peak, and one that another stretch comes near to."""
    peak = float(likeness[best])
    if peak < LEAST_CORRELATION:
        raise InputError(
            f"{trace.name}: expected the marker with a correlation of at least "
            f"{LEAST_CORRELATION}, found {peak:.2f} at best"
        )
    others = np.concatenate([likeness[: max(best - near, 0)], likeness[best + near + 1 :]])
    if others.size and float(others.max()) > _CLEARLY * peak:
        raise InputError(
            f"{trace.name}: expected the marker once, found correlations of {peak:.2f} and "
            f"{float(others.max()):.2f}"
        )
