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
SLOPE_CAP = 2 * SIZE_CAP
DC_CAP = 2047
_LEVEL_ZERO = (127 + 2) << 2  # a sum of 4 begins level 0: exponent and two bits of a float32
_EXACT = 1 << 24

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class ContextModel:
    """Integer weights of the context model, in 1/256.

    Attributes:
        order: channels (component * 64 + frequency): the DC of each component, then AC by layer.
        cuts: where each AC layer begins in `order`; the last entry is the number of channels.
        same: u16 (channels, AC channels), weights of magnitudes at the same place, both in `order`.
        near: the same for the sum of the four neighbours.
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
            raise BundleError("context model: sums reach 2^24, not exact in float32")

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

    @cached_property
    def _matrices(self) -> list[tuple[NDArray[np.float32], ...]]:
        """Weights of each AC layer as float32: same, near, slope, bias."""
        found: list[tuple[NDArray[np.float32], ...]] = []
        for first, stop in zip(self.cuts[:-1], self.cuts[1:], strict=True):
            part = slice(first - self.bands, stop - self.bands)
            found.append(
                (
                    np.ascontiguousarray(self.same[:first, part], np.float32),
                    np.ascontiguousarray(self.near[:first, part], np.float32),
                    self.slope[:, part].astype(np.float32),
                    self.bias[part].astype(np.float32),
                )
            )
        return found

    @cached_property
    def macs_per_position(self) -> int:
        """Multiply-accumulates of the sums, per position of 8x8 pixels."""
        ac = sum(m.size for parts in self._matrices for m in parts[:3])
        return int(ac + self.dc[0].size)


class ContextState:
    """What is known of a batch of tiles while their layers are coded or read."""

    def __init__(self, model: ContextModel, tiles: int, rows: int, cols: int) -> None:
        self.model = model
        self.shape = (tiles, rows, cols)
        channels = model.cuts[-1]
        self._dc: Ints = np.zeros((*self.shape, model.bands), np.int32)
        self._size = np.zeros((*self.shape, channels), np.float32)
        self._near = np.zeros((*self.shape, channels), np.float32)
        self._slopes = np.zeros((*self.shape, 2 * model.bands), np.float32)
        row, col = np.indices((rows, cols)).reshape(2, -1)
        kinds = np.where(row % 2 == col % 2, row % 2, 2)
        self._lattices = [np.nonzero(kinds == lattice)[0] for lattice in range(LATTICES)]

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

    def context(self, layer: int) -> tuple[Ints, Ints | int]:
        """Return level and predicted value of each symbol of a layer (tiles, positions, channels).

        All earlier layers must have been put.
        """
        if layer > LATTICES:
            return self._ac_level(layer), 0
        return self._dc_level(layer - 1)

    def put(self, layer: int, symbols: Ints) -> None:
        """Set the symbols (tiles, positions, channels) of a layer."""
        if layer <= LATTICES:
            self.set(self._dc, layer, symbols)
            if layer < LATTICES:
                return
            self._set_slopes()
            symbols = self._dc
        size = np.minimum(np.abs(symbols), SIZE_CAP).astype(np.float32)
        size = size.reshape(*self.shape, -1)
        near = np.zeros_like(size)
        near[:, 1:] += size[:, :-1]
        near[:, :-1] += size[:, 1:]
        near[:, :, 1:] += size[:, :, :-1]
        near[:, :, :-1] += size[:, :, 1:]
        part = self.channels(layer)
        self._size[..., part] = size
        self._near[..., part] = near

    def _set_slopes(self) -> None:
        """Take the differences of the DC left and right of each position, above and below it."""
        _, rows, cols = self.shape
        before, after = (
            np.maximum(np.arange(cols) - 1, 0),
            np.minimum(np.arange(cols) + 1, cols - 1),
        )
        across = np.abs(self._dc[:, :, before] - self._dc[:, :, after])
        before, after = (
            np.maximum(np.arange(rows) - 1, 0),
            np.minimum(np.arange(rows) + 1, rows - 1),
        )
        down = np.abs(self._dc[:, before] - self._dc[:, after])
        self._slopes[:] = np.minimum(np.concatenate([across, down], axis=3), SLOPE_CAP)

    def _ac_level(self, layer: int) -> Ints:
        same, near, slope, bias = self.model._matrices[layer - LATTICES - 1]
        known = len(same)
        channels = self.model.cuts[-1]
        sums = self._size.reshape(-1, channels)[:, :known] @ same
        sums += self._near.reshape(-1, channels)[:, :known] @ near
        sums += self._slopes.reshape(-1, len(slope)) @ slope
        sums += bias
        return _levels(sums).reshape(self.shape[0], -1, sums.shape[1])

    def _dc_level(self, lattice: int) -> tuple[Ints, Ints]:
        """Predict a lattice from the ones before: from four corners, or four sides."""
        tiles, rows, cols = self.shape
        places = self._lattices[lattice]
        bands = self.model.bands
        bias = self.model.dc_bias[lattice].astype(np.float32)
        if lattice == 0:
            level = _levels(np.broadcast_to(bias, (tiles, len(places), bands)).copy())
            return level, np.zeros(level.shape, np.int32)
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
                np.abs(one - last),
                np.abs(two - three),
                np.abs(one - two) + np.abs(three - last),
                np.abs(one - three) + np.abs(two - last),
            ],
            axis=3,
        )
        capped = np.minimum(features, DC_CAP).astype(np.float32)
        weights = self.model.dc[lattice - 1].astype(np.float32)
        sums = capped.reshape(tiles, len(places), len(weights)) @ weights + bias
        return _levels(sums), (one + two + three + last + 2) >> 2


def _mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return an index mirrored about the first and last of `size` places; `size` if it cannot."""
    low = np.where(index < 0, 1 if size > 1 else size, index)
    return np.asarray(np.where(low == size, size - 2 if size > 1 else size, low), np.int64)


def _levels(sums: NDArray[np.float32]) -> Ints:
    """Return four levels per octave of the sums, from 4 on, 0..63."""
    steps: Ints = np.ascontiguousarray(sums).view(np.int32) >> 21
    steps -= _LEVEL_ZERO
    return np.clip(steps, 0, LEVELS - 1, out=steps)
