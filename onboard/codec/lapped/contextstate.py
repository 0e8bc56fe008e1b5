"""Context state: what is known of tiles while their layers are coded (SPEC.md, section 10).

Encoder and decoder run the same code: layer by layer it gives the sum (which frequency table) and
the predicted value of every symbol, and takes the symbols of that layer.

Arrays hold many tiles of one shape: (tiles, rows, cols, channels).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
"""Caps of sizes, slopes and differences of DC, by the unit of symbols."""

Coarser = NDArray[np.int64]
"""(tiles, rows, cols): codes by which the AC of a position has a coarser step than its tile."""
_SHARE_SHIFT = 14
_SHARES = (
    *(16384, 15689, 15024, 14387, 13777, 13193, 12634, 12098),
    *(11585, 11094, 10624, 10173, 9742, 9329, 8933, 8555),
)
"""2^14 * 2^(-i/16)."""


def shares(coarser: Coarser) -> Ints:
    """Return what a step is of one that is some codes coarser, in 1/2^14."""
    return np.asarray(np.array(_SHARES)[coarser % 16] >> (coarser // 16), np.int32)


class ContextState:
    """What is known of a batch of tiles while their layers are coded or read.

    The sums of a layer of AC symbols are a product of features by class: a 1 for the bias, the
    slopes, and layer by layer magnitudes and those of neighbours, each for all positions of all
    tiles. Where several components are of the last class, its features are added up over them, and
    each of them has its own besides.
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
        self._features = np.zeros((model.features, tiles * rows * cols), np.float32)
        self._features[0] = 1
        self._own: NDArray[np.float32] | None = None
        if model.alike > 1:
            own = int(model.of_last_class.sum()), model.alike, tiles * rows * cols
            self._own = np.zeros(own, np.float32)
        row, col = np.indices((rows, cols)).reshape(2, -1)
        kinds = np.where(row % 2 == col % 2, row % 2, 2)
        self._lattices = [np.nonzero(kinds == lattice)[0] for lattice in range(LATTICES)]
        self._beside = np.eye(cols, k=1, dtype=np.float32) + np.eye(cols, k=-1, dtype=np.float32)

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
        parts = self.model.features_of(layer)
        sizes = self._feature(symbols, self._caps[0])
        if self._own is None:
            of_size, of_near = (self._features[part] for part in parts)
        else:
            of_size, of_near = np.empty((2, sizes.shape[-1], self._features.shape[1]), np.float32)
        of_size[:] = sizes.reshape(-1, len(of_size)).T
        size, near = (part.reshape(-1, *self.shape[1:]) for part in (of_size, of_near))
        lines = -1, self.shape[2]
        np.matmul(size.reshape(lines), self._beside, out=near.reshape(lines))  # left and right
        near[:, 1:] += size[:, :-1]
        near[:, :-1] += size[:, 1:]
        if self._own is not None:
            repeats = self.model.repeats[self.model.of_classes(max(layer, LATTICES))]
            for part, values in zip(parts, (of_size, of_near), strict=True):
                self._set_features(part, values, repeats)

    def _set_features(
        self, part: slice, values: NDArray[np.float32], repeats: NDArray[np.int64]
    ) -> None:
        """Set features by class from values of each component, of which so many are of each row."""
        if self._own is None:
            self._features[part] = values
            return
        last = repeats > 1
        self._features[part] = np.add.reduceat(values, np.cumsum(repeats) - repeats)
        first = int(np.count_nonzero(self.model.of_last_class[: part.start]))
        own = values[np.repeat(last, repeats)].reshape(-1, self.model.alike, values.shape[1])
        self._own[first : first + len(own)] = own

    def _feature(self, values: Ints, cap: int) -> NDArray[np.float32]:
        """Return magnitudes up to a cap, in steps."""
        found = np.minimum(np.abs(values), cap).astype(np.float32)
        if self._unit != 1:
            found *= self._unit
        return found

    def _set_slopes(self) -> None:
        """Take the differences of the DC left and right of each position, above and below it."""
        _, rows, cols = self.shape
        before, after = (
            np.maximum(np.arange(cols) - 1, 0),
            np.minimum(np.arange(cols) + 1, cols - 1),
        )
        across = self._dc[:, :, before] - self._dc[:, :, after]
        before, after = (
            np.maximum(np.arange(rows) - 1, 0),
            np.minimum(np.arange(rows) + 1, rows - 1),
        )
        down = self._dc[:, before] - self._dc[:, after]
        across, down = self._in_own_steps(across), self._in_own_steps(down)
        slopes = self._feature(np.concatenate([across, down], axis=3), self._caps[1])
        dc = slice(0, self.model.weights.classes)
        repeats = np.tile(self.model.repeats[dc], 2)
        self._set_features(self.model.slopes, slopes.reshape(-1, slopes.shape[3]).T, repeats)

    def _in_own_steps(self, values: Ints) -> Ints:
        """Return magnitudes in steps of the DC in those of the AC of each position."""
        if self._share is None:
            return values
        found: Ints = (np.abs(values) * self._share) >> _SHARE_SHIFT
        return found

    def _ac_sums(self, layer: int) -> NDArray[np.float32]:
        product, own = self.model.products[layer - LATTICES - 1]
        features = np.take(self._features, product.used, axis=0)
        sums: NDArray[np.float32] = features.T @ product.weights
        if own is not None and self._own is not None:
            repeats = self.model.repeats[self.model.of_classes(layer)]
            sums = np.repeat(sums, repeats, axis=1)
            of_own = np.take(self._own, own.used, axis=0).transpose(1, 2, 0) @ own.weights
            of_own = of_own.transpose(1, 2, 0).reshape(len(sums), -1)
            sums[:, np.repeat(repeats > 1, repeats)] += of_own
        return sums.reshape(self.shape[0], -1, sums.shape[1])

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
        capped = self._feature(features, self._caps[2])
        weights = self.model.dc[lattice - 1]
        sums = capped.reshape(tiles, len(places), len(weights)) @ weights + bias
        return sums, (one + two + three + last + 2) >> 2


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
