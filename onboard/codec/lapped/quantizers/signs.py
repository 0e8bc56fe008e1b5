"""Hidden signs: of the residuals of a plain tile, one sign a run is not sent (SPEC.md, 10 and 13).

A run is some channels of a layer of AC at a position. A reader finds the sign of its first residual
that has one of its own from whether the sum of all magnitudes is odd; a writer sees to it that the
sum is, at little cost, as about one of its residuals lies between two others.

Source: J. Sole et al., "Transform Coefficient Coding in HEVC", IEEE TCSVT 22 (2012), sign data
hiding.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS, STEP, Ints
from onboard.codec.lapped.tables import ESCAPE, LARGEST, Tables

RUN = 24
"""Channels of a run."""
LEAST_LEVEL, FEWEST = 17, 5
"""A run hides a sign if so many of its symbols have this level or a higher one."""
INSIDE, SHOWS, HIDES = 0, 1, 2
"""Marks of symbols, see `Runs`."""
_NEVER = 1 << 20
"""Cost of a change that is not to be."""
_PLACE_BITS = 32
_TO_0 = 4
"""1/64 steps that making a residual 0 costs besides: 0 foretells less of later layers."""


@dataclass(frozen=True)
class Runs:
    """The coded symbols of a layer that are of runs which hide a sign.

    Attributes:
        places: numbers of these symbols among the coded ones, rising.
        lengths: symbols of each run.
        all_begins: number of the first symbol of all runs that have one.
        hide: bool, whether each of them hides a sign.
    """

    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    all_begins: NDArray[np.int64]
    hide: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        coded: NDArray[np.int64],
        rows: NDArray[np.int64],
        channels: int,
        counts: NDArray[np.int64] | None = None,
    ) -> "Runs":
        """Return the runs of a layer.

        Args:
            coded: place of each coded symbol in the flat layer (tiles, positions, channels).
            rows: row of the tables of each.
            channels: channels of the layer.
            counts: coded symbols of each position, if that is known.
        """
        if counts is None or channels > RUN:
            position, channel = np.divmod(coded, channels)
            run = position * -(-channels // RUN) + channel // RUN
            counts = np.bincount(run)
        lengths = counts[counts > 0]
        begins = np.cumsum(lengths) - lengths
        high = (rows & (LEVELS - 1)) >= LEAST_LEVEL
        hide = np.zeros(0, np.bool_)
        if len(begins):
            hide = np.add.reduceat(high, begins, dtype=np.int32) >= FEWEST
        places = np.flatnonzero(np.repeat(hide, lengths))
        return cls(places, lengths[hide], begins, hide)

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """Where in `places` each run begins."""
        return np.cumsum(self.lengths) - self.lengths

    def marks(self, symbols: int) -> NDArray[np.uint8]:
        """Return of so many coded symbols whether a run that hides a sign begins with them.

        That is `INSIDE` a run, or the first of one that hides a sign (`HIDES`) or does not
        (`SHOWS`).
        """
        found = np.zeros(symbols, np.uint8)
        found[self.all_begins] = np.where(self.hide, HIDES, SHOWS)
        return found

    def firsts(self, own: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return in each run the place in `places` of the first that is true; their number if none.

        Args:
            own: bool of each of `places`.
        """
        marked = np.where(own, np.arange(len(own)), len(own))
        return np.minimum.reduceat(marked, self.begins)

    def sums(self, values: Ints) -> Ints:
        """Return the sum of each run."""
        return np.add.reduceat(values, self.begins, dtype=np.int32)


@dataclass(frozen=True)
class OwnSigns:
    """Which residuals have a sign of their own, by the tables.

    Attributes:
        single: bool (plain rows, 33), whether a residual is a symbol of an even row, by magnitude,
            0 to 31 and larger.
    """

    single: NDArray[np.bool_]

    @classmethod
    def of(cls, tables: Tables) -> "OwnSigns":
        """Return those of the plain rows of tables."""
        count = LEVELS * len(tables.groups)
        frequencies = tables.frequencies[:count]
        below, above = frequencies[:, LARGEST::-1], frequencies[:, LARGEST:ESCAPE]
        even = (below == above).all(axis=1) & (tables.shift_of[:count] == 0)
        single = np.zeros((count, LARGEST + 2), np.bool_)
        single[:, :-1] = (above > 0) & even[:, None]
        return cls(single)

    def are_single(self, rows: NDArray[np.int64], sizes: Ints) -> NDArray[np.bool_]:
        """Say of residuals by row and magnitude whether they may be of the row's other table."""
        places = rows * (LARGEST + 2) + np.minimum(sizes, LARGEST + 1)
        return np.take(self.single.reshape(-1), places)

    def __call__(self, rows: NDArray[np.int64], sizes: Ints) -> NDArray[np.bool_]:
        """Say of residuals by row and magnitude whether they have a sign of their own."""
        return self.are_single(rows, sizes) & (sizes > 0)


def signed(signs: OwnSigns, runs: Runs, residuals: Ints, rows: NDArray[np.int64]) -> Ints:
    """Return residuals of the coded symbols of a layer with the signs that are hidden.

    Args:
        signs: which residuals have a sign of their own.
        runs: the runs that hide a sign.
        residuals: as they were read.
        rows: row of the tables of each.
    """
    if not len(runs.places):
        return residuals
    found = residuals.copy()
    size = np.abs(residuals[runs.places])
    first = runs.firsts(signs(rows[runs.places], size))
    has = np.flatnonzero(first < len(size))
    at = first[has]
    negative = runs.sums(size)[has] & 1 == 1
    found[runs.places[at]] = np.where(negative, -size[at], size[at])
    return found


@dataclass(frozen=True)
class Hidden:
    """What became of the residuals of a layer.

    Attributes:
        residuals: of all coded symbols, with their signs.
        derived: numbers of the coded symbols that are of the other table of their row.
        signs: numbers of those whose sign is not sent.
    """

    residuals: Ints
    derived: NDArray[np.int64]
    signs: NDArray[np.int64]


@dataclass(frozen=True)
class SignHiding:
    """Changes residuals so that a reader finds the signs that are not sent.

    Attributes:
        signs: which residuals have a sign of their own.
        dead: i32 (plain rows,), dead zones in 1/64 step.
        rounding: i32 (plain rows,), see `Quantisation`.
    """

    signs: OwnSigns
    dead: Ints
    rounding: Ints

    def hide(
        self, runs: Runs, residuals: Ints, away: Ints, sizes: Ints, rows: NDArray[np.int64]
    ) -> Hidden:
        """Return residuals of the coded symbols of a layer, changed where signs would be wrong.

        Args:
            runs: the runs that hide a sign.
            residuals: as they were quantised.
            away: what was quantised, which says the sign of a 0 that is to be 1 or -1.
            sizes: magnitude of that, in 1/64 step, before rounding.
            rows: row of the tables of each.
        """
        if not len(runs.places):
            return Hidden(residuals, runs.places, runs.places)
        places = runs.places
        row, residual = np.take(rows, places), np.take(residuals, places)
        size = np.abs(residual)
        single = self.signs.are_single(row, size)
        first, total = runs.firsts(single & (size > 0)), runs.sums(size)
        has = np.flatnonzero(first < len(places))
        wrong = has[(total[has] & 1 == 1) != (residual[first[has]] < 0)]
        if len(wrong):
            symbols = size, np.take(sizes, places), row
            changed, to = self._changes(runs, wrong, first, symbols, total)
            here = places[changed]
            kept = np.where(residuals[here] != 0, residuals[here], away[here])
            residuals = residuals.copy()
            residuals[here] = np.where(kept < 0, -to, to)
            single[changed] = self.signs.are_single(row[changed], to)
            first[wrong[(changed == first[wrong]) & (to == 0)]] = len(places)
        derived = np.arange(len(places)) <= np.repeat(first, runs.lengths)
        derived &= single
        return Hidden(residuals, places[derived], places[first[first < len(places)]])

    def _changes(
        self,
        runs: Runs,
        wrong: NDArray[np.int64],
        first: NDArray[np.int64],
        symbols: tuple[Ints, Ints, NDArray[np.int64]],
        total: Ints,
    ) -> tuple[NDArray[np.int64], Ints]:
        """Return which of `places` changes in each run that is wrong, and to what magnitude.

        Args:
            runs: the runs.
            wrong: numbers of those whose sum says the wrong sign.
            first: place of the first residual with a sign of its own, of all runs.
            symbols: magnitude of residuals, of what was quantised, and row, of all places.
            total: sum of the magnitudes of each run.
        """
        last = runs.begins[wrong] + runs.lengths[wrong]
        at = first[wrong]
        counts = last - at
        begins = np.cumsum(counts) - counts
        some = np.repeat(at - begins, counts) + np.arange(int(counts.sum()))
        q, m, row = (part[some] for part in symbols)
        dead, rounding = self.dead[row], self.rounding[row]
        less = np.where(q == 1, m - dead + _TO_0, m + rounding - STEP * q)
        more = np.where(q == 0, dead - m, STEP * (q + 1) - rounding - m)
        less[q == 0] = _NEVER
        own = q[begins], row[begins]
        stays = self.signs(own[1], own[0] - 1) | ((own[0] == 1) & (total[wrong] == 1))
        less[begins[~stays]] = _NEVER
        more[begins[~self.signs(own[1], own[0] + 1)]] = _NEVER
        cost = np.minimum(less, more).astype(np.int64)
        least = np.minimum.reduceat(cost << _PLACE_BITS | np.arange(len(cost)), begins)
        best, none = least & ((1 << _PLACE_BITS) - 1), least >> _PLACE_BITS >= _NEVER
        to = q[best] + np.where(less[best] <= more[best], -1, 1)
        best[none], to[none] = begins[none], 0
        return some[best], to.astype(np.int32)
