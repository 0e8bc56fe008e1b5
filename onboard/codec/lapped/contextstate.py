"""Context state: what is known of tiles while their layers are coded (SPEC.md, section 10).

Encoder and decoder run the same code: layer by layer it gives the sum (which frequency table) and
the predicted value of every symbol, and takes the symbols of that layer.

Arrays hold many tiles of one shape: (tiles, rows, cols, channels).
"""

from functools import cache
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.blocks.field import Coarser, in_own_steps, shares
from onboard.codec.lapped.context import (
    DC_CAP,
    HALF_SIZE_CAP,
    LATTICES,
    LEVELS,
    SIZE_CAP,
    SLOPE_CAP,
    STEP,
    ContextModel,
    Ints,
)

_LEVEL_SHIFT = 21
_LEVEL_ZERO = (127 + 2) << 2  # a sum of 4 begins level 0: exponent and two bits of a float32
_CAPS = {
    STEP: (SIZE_CAP, SLOPE_CAP, DC_CAP),
    STEP // 2: (HALF_SIZE_CAP, 2 * SLOPE_CAP, 2 * DC_CAP),
}
"""Caps of sizes, slopes and differences of DC, by the unit of symbols; four sizes fit a byte."""
Number = TypeVar("Number", bound=np.generic)


class _Run(NamedTuple):
    """Channels by class next to each other, of the last class or of others.

    Attributes:
        channels: channels by class.
        columns: their components, each a channel; those of a class follow each other.
        of_last: of the last class, which of its channels; None of others.
    """

    channels: slice
    columns: slice
    of_last: slice | None

    def of_components(self, values: NDArray[Number]) -> NDArray[Number]:
        """Return the part of values (positions, columns) as a view (channels, positions, alike)."""
        count = self.channels.stop - self.channels.start
        return values[:, self.columns].reshape(len(values), count, -1).transpose(1, 0, 2)


@cache
def _runs(repeats: tuple[int, ...]) -> tuple[_Run, ...]:
    """Return the runs of channels that stand for so many components each."""
    found, channel, column, last = [], 0, 0, 0
    for count, group in groupby(repeats):
        channels = len(list(group))
        of_last = slice(last, last + channels) if count > 1 else None
        stops = channel + channels, column + count * channels
        found.append(_Run(slice(channel, stops[0]), slice(column, stops[1]), of_last))
        (channel, column), last = stops, last + channels * (count > 1)
    return tuple(found)


class ContextState:
    """What is known of a batch of tiles while their layers are coded or read.

    The sums of a layer of AC symbols are a product of features by class: a 1 for the bias, the
    slopes, and layer by layer magnitudes and those of neighbours, each for all positions of all
    tiles. Where several components are of the last class, its features are added up over them, and
    each of them has its own besides. Features are in units of symbols, and bytes where none is
    added up.
    """

    def __init__(
        self,
        model: ContextModel,
        tiles: int,
        rows: int,
        cols: int,
        unit: int = STEP,
        coarser: Coarser | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            model: weights of the sums.
            tiles: tiles in the batch.
            rows: rows of positions.
            cols: columns of positions.
            unit: unit of symbols and predictions, in 1/64 step, 64 or 32; features are in steps.
            coarser: codes by which the AC of each position has a coarser step than the DC; None if
                none has.
        """
        self.model = model
        self._unit = np.float32(unit / STEP)
        self._caps = _CAPS[unit]
        self._share = None if coarser is None else shares(coarser)[..., None]
        self.shape = (tiles, rows, cols)
        self._dc: Ints = np.zeros((*self.shape, model.bands), np.int32)
        kind = np.uint8 if model.alike == 1 else np.float32
        self._features: NDArray[Any] = np.zeros((model.features, tiles * rows * cols), kind)
        self._features[0] = STEP // unit
        self._own: NDArray[np.float32] | None = None
        if model.alike > 1:
            own = int(model.of_last_class.sum()), tiles * rows * cols, model.alike
            self._own = np.zeros(own, np.float32)
        row, col = np.indices((rows, cols)).reshape(2, -1)
        kinds = np.where(row % 2 == col % 2, row % 2, 2)
        self._lattices = [np.nonzero(kinds == lattice)[0] for lattice in range(LATTICES)]
        self._ones = np.ones(model.alike, np.float32)

    def lattice(self, layer: int) -> NDArray[np.int64]:
        """Return the positions of a layer of DC, 1 to 3."""
        return self._lattices[layer - 1]

    def positions(self, layer: int) -> int:
        """Return the number of positions of a layer, 1..layers."""
        if layer <= LATTICES:
            return len(self._lattices[layer - 1])
        return self.shape[1] * self.shape[2]

    def channels(self, layer: int) -> slice:
        """Return the channels of a layer, in the model's order."""
        return self.model.channels_of(layer)

    def take(self, values: Ints, layer: int) -> Ints:
        """Return the values (tiles, positions, channels) that belong to a layer."""
        flat = values.reshape(self.shape[0], -1, values.shape[3])
        if layer <= LATTICES:
            return flat[:, self._lattices[layer - 1], : self.model.bands]
        return flat[..., self.channels(layer)]

    def set(self, values: NDArray[Any], layer: int, part: NDArray[Any]) -> None:
        """Undo `take`: set the values (tiles, positions, channels) that belong to a layer."""
        if layer <= LATTICES:
            flat = values.reshape(self.shape[0], -1, values.shape[3])
            flat[:, self._lattices[layer - 1], : self.model.bands] = part
        else:
            values[..., self.channels(layer)] = part.reshape(*self.shape, -1)

    def context(self, layer: int) -> tuple[NDArray[np.float32], Ints | int]:
        """Return sum and predicted value of each symbol of a layer (tiles, positions, channels).

        All earlier layers must have been put. `levels` makes levels of sums.
        """
        if layer > LATTICES:
            return self._ac_sums(layer), 0
        return self._dc_sums(layer - 1)

    def put(self, layer: int, symbols: Ints) -> None:
        """Set the symbols (tiles, positions, channels) of a layer."""
        if layer <= LATTICES:
            self.set(self._dc, layer, symbols)
            if layer < LATTICES:
                return
            self._set_slopes()
            symbols = self._in_own_steps(self._dc)
        sizes = np.minimum(np.abs(symbols), self._caps[0])
        repeats = self._repeats(self.model.of_classes(max(layer, LATTICES)))
        parts = self.model.features_of(layer)
        self._set_features(parts[0], sizes.reshape(-1, sizes.shape[-1]), repeats)
        _add_neighbours(*(self._features[part].reshape(-1, *self.shape[1:]) for part in parts))
        if self._own is not None:
            shape = -1, *self.shape[1:], self.model.alike
            _add_neighbours(*(self._own[self._owned(part)].reshape(shape) for part in parts))

    def _set_features(self, part: slice, values: Ints, repeats: tuple[int, ...]) -> None:
        """Set features by class from values (positions, components), so many of each feature."""
        features = self._features[part]
        if self._own is None:
            features[:] = values.T
            return
        owned = self._own[self._owned(part)]
        for run in _runs(repeats):
            if run.of_last is None:
                features[run.channels] = values[:, run.columns].T
            else:
                owned[run.of_last] = run.of_components(values)
                np.matmul(owned[run.of_last], self._ones, out=features[run.channels])

    def _owned(self, part: slice) -> slice:
        """Return which of the components' own features are those by class of a part."""
        stops = self.model.of_last_class[: part.start], self.model.of_last_class[: part.stop]
        return slice(*map(np.count_nonzero, stops))

    def _repeats(self, channels: slice) -> tuple[int, ...]:
        """Return how many components each of some channels by class stands for."""
        return tuple(self.model.repeats[channels].tolist())

    def _set_slopes(self) -> None:
        """Take the differences of the DC left and right of each position, above and below it."""
        _, rows, cols = self.shape
        (left, right), (up, down) = _around(cols), _around(rows)
        across = self._in_own_steps(self._dc[:, :, left] - self._dc[:, :, right])
        along = self._in_own_steps(self._dc[:, up] - self._dc[:, down])
        slopes = np.minimum(np.abs(np.concatenate([across, along], axis=3)), self._caps[1])
        repeats = 2 * self._repeats(slice(0, self.model.weights.classes))
        self._set_features(self.model.slopes, slopes.reshape(-1, slopes.shape[3]), repeats)

    def _in_own_steps(self, values: Ints) -> Ints:
        """Return magnitudes in steps of the DC in those of the AC of each position."""
        return values if self._share is None else in_own_steps(values, self._share)

    def _ac_sums(self, layer: int) -> NDArray[np.float32]:
        product, own = self.model.products[layer - LATTICES - 1]
        features = np.take(self._features, product.used, axis=0).astype(np.float32, copy=False)
        sums: NDArray[np.float32] = features.T @ product.weights
        if own is not None and self._own is not None:
            repeats = self._repeats(self.model.of_classes(layer))
            of_own = own.weights.T @ np.take(self._own, own.used, axis=0).reshape(len(own.used), -1)
            of_own = of_own.reshape(-1, len(sums), self.model.alike)
            sums = np.repeat(sums, repeats, axis=1)
            for run in _runs(repeats):
                if run.of_last is not None:
                    here = run.of_components(sums)
                    here += of_own[run.of_last]
        return self._in_steps(sums).reshape(self.shape[0], -1, sums.shape[1])

    def _in_steps(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what is in units of symbols in steps."""
        if self._unit != 1:
            values *= self._unit
        return values

    def _dc_sums(self, lattice: int) -> tuple[NDArray[np.float32], Ints]:
        """Predict a lattice from the ones before: from four corners, or four sides."""
        tiles, rows, cols = self.shape
        places = self._lattices[lattice]
        bands = self.model.bands
        bias = self.model.dc_bias[lattice]
        if lattice == 0:
            sums = np.broadcast_to(bias, (tiles, len(places), bands))
            return sums, np.zeros(sums.shape, np.int32)
        # One more row and column of zeros stands in for what a single row or column cannot mirror.
        dc = np.zeros((tiles, rows + 1, cols + 1, bands), np.int32)
        dc[:, :rows, :cols] = self._dc
        row, col = places // cols, places % cols
        up, down = _mirrored(row - 1, rows), _mirrored(row + 1, rows)
        left, right = _mirrored(col - 1, cols), _mirrored(col + 1, cols)
        around = (
            ((up, left), (up, right), (down, left), (down, right))
            if lattice == 1
            else ((up, col), (row, left), (row, right), (down, col))
        )
        one, two, three, last = (dc[:, r, c] for r, c in around)
        features = np.stack(
            [
                one - last,
                two - three,
                np.abs(one - two) + np.abs(three - last),
                np.abs(one - three) + np.abs(two - last),
            ],
            axis=3,
        )
        capped = self._in_steps(np.minimum(np.abs(features), self._caps[2]).astype(np.float32))
        weights = self.model.dc[lattice - 1]
        sums = capped.reshape(tiles, len(places), len(weights)) @ weights + bias
        return sums, (one + two + three + last + 2) >> 2


def _add_neighbours(values: NDArray[Any], found: NDArray[Any]) -> None:
    """Add up what is left, right, above and below of values (any, rows, cols, ...) to zeros."""
    found[:, :, 1:] = values[:, :, :-1]
    found[:, :, :-1] += values[:, :, 1:]
    found[:, 1:] += values[:, :-1]
    found[:, :-1] += values[:, 1:]


def _around(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place before and the one after each of `size`, that itself at either end."""
    places = np.arange(size)
    return np.maximum(places - 1, 0), np.minimum(places + 1, size - 1)


def _mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return an index mirrored about the first and last of `size` places; `size` if it cannot."""
    low = np.where(index < 0, 1 if size > 1 else size, index)
    return np.asarray(np.where(low == size, size - 2 if size > 1 else size, low), np.int64)


def levels(sums: NDArray[np.float32]) -> Ints:
    """Return four levels per octave of the sums, from 4 on, 0..63."""
    steps: Ints = np.ascontiguousarray(sums).view(np.int32) >> _LEVEL_SHIFT
    steps -= _LEVEL_ZERO
    return np.clip(steps, 0, LEVELS - 1, out=steps)


def least_sum(level: int) -> np.float32:
    """Return the smallest sum of a level above 0."""
    bits = np.array((level + _LEVEL_ZERO) << _LEVEL_SHIFT, np.int32)
    return np.float32(bits.view(np.float32))
