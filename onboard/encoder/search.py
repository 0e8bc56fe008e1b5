"""Rate control: the step codes of a window of tiles that meet a budget of bytes.

One step serves the whole window, since that spends the bits where they lower the error most. Sizes
are guessed from how large the latents are; the guess is scaled by the sizes of the tiles that were
quantised first, and what remains is settled tile by tile (SPEC.md, section 13). All integers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import STEPS, Steps

_FEW = 16
"""Tiles of which a quarter, not an eighth, is quantised first."""
_NEAR = 3
"""Codes by which the steps of the first two parts may differ."""
_UNKNOWN = -1


@dataclass
class Search:
    """The search for the steps of a window's tiles.

    Attributes:
        guess: int64 (tiles, 256), bits that each tile may take at each step code, never rising.
        finest: (tiles,) the finest step code that each tile allows.
        steps: (tiles,) step codes so far; 0 where none is chosen yet.
        sizes: (tiles,) bytes that tiles take at their steps; -1 where not known.
        thrift: (tiles,) how thriftily each is quantised at its step.
        common: step code, or one more than it, chosen last for tiles of which none was known.
    """

    guess: NDArray[np.int64]
    finest: Steps
    steps: Steps
    sizes: NDArray[np.int64]
    thrift: NDArray[np.int64]
    _before: tuple[Steps, NDArray[np.int64]]
    common: int = 0

    @classmethod
    def of(cls, guess: NDArray[np.int64], finest: Steps) -> "Search":
        """Begin a search."""
        sizes, before_steps, before_sizes = (np.full(len(guess), _UNKNOWN) for _ in range(3))
        thrift = np.zeros(len(guess), np.int64)
        return cls(guess, finest, finest.copy(), sizes, thrift, (before_steps, before_sizes))

    def copy(self) -> "Search":
        """Return a search that goes on from here by itself."""
        before = self._before[0].copy(), self._before[1].copy()
        steps, sizes, thrift = self.steps.copy(), self.sizes.copy(), self.thrift.copy()
        return Search(self.guess, self.finest, steps, sizes, thrift, before, self.common)

    def parts(self) -> Iterator[NDArray[np.int64]]:
        """Yield the tiles to be quantised one part after the other.

        What those before take tells what the last may: if these are few, hardly any tile is
        quantised twice. Of many tiles few are anyway, and numpy likes them together.
        """
        count = len(self.steps)
        order = scattered(count)
        few = -(-count // 8)
        stops = {0, count // 4 if count <= _FEW else few, count // 2, count}
        if count <= 2 * _FEW:
            stops.add(count - few)
        for first, stop in pairwise(sorted(stops)):
            yield order[first:stop]

    def choose(self, part: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
        """Choose steps for a part, so that all tiles that have none share what is left.

        Where that step is far from the step of the part before, whose sizes were guessed too small
        or too large, the tiles of earlier parts are chosen for anew, and share with all. Once half
        of all are known, it is at most a code away.

        Args:
            part: tiles to choose for, of those that have none.
            budget: bytes of the window's tiles.

        Returns:
            The tiles that were chosen for.
        """
        known = np.flatnonzero(self.sizes != _UNKNOWN)
        spent = int(self.sizes[known].sum())
        bits, bytes_ = int(self.guess[known, self.steps[known]].sum()), max(spent, 1)
        if not len(known):
            bits, bytes_ = 63, 8  # a bit in 64 for what segments add
        budget -= budget >> 8
        unknown = self.sizes == _UNKNOWN
        unknown[part] = True
        totals = self.guess[unknown].sum(axis=0)
        free = max(budget - spent, 0) * bits // bytes_
        step = _finest_within(totals, free)
        if 2 * len(known) >= len(self.steps):  # what is left over is settled tile by tile
            step = min(max(step, self.common - 1), self.common + 1)
        elif len(known) and abs(step - self.common) > _NEAR:
            totals += self.guess[known].sum(axis=0)
            free = max(budget, 0) * bits // bytes_
            step = _finest_within(totals, free)
            part = scattered(len(self.steps))[: len(known) + len(part)]
        self.steps[part] = step
        self.common = step
        if step:
            more = self.guess[part, step - 1] - self.guess[part, step]
            finer = int(np.searchsorted(np.cumsum(more), free - int(totals[step]), side="right"))
            self.steps[part[:finer]] -= 1
        np.maximum(self.steps, self.finest, out=self.steps)
        return part

    def learn(self, tiles: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Take the sizes in bytes of some tiles at the steps chosen for them."""
        self.sizes[tiles] = sizes

    def adjust(self, left: int, budget: int) -> NDArray[np.int64]:
        """Change some steps so that the bytes left are few; return the tiles that changed.

        Args:
            left: bytes of the window's budget that are left, less than 0 if it is passed.
            budget: the window's.
        """
        steps, sizes = self.steps.copy(), self.sizes.copy()
        margin = budget >> 9
        if left < 0:
            self._coarsen(margin - left)
        elif left > budget >> 6:
            self._refine(left - margin)
        changed = np.flatnonzero(self.steps != steps)
        self.thrift[changed] = 0
        self._before[0][changed], self._before[1][changed] = steps[changed], sizes[changed]
        return changed

    @property
    def places(self) -> int:
        """Largest number that `go_to` takes: all tiles at the coarsest step."""
        return (STEPS - 1) * len(self.steps)

    def go_to(self, place: int) -> NDArray[np.int64]:
        """Take one step for all tiles, the next finer one for some; return those that changed.

        Args:
            place: rank of these steps, from the finest ones, 0, to `places`.
        """
        count = len(self.steps)
        step = -(-place // count)
        steps = np.full(count, step)
        steps[scattered(count)[: step * count - place]] -= 1
        np.maximum(steps, self.finest, out=steps)
        changed = np.flatnonzero(steps != self.steps)
        self.steps = steps
        return changed

    def next_finer(self, without: Sequence[int]) -> int | None:
        """Return the tile that is next to take a finer step, the first of the coarsest, if any."""
        free = self.steps > self.finest
        free[list(without)] = False
        order = scattered(len(self.steps))
        order = order[free[order]]
        return int(order[np.argmax(self.steps[order])]) if len(order) else None

    @property
    def is_finest(self) -> bool:
        """Whether no tile may have a finer step."""
        return bool((self.steps == self.finest).all())

    @property
    def is_coarsest(self) -> bool:
        """Whether all tiles have the coarsest step."""
        return bool((self.steps == STEPS - 1).all())

    def take_coarsest(self) -> None:
        """Choose the coarsest step for all."""
        self.steps[:] = STEPS - 1
        self.thrift[:] = 0

    def _coarsen(self, excess: int) -> None:
        """Take the next coarser step for tiles of the finest, until `excess` bytes are saved."""
        order = scattered(len(self.steps))[::-1]
        while excess > 0 and (self.steps < STEPS - 1).any():
            step = int(self.steps.min())
            tiles = order[self.steps[order] == step]
            sizes = self._sizes_at(tiles, step + 1)
            saved = np.cumsum(self.sizes[tiles] - sizes)
            count = int(np.searchsorted(saved, excess)) + 1
            self.steps[tiles[:count]] += 1
            self.sizes[tiles[:count]] = sizes[:count]
            excess -= int(saved[min(count, len(saved)) - 1])

    def _refine(self, free: int) -> None:
        """Take the next finer step for tiles of the coarsest, as long as `free` bytes allow."""
        order = scattered(len(self.steps))
        order = order[self.steps[order] > self.finest[order]]
        while len(order):
            step = int(self.steps[order].max())
            tiles = order[self.steps[order] == step]
            sizes = self._sizes_at(tiles, step - 1)
            spent = np.cumsum(sizes - self.sizes[tiles])
            count = int(np.searchsorted(spent, free, side="right"))
            if count:
                self.steps[tiles[:count]] -= 1
                self.sizes[tiles[:count]] = sizes[:count]
                free -= int(spent[count - 1])
            if count < len(tiles):
                return
            order = order[self.steps[order] > self.finest[order]]

    def _sizes_at(self, tiles: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        """Return what tiles take at another step: what they did before, or as the guess goes."""
        now = np.maximum(self.guess[tiles, self.steps[tiles]], 1)
        scaled = self.sizes[tiles] * self.guess[tiles, step] // now
        was_step, was_size = self._before
        return np.where(was_step[tiles] == step, was_size[tiles], scaled)


def _finest_within(totals: NDArray[np.int64], most: int) -> int:
    """Return the finest step code at which the total is no more than `most`, else the coarsest."""
    return min(int(np.count_nonzero(totals > most)), STEPS - 1)


def scattered(count: int) -> NDArray[np.int64]:
    """Return 0..count-1 in an order that spreads any beginning of it over the whole."""
    stride = max(1, count * 618 // 1000)
    while np.gcd(stride, count) != 1:
        stride += 1
    return np.arange(count, dtype=np.int64) * stride % count
