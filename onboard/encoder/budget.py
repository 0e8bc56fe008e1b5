"""Budgets: segments of windows of tiles at the finest steps that fit (SPEC.md, section 13).

Tiles are quantised part by part, those of several windows together; the sizes of their segments
follow from the cost of their symbols. When all is settled the entropy coder runs once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import THRIFTIEST
from onboard.encoder.outcome import Outcome
from onboard.encoder.planned import Planned
from onboard.encoder.search import Search
from onboard.encoder.windows import RateWindows, Segments
from onboard.errors import LimitError
from onboard.link.framing import Strip

_TRIES = 8
_TILES = 32
"""Tiles that are given a finer step, thriftily, at most."""
_USUAL_THRIFT = 256
"""More is tried only where this does not do."""
_MUCH = 3
"""Where more than a share of 2^-3 is left, sizes are too far from their guess to go by it."""
_LITTLE = 6
"""A share of 2^-6 may be left of any budget; more is worth a thrifty tile."""


def within(
    windows: RateWindows, budgets: Sequence[int], spare: int, written: int, strict: bool
) -> tuple[list[Strip], Outcome]:
    """Return the segments at the finest steps that fit the windows' budgets, and what came of it.

    Args:
        windows: the windows, analysed.
        budgets: bytes that each window may take.
        spare: what earlier windows left over, for a window whose coarsest encoding takes more
            than its budget.
        written: segments of the scene before these.
        strict: whether a budget must not be passed; else a window is written at the coarsest step
            though it takes more.

    Raises:
        LimitError: the coarsest encoding takes more than a strict budget.
    """
    pairs = zip(windows.analysed.ranges, budgets, strict=True)
    waiting = [Settling.open(windows, tiles, budget) for tiles, budget in pairs]
    _look(windows, waiting)
    strips: list[Strip] = []
    outcome = Outcome()
    while waiting:
        # Each is settled as if those before it were written as they were settled. Where one is not,
        # scene headers fall on other places, so those after it are settled anew from here.
        begun = [window.copy() for window in waiting]
        after = _settle(waiting, written)
        coded = windows.write([tile for window in waiting for tile in window.planned.values()])
        for window, foreseen in zip(waiting, after, strict=True):
            begun.pop(0)
            found = window.write(coded, written, spare, strict)
            written += sum(len(strip.segments) for strip in found)
            spare += window.budget - windows.framing.cost(found)
            strips += found
            outcome += window.outcome(found, strict)
            if written != foreseen:
                break
        waiting = begun
    return strips, outcome


def _look(windows: RateWindows, waiting: Sequence["Settling"]) -> None:
    """Quantise the tiles of windows part by part, then correct the steps once."""
    for parts in zip_longest(*(window.search.parts() for window in waiting)):
        some = [pair for pair in zip(waiting, parts, strict=True) if pair[1] is not None]
        _quantise(windows, [(window, window.choose(part)) for window, part in some])
    _quantise(windows, [(window, window.adjust(0)) for window in waiting])


def _settle(waiting: Sequence["Settling"], written: int) -> list[int]:
    """Settle windows one after the other; return the segments of the scene after each."""
    after = []
    for window in waiting:
        window.settle(written)
        written += window.cost(written)[1]
        after.append(written)
    return after


def _quantise(windows: RateWindows, chosen: Sequence[tuple["Settling", NDArray[np.int64]]]) -> None:
    """Quantise some tiles of windows at the steps of their searches, all together."""
    chosen = [(window, part) for window, part in chosen if len(part)]
    if not chosen:
        return
    tiles = [window.tiles[part] for window, part in chosen]
    steps = [window.search.steps[part] for window, part in chosen]
    thrift = [window.search.thrift[part] for window, part in chosen]
    planned = iter(windows.plan(*map(np.concatenate, (tiles, steps, thrift))))
    for window, part in chosen:
        window.take(part, [next(planned) for _ in part])


@dataclass
class Settling:
    """A window whose steps are being settled.

    Attributes:
        windows: the windows that it is one of.
        numbers: numbers in the scene of its tiles.
        budget: bytes that it may take.
        fixed: bytes that no step changes.
        tiles: its tiles that have data, as numbered through the batches.
        search: search for their steps.
        planned: what was made of those that were looked at, by place among them.
    """

    windows: RateWindows
    numbers: range
    budget: int
    fixed: int
    tiles: NDArray[np.int64]
    search: Search
    planned: dict[int, Planned]

    @classmethod
    def open(cls, windows: RateWindows, numbers: range, budget: int) -> "Settling":
        """Begin, with nothing looked at."""
        tiles = windows.analysed.tiles(numbers)
        guess, finest = windows.guess(tiles), windows.finest(tiles)
        search = Search.of(guess, finest)
        fixed = windows.cost(numbers, {}, 0)[0] + len(windows.framing.head)
        return cls(windows, numbers, budget, fixed, tiles, search, {})

    def copy(self) -> "Settling":
        """Return one that goes on from here by itself."""
        search, planned = self.search.copy(), dict(self.planned)
        return Settling(
            self.windows, self.numbers, self.budget, self.fixed, self.tiles, search, planned
        )

    def choose(self, part: NDArray[np.int64]) -> NDArray[np.int64]:
        """Choose steps for a part, and for earlier ones that were far off; return which tiles."""
        budget = self.budget - self.fixed
        known = int(self.search.sizes[list(self.planned)].sum())
        if known:  # what packets add
            budget = budget * known // max(self.cost(0)[0] - self.fixed, 1)
        return self.search.choose(part, budget)

    def take(self, part: NDArray[np.int64], planned: Sequence[Planned]) -> None:
        """Take what became of some tiles at their steps."""
        self.planned |= dict(zip(part.tolist(), planned, strict=True))
        sizes = [sum(length for _, _, length in tile.lengths) for tile in planned]
        self.search.learn(part, np.array(sizes, np.int64))

    def cost(self, written: int) -> tuple[int, int]:
        """Return the bytes that it will take, and its segments."""
        lengths = {tile.index: tile.lengths for tile in self.planned.values()}
        return self.windows.cost(self.numbers, lengths, written)

    def adjust(self, written: int) -> NDArray[np.int64]:
        """Change steps so that the budget is nearly filled; return the tiles that changed."""
        return self.search.adjust(self.budget - self.cost(written)[0], self.budget)

    def settle(self, written: int) -> None:
        """Change steps until the budget is nearly filled."""
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
        if best and not most <= self.cost(written)[0] <= self.budget:
            self._return_to(best)
        if most < self.budget - (self.budget >> _MUCH) and not self.search.is_finest:
            self._halve(written)
            if best and self.cost(written)[0] < most:
                self._return_to(best)
        self._fill(written, self.budget)

    def _return_to(self, earlier: "Settling") -> None:
        """Take the steps of an earlier copy."""
        found = earlier.copy()
        self.search, self.planned = found.search, found.planned

    def _halve(self, written: int) -> None:
        """Find by halving the finest steps, one for all tiles or two next to each other, that fit.

        So it does not matter how far sizes are from their guess.
        """
        low, high = 0, self.search.places
        while True:
            place = (low + high) // 2
            _quantise(self.windows, [(self, self.search.go_to(place))])
            if low == high:
                return
            if self.cost(written)[0] <= self.budget:
                high = place
            else:
                low = place + 1

    def _fill(self, written: int, budget: int) -> set[int]:
        """Take the next finer step for tiles, thriftily, while much is left; return which."""
        changed: set[int] = set()
        vain: list[int] = []
        for _ in range(_TILES):
            tile = self.search.next_finer(vain)
            if tile is None or budget - self.cost(written)[0] <= budget >> _LITTLE:
                break
            before = self.copy()
            if self._refine_thriftily(tile, written, budget):
                changed.add(tile)
            else:
                self._return_to(before)
                vain.append(tile)
        return changed

    def _refine_thriftily(self, tile: int, written: int, budget: int) -> bool:
        """Take the next finer step for a tile, with the thrift of which least is left; if any."""
        least, best = budget - self.cost(written)[0], None
        self.search.steps[tile] -= 1
        low, high = 0, _USUAL_THRIFT
        while low <= high and least > budget >> _LITTLE:
            thrift = (low + high) // 2
            left = self._left_at(tile, thrift, written, budget)
            if 0 <= left < least:
                least, best = left, thrift
            low, high = (low, thrift - 1) if left >= 0 else (thrift + 1, high)
            if low > high == _USUAL_THRIFT:
                high = THRIFTIEST
        if best is not None and best != thrift:
            self._left_at(tile, best, written, budget)
        return best is not None

    def _left_at(self, tile: int, thrift: int, written: int, budget: int) -> int:
        """Return what is left if a tile has a thrift, which it gets."""
        self.search.thrift[tile] = thrift
        _quantise(self.windows, [(self, np.array([tile]))])
        return budget - self.cost(written)[0]

    def write(self, coded: Segments, written: int, spare: int, strict: bool) -> list[Strip]:
        """Return the segments; where they take more than was planned, coded anew until they fit.

        Args:
            coded: as planned.
            written: segments of the scene before these.
            spare: bytes to be had, if the coarsest step takes more than the budget.
            strict: whether no more than these may be had.
        """
        for tries in range(_TRIES + 1):
            strips = self.windows.strips(self.numbers, coded, written)
            total = self.windows.framing.cost(strips)
            if total <= self.budget:
                break
            if tries == _TRIES or self.search.is_coarsest:
                if not strict or total <= self.budget + spare:
                    break
                raise LimitError(
                    f"budget: {total - self.budget - spare} bytes too few: at the coarsest step "
                    f"these {len(self.numbers)} tiles take {total}"
                )
            if tries == _TRIES - 1:
                changed = set(self._coarsest().tolist())
            else:
                unforeseen = max(total - self.cost(written)[0], 0)
                coarser = self.search.adjust(self.budget - total, self.budget)
                _quantise(self.windows, [(self, coarser)])
                finer = self._fill(written, self.budget - unforeseen)
                changed = finer | set(coarser.tolist())
            coded = coded | self.windows.write([self.planned[tile] for tile in changed])
        return strips

    def outcome(self, strips: Sequence[Strip], strict: bool) -> Outcome:
        """Return what became of the budget with these segments; `strict` as `write` takes it."""
        left = self.budget - self.windows.framing.cost(strips)
        found = self.windows.outcome(self.numbers, self.tiles, self.search.steps)
        eased = bool(found.windows) and left > self.budget >> _LITTLE and self.search.is_finest
        return replace(found, missed=int(left < 0 and not strict), eased=int(eased))

    def _coarsest(self) -> NDArray[np.int64]:
        """Choose the coarsest step for all tiles; return them."""
        self.search.take_coarsest()
        every = np.arange(len(self.tiles))
        _quantise(self.windows, [(self, every)])
        return every
