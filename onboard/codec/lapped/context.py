"""Context model: how large each symbol of a tile will be, from those known (SPEC.md, section 10).

Encoder and decoder run the same code: layer by layer it gives the level (which frequency table)
and the predicted value of every symbol, and takes the symbols of that layer. All numbers are
integers; float32 holds every partial sum exactly, which `ContextModel` checks.

Arrays hold many tiles of one shape: (tiles, rows, cols, channels).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError

BLOCK = 8
FREQUENCIES = BLOCK * BLOCK
LATTICES = 3
LEVELS = 64
SIZE_CAP = 40
HALF_SIZE_CAP = 63
"""Of sizes in half steps; the sum of four fits 8 bits."""
SLOPE_CAP = 2 * SIZE_CAP
DC_CAP = 2047
STEP = 64
"""One step, in the units of numbers before they are quantised."""
_CAPS = {
    STEP: (SIZE_CAP, SLOPE_CAP, DC_CAP),
    STEP // 2: (HALF_SIZE_CAP, 2 * SLOPE_CAP, 2 * DC_CAP),
}
"""Caps of sizes, slopes and differences of DC, by the unit of symbols."""
_LEVEL_SHIFT = 21
_LEVEL_ZERO = (127 + 2) << 2  # a sum of 4 begins level 0: exponent and two bits of a float32
_EXACT = 1 << 23
"""Sums have halves."""

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class ContextModel:
    """Integer weights of the context model, in 1/256.

    Attributes:
        order: channels (component * 64 + frequency): the DC of each component, then AC by layer.
        cuts: begin of each AC layer in `order`; the last entry is the number of channels.
        same: u16 (channels, AC channels), weights of magnitudes at the same place, both in `order`.
        near: u16 (channels, AC channels), weights of the sum of the four neighbours.
        slope: u16 (2 bands, AC channels), weights of DC differences across and down.
        bias: u16 (AC channels,).
        dc: u16 (2, 4 bands, bands), weights of differences for the second and third lattice.
        dc_bias: u16 (3, bands).
    """

    order: NDArray[np.int64]
    cuts: tuple[int, ...]
    same: NDArray[np.uint16]
    near: NDArray[np.uint16]
    slope: NDArray[np.uint16]
    bias: NDArray[np.uint16]
    dc: NDArray[np.uint16]
    dc_bias: NDArray[np.uint16]

    def __post_init__(self) -> None:
        weights = [w.astype(np.int64).sum(axis=0) for w in (self.same, self.near, self.slope)]
        largest = SIZE_CAP * (weights[0] + 4 * weights[1]) + SLOPE_CAP * weights[2] + self.bias
        dc = DC_CAP * self.dc.astype(np.int64).sum(axis=1).max() + int(self.dc_bias.max())
        if max(int(largest.max()), int(dc)) >= _EXACT:
            raise BundleError("context model: sums reach 2^23, not exact in float32")

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return self.cuts[0]

    @property
    def layers(self) -> int:
        """Layers of symbols: the DC lattices, then AC."""
        return LATTICES + len(self.cuts) - 1

    def channels_of(self, layer: int) -> slice:
        """Return the channels of a layer, 1..layers, in `order`."""
        if layer <= LATTICES:
            return slice(0, self.bands)
        return slice(*self.cuts[layer - LATTICES - 1 : layer - LATTICES + 1])

    @property
    def widest_layer(self) -> int:
        """Channels of the layer that has most."""
        return int(np.diff([0, *self.cuts]).max())

    @property
    def features(self) -> int:
        """Numbers that the sums of a position may depend on, see `ContextState`."""
        return self._first + 2 * self.cuts[-1]

    @property
    def _first(self) -> int:
        """Features before those of channels: one for the bias, then the slopes."""
        return 1 + len(self.slope)

    def features_of(self, layer: int) -> tuple[slice, slice]:
        """Return where the magnitudes of a layer's symbols are, and those of its neighbours."""
        part = self.channels_of(layer)
        count = part.stop - part.start
        first = self._first + 2 * part.start
        return slice(first, first + count), slice(first + count, first + 2 * count)

    @cached_property
    def matrices(self) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Which features the sums of each AC layer depend on, and their weights, a row for each."""
        found = []
        for layer in range(LATTICES + 1, self.layers + 1):
            channels = self.channels_of(layer)
            part = slice(channels.start - self.bands, channels.stop - self.bands)
            weights = np.zeros((self.features, part.stop - part.start), np.float32)
            weights[0], weights[1 : self._first] = self.bias[part], self.slope[:, part]
            for earlier in range(LATTICES, layer):
                size, near = self.features_of(earlier)
                weights[size] = self.same[self.channels_of(earlier), part]
                weights[near] = self.near[self.channels_of(earlier), part]
            used = np.flatnonzero(weights.any(axis=1))
            found.append((used, weights[used]))
        return found

    @cached_property
    def macs_per_position(self) -> int:
        """Multiply-accumulates of the sums, zero weights too, per position of 8x8 pixels."""
        layers = map(self.channels_of, range(LATTICES + 1, self.layers + 1))
        ac = sum((part.stop - part.start) * (self._first - 1 + 2 * part.start) for part in layers)
        return int(ac + self.dc[0].size)


class ContextState:
    """What is known of a batch of tiles while their layers are coded or read.

    The sums of a layer of AC symbols are one product of features: a 1 for the bias, the slopes, and
    layer by layer magnitudes and those of neighbours, each for all positions of all tiles.
    """

    def __init__(
        self, model: ContextModel, tiles: int, rows: int, cols: int, unit: int = STEP
    ) -> None:
        """Know nothing yet.

        Args:
            model: weights of the sums.
            tiles: tiles in the batch.
            rows: rows of positions.
            cols: columns of positions.
            unit: unit of symbols and predictions, in 1/64 step, 64 or 32; features are in steps.
        """
        self.model = model
        self._unit = np.float32(unit / STEP)
        self._caps = _CAPS[unit]
        self.shape = (tiles, rows, cols)
        self._dc: Ints = np.zeros((*self.shape, model.bands), np.int32)
        self._features = np.zeros((model.features, tiles * rows * cols), np.float32)
        self._features[0] = 1
        row, col = np.indices((rows, cols)).reshape(2, -1)
        kinds = np.where(row % 2 == col % 2, row % 2, 2)
        self._lattices = [np.nonzero(kinds == lattice)[0] for lattice in range(LATTICES)]
        self._beside = np.eye(cols, k=1, dtype=np.float32) + np.eye(cols, k=-1, dtype=np.float32)

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
            symbols = self._dc
        of_size, of_near = (self._features[part] for part in self.model.features_of(layer))
        of_size[:] = self._feature(symbols, self._caps[0]).reshape(-1, len(of_size)).T
        size, near = (part.reshape(-1, *self.shape[1:]) for part in (of_size, of_near))
        lines = -1, self.shape[2]
        np.matmul(size.reshape(lines), self._beside, out=near.reshape(lines))  # left and right
        near[:, 1:] += size[:, :-1]
        near[:, :-1] += size[:, 1:]

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
        slopes = self._feature(np.concatenate([across, down], axis=3), self._caps[1])
        self._features[1 : 1 + slopes.shape[3]] = slopes.reshape(-1, slopes.shape[3]).T

    def _ac_sums(self, layer: int) -> NDArray[np.float32]:
        used, weights = self.model.matrices[layer - LATTICES - 1]
        sums: NDArray[np.float32] = np.take(self._features, used, axis=0).T @ weights
        return sums.reshape(self.shape[0], -1, sums.shape[1])

    def _dc_sums(self, lattice: int) -> tuple[NDArray[np.float32], Ints]:
        """Predict a lattice from the ones before: from four corners, or four sides."""
        tiles, rows, cols = self.shape
        places = self._lattices[lattice]
        bands = self.model.bands
        bias = self.model.dc_bias[lattice].astype(np.float32)
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
        weights = self.model.dc[lattice - 1].astype(np.float32)
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
