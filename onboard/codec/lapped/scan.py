"""Symbols of tiles at a step, layer by layer (SPEC.md, sections 10 and 13).

The table of a symbol depends on symbols of earlier layers, so a layer is quantised at once, all
tiles together, and one layer after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LATTICES, Ints
from onboard.codec.lapped.contextstate import ContextState, least_sum, levels
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.quantizer import Pending, Quantised, Quantizer
from onboard.codec.lapped.transform import Latents
from onboard.codec.tile import Steps

_FARTHEST = 112
"""1/64 steps from 0 from which on no symbol is left out."""
_SHARES = 64
"""Units of thrift in 1/64 step; symbols take turns to be 1/64 step nearer to 0."""
Thrift = NDArray[np.int64]
"""Of each tile, 0 to `THRIFTIEST`."""


@dataclass(frozen=True)
class Layer:
    """A layer of a batch, quantised: arrays (tiles, positions, channels).

    Attributes:
        sums: sums of the context model.
        mean: predicted values, in units of the quantizer's points.
        away: values before rounding, less their prediction, in 1/64 step, whatever the thrift.
        values: what is sent of them, in those units; 0 where the level says that nothing is.
        pending: the symbols that are coded.
        quantised: what became of them.
        left_out: (tiles,), largest magnitude of `away` among the symbols that are not coded.
    """

    sums: NDArray[np.float32]
    mean: Ints | int
    away: Ints
    values: Ints
    pending: Pending
    quantised: Quantised
    left_out: Ints


@dataclass(frozen=True)
class Scanner:
    """A model and how it quantises: all that the symbols of a tile depend on.

    Attributes:
        model: all integers of the codec.
        quantizer: what chooses the indices.
    """

    model: LappedModel
    quantizer: Quantizer

    def scan(
        self,
        latents: Latents,
        steps: Steps,
        floors: Ints | None = None,
        thrift: Thrift | None = None,
    ) -> Iterator[Layer]:
        """Quantise a batch at the given steps, layer by layer.

        Args:
            latents: latents of the tiles.
            steps: step code of each tile, or (tiles, rows, cols) of each position: then that of a
                tile, and of its DC, is the finest.
            floors: (tiles, channels), least level of each channel: above `skip` in full tiles, 0 in
                others; None if no tile is full.
            thrift: of each tile; None is 0 for all.
        """
        contexts, mantissas = self.model.contexts, self.model.transform.mantissas
        unit, base = self.quantizer.points.unit, tile_codes(steps)
        coarser = None if steps.ndim == 1 else steps - base[:, None, None]
        state = ContextState(contexts, *latents.shape, unit, coarser)
        borders = _borders(*latents.shape[1:])
        for number in range(1, contexts.layers + 1):
            sums, mean = state.context(number)
            codes = base if number <= LATTICES else steps
            away = latents.scaled(codes, mantissas, max(number - LATTICES, 0))
            if number <= LATTICES:
                away = state.take(away, number) - unit * mean
            away = away.reshape(sums.shape)
            least = None if floors is None else floors[:, contexts.channels_of(number)]
            pending = self._pending(number, sums, away, borders, least)
            if thrift is not None and number > LATTICES:
                pending = _nearer(pending, thrift, contexts.channels_of(number).start)
            found = self.quantizer.choose(pending)
            values = np.zeros(sums.shape, np.int32)
            values.reshape(-1)[pending.coded] = found.kept
            if number < contexts.layers:  # the last is no other's context
                state.put(number, values + mean if number <= LATTICES else values)
            yield Layer(sums, mean, away, values, pending, found, _left_out(away, pending.coded))

    def _pending(
        self,
        number: int,
        sums: NDArray[np.float32],
        away: Ints,
        borders: Ints,
        least: Ints | None,
    ) -> Pending:
        """Return the symbols of a layer that are coded, with their tables."""
        if least is None:
            coded = np.flatnonzero(sums >= self._least_sum)
            rows = levels(np.take(sums, coded)).astype(np.int64)
        else:
            found = np.maximum(levels(sums), least[:, None]).reshape(-1)
            coded = np.flatnonzero(found > self.model.quantisation.skip)
            rows = found[coded].astype(np.int64)
        rows += self.model.tables.first_row(number, self.quantizer.points.sets)
        counts = np.bincount(coded // sums.shape[2], minlength=sums.size // sums.shape[2])
        beside = borders if number > LATTICES else None
        tiles, positions, channels = sums.shape
        shape = tiles, positions, channels
        return Pending(number, shape, coded, counts, np.take(away, coded), rows, beside)

    @cached_property
    def _least_sum(self) -> np.float32:
        """Smallest sum of the context model of which a symbol is coded."""
        return least_sum(self.model.quantisation.skip + 1)


def tile_codes(steps: Steps) -> Steps:
    """Return the step code of each tile, of step codes of tiles or of positions."""
    return steps if steps.ndim == 1 else np.asarray(steps.min(axis=(1, 2)))


def is_far(left_out: Ints) -> NDArray[np.bool_]:
    """Return whether what is left out of each tile is too far from 0 for that."""
    return left_out >= _FARTHEST


def _nearer(pending: Pending, thrift: Thrift, first: int) -> Pending:
    """Return the symbols of a layer of AC nearer to 0, so that they take fewer bits.

    Args:
        pending: the symbols.
        thrift: of each tile.
        first: the layer's first channel.
    """
    turns = (pending.coded // pending.shape[2] + first + pending.channels) % _SHARES
    less = ((np.repeat(thrift, pending.lengths) + turns) // _SHARES).astype(np.int32)
    size = np.maximum(np.abs(pending.away) - less, 0)
    return replace(pending, away=np.where(pending.away < 0, -size, size))


def _left_out(away: Ints, coded: NDArray[np.int64]) -> Ints:
    """Return the largest magnitude of each tile among symbols that are not coded."""
    if len(coded) == away.size:
        return np.zeros(len(away), np.int32)
    sizes = np.abs(away).reshape(-1)
    sizes[coded] = 0
    largest: Ints = sizes.reshape(len(away), -1).max(axis=1)
    return largest


def _borders(rows: int, cols: int) -> Ints:
    """Return how many borders of a tile each position is next to; above and below count as one."""
    row, col = np.indices((rows, cols)).reshape(2, -1)
    by_row, by_col = (row == 0) | (row == rows - 1), (col == 0) | (col == cols - 1)
    return np.asarray(by_row.astype(np.int32) + by_col)
