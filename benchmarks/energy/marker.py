"""Marker: a load that goes on and off, so that a run is found in the trace of an external meter."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError

BARKER = (1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1)
"""Sequence that, of its length, looks least like itself when shifted. Source: R. H. Barker,
"Group synchronizing of binary digital systems", Communication Theory, 1953."""
CHIP_SECONDS = 1.0
_LOAD_SIDE = 192


@dataclass(frozen=True)
class Marker:
    """When the load was on, in seconds on the clock of the run.

    Attributes:
        begin: begin of the rest before the load.
        end: end of the rest after it.
        on: begin and end of each stretch of load; at least two.

    Raises:
        InputError: times that do not rise.
    """

    begin: float
    end: float
    on: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.on) < 2 or not np.all(np.diff(self._edges) > 0):
            raise InputError(
                f"marker: expected rising times with two loads or more, found {self._edges!r:.80}"
            )

    @property
    def _edges(self) -> list[float]:
        return [self.begin, *(edge for load in self.on for edge in load), self.end]

    @property
    def shortest(self) -> float:
        """Shortest stretch of load or rest, s."""
        return float(np.diff(self._edges).min())

    def pattern(self, step: float) -> NDArray[np.float64]:
        """Return the share of each step from `begin` on for which the load was on."""
        edges = self._edges
        lit = np.concatenate([[0.0], np.cumsum(np.diff(edges) * (np.arange(len(edges) - 1) % 2))])
        times = self.begin + step * np.arange(int((self.end - self.begin) / step) + 1)
        share: NDArray[np.float64] = np.diff(np.interp(times, edges, lit)) / step
        return share


def play_marker(now: Callable[[], float], chip: float = CHIP_SECONDS) -> Marker:
    """Keep the processor busy in the pattern of `BARKER`, between two rests.

    Args:
        now: clock of the run, s.
        chip: seconds of one element of the sequence; each rest takes two.
    """
    begin = now()
    edges: list[float] = []
    due = begin + 2 * chip
    for before, load in zip((0, *BARKER), (*BARKER, 0), strict=True):
        if load != before:
            edges.append(_wait(now, due, busy=bool(before)))
        due += chip
    end = _wait(now, due + chip, busy=False)
    return Marker(begin, end, tuple(zip(edges[::2], edges[1::2], strict=True)))


def _wait(now: Callable[[], float], due: float, *, busy: bool) -> float:
    """Work or sleep until a time; return when it was over."""
    load = np.ones((_LOAD_SIDE, _LOAD_SIDE), np.float32)
    while (left := due - now()) > 0:
        if busy:
            load @ load
        else:
            time.sleep(left)
    return now()
