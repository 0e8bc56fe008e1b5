"""Symbols: what quantised tiles are as rANS symbols, in reading order (SPEC.md, section 11)."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints
from onboard.codec.lapped.quantizers.points import Points
from onboard.codec.lapped.scan import Scanner, Thrift, is_far
from onboard.codec.lapped.tables import BIT, ESCAPE_BITS
from onboard.codec.lapped.transform import Latents
from onboard.codec.rans import STATE_BYTES
from onboard.codec.tile import FULL, Steps

_MORE_THAN_LOW_BITS = 2
"""rANS symbols of a residual, with its low bits; an escape takes more."""
_FEWEST_ESCAPES = 8
"""Of a tile's bits at most one in so many goes to escapes, or it is to be full."""
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Symbols:
    """rANS symbols of a batch, tile after tile in reading order.

    A unit is a position of a layer; units are numbered through the layers of a tile.

    Attributes:
        rows: row of the alphabet of each symbol.
        before: int32 (tiles, units + 1), symbols of the batch before each unit.
        bits: int32 (tiles, units + 1), 1/256 bits of the tile before each unit.
        firsts: unit that each layer begins with, and the number of units.
        points: what the indices stand for.
        floors: int32 (tiles, channels), least levels of full tiles; None if they are not full.
        left_out: int32 (tiles,), largest magnitude of a symbol that is not coded, in 1/64 step.
        escapes: int64 (tiles,), how many residuals have no symbol of their own.
        states: u8 (tiles, units), state of the trellis at each unit; None for plain tiles.
    """

    rows: NDArray[np.uint16]
    before: NDArray[np.int32]
    bits: NDArray[np.int32]
    firsts: list[int]
    points: Points
    floors: Ints | None
    left_out: Ints
    escapes: NDArray[np.int64]
    states: NDArray[np.uint8] | None = None

    @classmethod
    def of(
        cls,
        scanner: Scanner,
        latents: Latents,
        steps: Steps,
        floors: Ints | None = None,
        thrift: Thrift | None = None,
    ) -> "Symbols":
        """Quantise a batch at the given steps; return its symbols.

        Args:
            scanner: quantises.
            latents: latents of the tiles.
            steps: step code of each tile.
            floors: least level of each channel of full tiles; None if they are not full.
            thrift: of each tile; None is 0 for all.
        """
        tables = scanner.model.tables
        rows: list[list[NDArray[np.uint16]]] = []
        counts, costs, states = [], [], []
        left_out = np.zeros(len(steps), np.int32)
        escapes = np.zeros(len(steps), np.int64)
        firsts = [0]
        for layer in scanner.scan(latents, steps, floors, thrift):
            tiles, positions, _ = layer.pending.shape
            found = layer.quantised
            entry = tables.entries(found.rows, found.indices)
            costs_of = tables.costs_of(entry)
            if found.signs is not None:
                costs_of[found.signs] -= np.uint32(BIT)
            cost = _sums(costs_of)
            stops = _sums(layer.pending.counts)
            costs.append(np.diff(cost[stops]).reshape(tiles, positions))
            of_tiles = np.arange(tiles + 1) * positions
            row, size = tables.symbols(entry, found.indices, found.derived)
            ends = _sums(size)[stops]
            counts.append(np.diff(ends).reshape(tiles, positions))
            rows.append(_split(row, ends[of_tiles]))
            escaped = np.flatnonzero(size > _MORE_THAN_LOW_BITS)
            escapes += np.diff(escaped.searchsorted(stops[of_tiles]))
            firsts.append(firsts[-1] + positions)
            np.maximum(left_out, layer.left_out, out=left_out)
            if found.states is not None:
                begins = stops[:-1].reshape(tiles, positions)
                states.append(_states_at(found.states, begins))
        units = np.concatenate(counts, axis=1)
        before_unit = _sums(units.reshape(-1))
        before = np.empty((len(units), firsts[-1] + 1), np.int32)
        before[:, :-1] = before_unit[:-1].reshape(len(units), -1)
        before[:, -1] = before_unit[firsts[-1] :: firsts[-1]]
        bits = np.zeros(before.shape, np.int32)
        np.cumsum(np.concatenate(costs, axis=1), axis=1, out=bits[:, 1:])
        at = np.concatenate(states, axis=1) if states else None
        points = scanner.quantizer.points
        return cls(_by_tile(rows), before, bits, firsts, points, floors, left_out, escapes, at)

    @property
    def flag(self) -> int:
        """What is added to the tile state."""
        return self.points.flag | (0 if self.floors is None else FULL)

    @property
    def must_be_full(self) -> NDArray[np.int64]:
        """The tiles, of those that are not, that are to be full.

        Either what would be left out is large, or symbols came that nothing foretold.
        """
        dear = self.escapes * (_FEWEST_ESCAPES * ESCAPE_BITS * BIT) > self.bits[:, -1]
        return np.flatnonzero(is_far(self.left_out) | dear)

    def start(self, tile: int, unit: int) -> tuple[int, int]:
        """Return layer and `first` of a segment that begins with a unit, not its tile's first."""
        layer = bisect_right(self.firsts, unit)
        state = 0 if self.states is None else int(self.states[tile, unit])
        return layer, self.points.first(unit - self.firsts[layer - 1], state)

    def layer_end(self, unit: int) -> int:
        """Return the unit after the last one of a unit's layer."""
        return self.firsts[bisect_right(self.firsts, unit)]

    def of_units(self, tile: int, first: int, stop: int) -> NDArray[np.uint16]:
        """Return the symbols of some units of a tile."""
        before = self.before[tile]
        return self.rows[int(before[first]) : int(before[stop])]

    def lane_bytes(self, tile: int, first: int, stop: int) -> int:
        """Return the most bytes, as a rule, of the lane of some units, from its cost."""
        bits = int(self.bits[tile, stop] - self.bits[tile, first])
        return STATE_BYTES + bits // (16 * BIT) * 2


def _sums(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sum before each place, and of all."""
    found = np.zeros(len(counts) + 1, np.int64)
    found[1:] = counts
    return np.cumsum(found, out=found)


def _states_at(states: NDArray[np.uint8], begins: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the state at each position: before the tile's next symbol of the layer, 0 if none.

    Args:
        states: state before each coded symbol of a layer, tile after tile.
        begins: (tiles, positions), coded symbols before each position.
    """
    if not begins.size:  # a lattice may be empty
        return begins.astype(np.uint8)
    ends = np.append(begins[1:, 0], len(states))
    padded = np.append(states, np.uint8(0))
    return np.where(begins < ends[:, None], padded[begins], np.uint8(0))


def _split(values: NDArray[Number], stops: NDArray[np.int64]) -> list[NDArray[Number]]:
    """Return the values between one stop and the next."""
    return [values[first:stop] for first, stop in pairwise(stops.tolist())]


def _by_tile(layers: list[list[NDArray[Number]]]) -> NDArray[Number]:
    """Return values that are sorted by layer, then tile, sorted by tile, then layer."""
    return np.concatenate([part for tile in zip(*layers, strict=True) for part in tile])
