"""Power meter: what all meters share, whatever they read."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Protocol


@dataclass(frozen=True)
class Energy:
    """What some work took.

    Attributes:
        joules: energy in all.
        seconds: time that the work took.
        idle_watts: mean power of doing nothing, before and after the work.
        kind: `measured`; an estimate is no `Energy`.
        source: source of the figure: meter and what it covers.
    """

    joules: float
    seconds: float
    idle_watts: float
    kind: str
    source: str

    @property
    def above_idle(self) -> float:
        """Joules that would not have been used at rest."""
        return self.joules - self.idle_watts * self.seconds


class Tally(Protocol):
    """Energy since it was made."""

    joules: float
    seconds: float

    def add(self) -> None:
        """Read the meter and add what was used since the last reading."""


@dataclass(frozen=True)
class Meter:
    """A power meter.

    Attributes:
        name: `rapl`, `hwmon` or `battery`.
        source: what it reads and covers.
        interval: seconds between readings.
        least_seconds: seconds that work must last, as the meter is slow.
        begin: function that takes a first reading.
    """

    name: str
    source: str
    interval: float
    least_seconds: float
    begin: Callable[[], Tally]

    def measure(self, work: Callable[[], object], idle_seconds: float) -> Energy:
        """Measure rest, work, and rest again.

        Raises:
            EngineError: the meter cannot be read, or not any more.
        """
        before = self._tally(lambda: time.sleep(idle_seconds))
        used = self._tally(work)
        after = self._tally(lambda: time.sleep(idle_seconds))
        idle = (before.joules + after.joules) / (before.seconds + after.seconds)
        return Energy(used.joules, used.seconds, idle, "measured", self.source)

    def _tally(self, work: Callable[[], object]) -> Tally:
        """Do work while a thread reads the meter."""
        tally, done = self.begin(), Event()

        def poll() -> None:
            while not done.wait(self.interval):
                tally.add()

        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(poll)
            try:
                work()
            finally:
                done.set()
        reading.result()
        tally.add()
        return tally


class PowerTally:
    """Integrates power by the trapezoid rule."""

    def __init__(self, read: Callable[[], float]) -> None:
        self.joules = self.seconds = 0.0
        self._read = read
        self._watts, self._time = read(), time.perf_counter()

    def add(self) -> None:
        watts, now = self._read(), time.perf_counter()
        self.joules += (watts + self._watts) / 2 * (now - self._time)
        self.seconds += now - self._time
        self._watts, self._time = watts, now
