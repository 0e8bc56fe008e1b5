"""Symbols of tiles at a step, layer by layer (SPEC.md, sections 10 and 13).

The table of a symbol depends on symbols of earlier layers, so a layer is quantised at once, all
tiles together, and one layer after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import (
    FREQUENCIES,
    LATTICES,
    LEVELS,
    ContextModel,
    ContextState,
    Ints,
    levels,
)
from onboard.codec.lapped.path import Chooser
from onboard.codec.lapped.quantizer import Quantizer
from onboard.codec.lapped.tables import Tables
from onboard.codec.lapped.transform import LappedTransform, Latents
from onboard.codec.lapped.trellis import points

_STEP = 64
_WORTH = 369
"""Squared 1/64 steps that a bit is worth when an index is chosen: 0.09 squared steps."""
_BORDER_WORTH = 11
"""Sixteenths of that, in the first and last rows and in the first and last columns."""
# 2^12 * 2^(i/8). The square of the step of code c is 2^(c/8 - 2) DN^2, so errors in (1/64 step)^2
# times 2^(c/8) are in 2^-14 DN^2.
_EIGHTH_OCTAVES = np.array([4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512], np.int64)


@dataclass(frozen=True)
class Layer:
    """A layer of a batch, quantised: arrays (tiles, positions, channels).

    Attributes:
        sums: of the context model.
        mean: predicted values, in units of `unit`.
        away: before rounding, less the prediction, in 1/64 step.
        values: what is sent of it, in units of `unit`; 0 where the level says that nothing is.
        unit: of values, in 1/64 step: 64, in dependent tiles 32.
        coded: which symbols are coded, as indices into the flat arrays.
        counts: int64 (tiles * positions,), coded symbols of each position.
        rows: int64, rows of the tables, of the coded symbols.
        residuals: of the coded symbols, as coded: the values or, in dependent tiles, indices.
        states: of the trellis before each coded symbol; None in plain tiles.
    """

    sums: NDArray[np.float32]
    mean: Ints | int
    away: Ints
    values: Ints
    unit: int
    coded: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: NDArray[np.int64]
    residuals: Ints
    states: NDArray[np.int64] | None


@dataclass(frozen=True)
class Scanner:
    """The parts of a codec that the symbols of a tile depend on."""

    transform: LappedTransform
    contexts: ContextModel
    quantizer: Quantizer
    tables: Tables

    def scan(
        self, latents: Latents, codes: NDArray[np.int64], dependent: bool = False
    ) -> Iterator[Layer]:
        """Quantise a batch at the given steps, layer by layer.

        Args:
            latents: of the batch.
            codes: step code of each tile.
            dependent: choose indices along a trellis.
        """
        mantissas = self.transform.mantissas
        state = ContextState(self.contexts, *latents.shape, dependent)
        unit = _STEP // 2 if dependent else _STEP
        borders = np.tile(_borders(*latents.shape[1:]), latents.shape[0])
        for number in range(1, self.contexts.layers + 1):
            sums, mean = state.context(number)
            away = latents.scaled(codes, mantissas, max(number - LATTICES, 0))
            if number <= LATTICES:
                away = state.take(away, number) - unit * mean
            away = away.reshape(sums.shape)
            coded = np.flatnonzero(sums >= self.quantizer.least_sum)
            rows = levels(np.take(sums, coded)).astype(np.int64)
            rows += self.tables.first_row(number, dependent)
            counts = np.bincount(coded // sums.shape[2], minlength=sums.size // sums.shape[2])
            beside = np.repeat(borders, counts) if number > LATTICES else None
            states = None
            if dependent:
                worth = self._worth(number, coded % sums.shape[2], beside)
                lengths = counts.reshape(sums.shape[:2]).sum(axis=1)
                path = self.chooser.choose(np.take(away, coded), rows, worth, lengths)
                residuals, states, odd = path.indices, path.states, path.states & 1
                rows += LEVELS * odd
                kept = points(residuals, odd.astype(np.int32))
            else:
                kept = residuals = self.quantizer.quantise(np.take(away, coded), rows, beside)
            values = np.zeros(sums.shape, np.int32)
            values.reshape(-1)[coded] = kept
            if number < self.contexts.layers:  # the last is no other's context
                state.put(number, values + mean if number <= LATTICES else values)
            yield Layer(sums, mean, away, values, unit, coded, counts, rows, residuals, states)

    def _worth(self, layer: int, channels: NDArray[np.int64], borders: Ints | None) -> Ints:
        """Return what a bit of each coded symbol is worth.

        Next to the border of a tile that is less, so that errors are not larger there.

        Args:
            layer: number.
            channels: of the symbols, within the layer.
            borders: that the position of each is next to: 0, 1 or 2; None for DC.
        """
        worth: Ints = self.bit_worth[self.contexts.channels_of(layer)].take(channels)
        if borders is not None:
            for others in range(2):
                worth = np.where(borders > others, worth * _BORDER_WORTH >> 4, worth)
        return worth

    def error(
        self, latents: Latents, codes: NDArray[np.int64], dependent: bool = False
    ) -> NDArray[np.int64]:
        """Return the squared error of each tile that its rounding makes, in squared DN."""
        error = np.zeros(len(codes), np.int64)
        for number, layer in enumerate(self.scan(latents, codes, dependent), 1):
            weights = self.synthesis_power[self.contexts.channels_of(number)]
            lost = (layer.away - layer.unit * layer.values).astype(np.int64)
            error += (lost * lost * weights).sum(axis=(1, 2)) >> 8
        octaves, eighths = codes // 8, codes % 8
        return np.asarray((error * _EIGHTH_OCTAVES[eighths] >> 20) << octaves >> 6, np.int64)

    @cached_property
    def synthesis_power(self) -> NDArray[np.int64]:
        """Squared length of the synthesis filter of each channel, in 1/256, in order."""
        filters = self.transform.synthesis.reshape(FREQUENCIES, -1).astype(np.int64)
        power = (filters * filters).sum(axis=1) >> 20
        return np.asarray(power[self.contexts.order % FREQUENCIES], np.int64)

    @cached_property
    def chooser(self) -> Chooser:
        """Chooses the indices of dependent tiles."""
        return Chooser(self.tables, self.quantizer.codewords)

    def check_trellis(self, positions: int) -> None:
        """Refuse tables along which indices of tiles of so many positions cannot be chosen.

        Raises:
            BundleError: see `Chooser.check`.
        """
        self.chooser.check(self.bit_worth, self.contexts.widest_layer * positions)

    @cached_property
    def bit_worth(self) -> NDArray[np.int32]:
        """Squared 1/64 steps that a bit is worth, of each channel in order.

        That is less where the synthesis filter is longer than on average.
        """
        power = np.maximum(self.synthesis_power, 1)
        return (_WORTH * int(power.sum()) // (len(power) * power)).astype(np.int32)


def _borders(rows: int, cols: int) -> Ints:
    """Return how many borders of a tile each position is next to; above and below count as one."""
    row, col = np.indices((rows, cols)).reshape(2, -1)
    by_row, by_col = (row == 0) | (row == rows - 1), (col == 0) | (col == cols - 1)
    return np.asarray(by_row.astype(np.int32) + by_col)
