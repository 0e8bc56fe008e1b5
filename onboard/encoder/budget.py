"""Budgets: segments of windows of tiles at the finest steps that fit (SPEC.md, section 13).

Tiles are quantised part by part, those of several windows together; the sizes of their segments
follow from the cost of their symbols. When all is settled the entropy coder runs once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from onboard.encoder.search import Search
from onboard.encoder.windows import Planned, Segments, Windows
from onboard.errors import LimitError
from onboard.link.framing import Strip

_TRIES = 8


def within(
    windows: Windows, budgets: Sequence[int], spare: int, written: int, strict: bool
) -> list[Strip]:
    """Return the segments at the finest steps that fit the windows' budgets.

    Args:
        windows: analysed.
        budgets: bytes of each window.
        spare: what earlier windows left over, for a window whose coarsest encoding takes more
            than its budget.
        written: segments of the scene before these.
        strict: whether a budget must not be passed; else a window is written at the coarsest step
            though it takes more.

    Raises:
        LimitError: the coarsest encoding takes more than a strict budget.
    """
    pairs = zip(windows.ranges, budgets, strict=True)
    waiting = [_Window.open(windows, window, budget) for window, budget in pairs]
    for parts in zip_longest(*(window.search.parts() for window in waiting)):
        _quantise(
            windows,
            [
                (window, window.choose(part))
                for window, part in zip(waiting, parts, strict=True)
                if part is not None
            ],
        )
    _quantise(windows, [(window, window.adjust(0)) for window in waiting])
    strips: list[Strip] = []
    while waiting:
        begun = [window.copy() for window in waiting]
        planned = []
        count = written
        for window in waiting:
            window.settle(count)
            planned.append(count := window.cost(count)[1] + count)
        coded = windows.write([tile for window in waiting for tile in window.planned.values()])
        while waiting:
            window, count = waiting.pop(0), planned.pop(0)
            begun.pop(0)
            found = window.write(coded, written, spare, strict)
            written += sum(len(strip.segments) for strip in found)
            spare += window.budget - windows.framing.cost(found)
            strips += found
            if written != count:  # those that follow were settled for other places of the headers
                waiting = begun
                break
    return strips


def _quantise(windows: Windows, chosen: Sequence[tuple["_Window", NDArray[np.int64]]]) -> None:
    """Quantise some tiles of windows at the codes of their searches, all together."""
    chosen = [(window, part) for window, part in chosen if len(part)]
    if not chosen:
        return
    tiles = [window.tiles[part] for window, part in chosen]
    codes = [window.search.codes[part] for window, part in chosen]
    planned = iter(windows.plan(np.concatenate(tiles), np.concatenate(codes)))
    for window, part in chosen:
        window.take(part, [next(planned) for _ in part])


@dataclass
class _Window:
    """A window with the tiles that have data, and what was made of them so far."""

    windows: Windows
    range_: range
    budget: int
    fixed: int
    tiles: NDArray[np.int64]
    search: Search
    planned: dict[int, Planned]

    @classmethod
    def open(cls, windows: Windows, window: range, budget: int) -> "_Window":
        tiles = windows.tiles(window)
        search = Search.of(windows.guess(tiles), windows.finest(tiles))
        fixed = windows.cost(window, {}, 0)[0] + len(windows.framing.head)
        return cls(windows, window, budget, fixed, tiles, search, {})

    def copy(self) -> "_Window":
        search, planned = self.search.copy(), dict(self.planned)
        return _Window(
            self.windows, self.range_, self.budget, self.fixed, self.tiles, search, planned
        )

    def choose(self, part: NDArray[np.int64]) -> NDArray[np.int64]:
        """Choose codes for some tiles; return which."""
        budget = self.budget - self.fixed
        known = int(self.search.sizes[list(self.planned)].sum())
        if known:  # what packets add
            budget = budget * known // max(self.cost(0)[0] - self.fixed, 1)
        self.search.choose(part, budget)
        return part

    def take(self, part: NDArray[np.int64], planned: Sequence[Planned]) -> None:
        """Take what became of some tiles at their codes."""
        self.planned |= dict(zip(part.tolist(), planned, strict=True))
        lengths = self.windows.lengths(planned)
        sizes = [sum(n for _, _, n in lengths[tile.index]) for tile in planned]
        self.search.learn(part, np.array(sizes, np.int64))

    def cost(self, written: int) -> tuple[int, int]:
        """Return the bytes that it will take, and its segments."""
        lengths = self.windows.lengths(list(self.planned.values()))
        return self.windows.cost(self.range_, lengths, written)

    def adjust(self, written: int) -> NDArray[np.int64]:
        """Change codes so that the budget is nearly filled; return the tiles that changed."""
        return self.search.adjust(self.budget - self.cost(written)[0], self.budget)

    def settle(self, written: int) -> None:
        """Change codes until the budget is nearly filled."""
        best = None
        most = -1
        for _ in range(_TRIES):
            total = self.cost(written)[0]
            if most < total <= self.budget:
                best, most = self.copy(), total
            changed = self.search.adjust(self.budget - total, self.budget)
            if not len(changed):
                break
            _quantise(self.windows, [(self, changed)])
        if not best:
            self._coarsest()
        elif not most <= self.cost(written)[0] <= self.budget:
            self.search, self.planned = best.search, best.planned

    def write(self, coded: Segments, written: int, spare: int, strict: bool) -> list[Strip]:
        """Return the segments; where they take more than was planned, coded anew until they fit.

        Args:
            coded: as planned.
            written: segments of the scene before these.
            spare: bytes to be had, if the coarsest step takes more than the budget.
            strict: whether no more than these may be had.
        """
        for tries in range(_TRIES + 1):
            strips = self.windows.strips(self.range_, coded, written)
            total = self.windows.framing.cost(strips)
            if total <= self.budget:
                break
            if tries == _TRIES or self.search.is_coarsest:
                if not strict or total <= self.budget + spare:
                    break
                raise LimitError(
                    f"budget: {self.budget} bytes for {len(self.range_)} tiles, but the coarsest "
                    f"step takes {total}"
                )
            if tries == _TRIES - 1:
                changed = self._coarsest()
            else:
                changed = self.search.adjust(self.budget - total, self.budget)
                _quantise(self.windows, [(self, changed)])
            coded = coded | self.windows.write([self.planned[tile] for tile in changed.tolist()])
        return strips

    def _coarsest(self) -> NDArray[np.int64]:
        """Choose the coarsest step for all tiles; return them."""
        self.search.take_coarsest()
        every = np.arange(len(self.tiles))
        _quantise(self.windows, [(self, every)])
        return every
