"""Scales: from the samples of a band of a tile to values from 0 on, and back (SPEC.md, section 20).

A scale leaves out samples that do not occur, or puts samples together that need not be told apart.
Values are what is predicted and coded, within a bound of their own.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bound import Bound

Ints = NDArray[np.int64]
LARGEST_SAMPLE = 65_535


class Scale(Protocol):
    """Values of the samples of a band of a tile."""

    @property
    def least(self) -> int:
        """Least sample; all but `Cells` have value 0 for it alone."""

    @property
    def most(self) -> int:
        """Largest value."""

    @property
    def bound(self) -> int:
        """By how much values may be off."""

    def values(self, samples: Ints) -> Ints:
        """Return the values of samples that the scale was made for."""

    def samples(self, values: Ints) -> Ints:
        """Return the samples that values 0..most stand for."""


@dataclass(frozen=True)
class Steps:
    """Every so many-th sample has a value; what is between does not occur."""

    least: int
    most: int
    bound: int
    step: int = 1

    def values(self, samples: Ints) -> Ints:
        return (samples - self.least) // self.step

    def samples(self, values: Ints) -> Ints:
        return values * self.step + self.least


@dataclass(frozen=True)
class Hole:
    """All samples but one, that stands for nodata."""

    least: int
    most: int
    bound: int
    nodata: int

    def values(self, samples: Ints) -> Ints:
        return samples - self.least - (samples > self.nodata)

    def samples(self, values: Ints) -> Ints:
        found = values + self.least
        return found + (found >= self.nodata)


STRETCH = 64
"""Samples of a stretch."""
STEPS = (4, 3, 2, 1)


def _patterns() -> NDArray[np.bool_]:
    """Return which samples of a stretch each pattern has: none, each 4th, each 3rd, 2nd, all."""
    found = [np.zeros(STRETCH, np.bool_)]
    found += [np.arange(STRETCH) % step == first for step in STEPS for first in range(step)]
    return np.stack(found)


PATTERNS = _patterns()
_STEP_OF = np.array([0, *(step for step in STEPS for _ in range(step))])
_SAVED = np.array([0, 0, 256, 406, 512])
"""Bits that a sample saves in a stretch of each step, in 1/256."""
_HEAD_BITS, _PATTERN_BITS, _MOST_BITS = 64, 6, 400


@dataclass(frozen=True)
class Stretches:
    """Samples that may occur, by stretches of 64, of which each has a step and a place to begin.

    Attributes:
        least: sample that the first stretch begins with.
        patterns: number of each stretch's pattern, see `PATTERNS`.
    """

    least: int
    patterns: tuple[int, ...]
    bound: int = 0

    @property
    def most(self) -> int:
        return len(self.found) - 1

    @cached_property
    def found(self) -> Ints:
        """The samples, rising."""
        return np.flatnonzero(PATTERNS[list(self.patterns)]) + self.least

    def values(self, samples: Ints) -> Ints:
        return np.searchsorted(self.found, samples).astype(np.int64)

    def samples(self, values: Ints) -> Ints:
        return self.found[values]


@dataclass(frozen=True)
class Cells:
    """Samples in cells, that are as wide as a bound that follows the root of samples allows.

    Attributes:
        root: factor of the root, in 1/256.
        nodata: sample that has a cell for itself; None if there is none.
        least: sample in the first cell.
    """

    root: int
    nodata: int | None
    least: int
    most: int
    bound: int = 0

    @classmethod
    def of(cls, root: int, nodata: int | None, least: int, largest: int) -> "Cells":
        """Return the cells of samples from one to another."""
        first, last = cells(root, nodata).number(np.array([least, largest])).tolist()
        return cls(root, nodata, least, last - first)

    @property
    def _first(self) -> int:
        return int(cells(self.root, self.nodata).number(np.array([self.least]))[0])

    def values(self, samples: Ints) -> Ints:
        return cells(self.root, self.nodata).number(samples) - self._first

    def samples(self, values: Ints) -> Ints:
        return cells(self.root, self.nodata).samples(values + self._first)

    def spans(self, values: Ints) -> tuple[Ints, Ints]:
        """Return the first and the last samples of the cells of values."""
        return cells(self.root, self.nodata).spans(values + self._first)


class CellTable(NamedTuple):
    """All cells from 0 on; samples below are cells of one, numbered as they are.

    Attributes:
        begins: sample that each cell begins with.
        centres: sample that each stands for.
        ends: sample that each ends with.
    """

    begins: Ints
    centres: Ints
    ends: Ints

    def number(self, samples: Ints) -> Ints:
        """Return the numbers of the cells of samples."""
        found = np.searchsorted(self.begins, samples, side="right").astype(np.int64) - 1
        return np.where(samples < 0, samples, found)

    def samples(self, numbers: Ints) -> Ints:
        """Return what cells stand for."""
        found = self.centres[np.clip(numbers, 0, len(self.centres) - 1)]
        return np.where(numbers < 0, numbers, found)

    def spans(self, numbers: Ints) -> tuple[Ints, Ints]:
        """Return the first and the last samples of cells."""
        places = np.clip(numbers, 0, len(self.ends) - 1)
        first, last = self.begins[places], self.ends[places]
        return np.where(numbers < 0, numbers, first), np.where(numbers < 0, numbers, last)


@lru_cache(maxsize=8)
def cells(root: int, nodata: int | None) -> CellTable:
    """Return all cells."""
    halves = Bound(root=root).at(np.arange(LARGEST_SAMPLE + 1)).tolist()
    found, first = [], 0
    while first <= LARGEST_SAMPLE:
        half = halves[first]
        last = first + 2 * half
        if nodata is not None and first <= nodata <= last and half:
            last = max(nodata - 1, first)  # nodata has a cell for itself
        last = min(last, LARGEST_SAMPLE)
        found.append((first, (first + last) // 2, last))
        first = last + 1
    table = np.array(found, np.int64)
    return CellTable(*table.T)


def choose(samples: Ints, bound: int, root: int, nodata: int | None, lean: bool = False) -> Scale:
    """Return the scale of the samples of a band of a tile, of those that are coded.

    Args:
        samples: at least one.
        bound: by how much they may be off, DN.
        root: factor of the root of a sample, which bounds it instead, in 1/256; 0 if not.
        nodata: sample that stands for nodata, which none else may become.
        lean: whether the scale is to take few bits.
    """
    least, largest = int(samples.min()), int(samples.max())
    if least == largest:
        return Steps(least, 0, 0)
    if root:
        found = Cells.of(root, nodata, least, largest)
        # Of one cell the sample that stands for all is no farther off between those that occur.
        centre = int(found.samples(np.zeros(1, np.int64))[0])
        return found if found.most else Steps(min(max(centre, least), largest), 0, 0)
    inside = nodata is not None and least <= nodata <= largest
    if inside and bound:
        if (samples == nodata).any():
            bound = 0
        else:
            return Hole(least, largest - least - 1, bound - 1, cast(int, nodata))
    step = _common_step(samples - least)
    if step > 1:
        return Steps(least, (largest - least) // step, bound // step, step)
    plain = Steps(least, largest - least, bound)
    return plain if bound or lean else _with_gaps(plain, samples - least)


def _with_gaps(plain: Steps, offsets: Ints) -> Scale:
    """Return a scale that leaves out what does not occur, where that saves bits."""
    counts = np.bincount(offsets)
    padded = np.zeros((-(-len(counts) // STRETCH), STRETCH), np.int64)
    padded.reshape(-1)[: len(counts)] = counts
    present = padded > 0
    if 8 * int(np.count_nonzero(present)) >= 7 * present.size:
        return plain
    # The patterns with fewest samples come first.
    patterns = np.argmax(~(present[:, None] & ~PATTERNS).any(axis=2), axis=1)
    saved = int((padded.sum(axis=1) * _SAVED[_STEP_OF[patterns]]).sum())
    needed = _HEAD_BITS + _PATTERN_BITS * (1 + int(np.count_nonzero(np.diff(patterns))))
    needed += len(patterns)
    if needed > _MOST_BITS or saved < 256 * needed:
        return plain
    return Stretches(plain.least, tuple(patterns.tolist()))


def _common_step(offsets: Ints) -> int:
    """Return the largest number that divides all; most have none that is soon found."""
    return int(np.gcd.reduce(offsets)) if int(np.gcd.reduce(offsets[:16])) != 1 else 1
