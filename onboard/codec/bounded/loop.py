"""Loop: quantises a band against predictions from decoded values (SPEC.md, section 20).

Pixels go in waves over all tiles of a batch at once: those of a wave do not depend on each other.
"""

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.model import ONE, Ints
from onboard.codec.bounded.neighbours import Neighbours, waves
from onboard.codec.bounded.prediction import Plane, parts, with_base

_HALF, _SHIFT = ONE // 2, ONE.bit_length() - 1


class Loop:
    """A band of a batch, decoded wave by wave.

    Arrays are (pixels, tiles), so that what is known of a pixel lies together.
    """

    def __init__(
        self,
        near: Neighbours,
        shape: tuple[int, int],
        coefficients: Ints,
        from_references: NDArray[np.int32],
        most: Ints,
        bound: Ints,
        valid: NDArray[np.bool_],
    ) -> None:
        """Prepare.

        Args:
            near: neighbours of the pixels.
            shape: rows and columns of a tile.
            coefficients: (tiles, 11), of the band itself, in 1/256.
            from_references: (pixels, tiles), what earlier bands give, in 1/256.
            most: (tiles,), largest value.
            bound: (tiles,), by how much values may be off.
            valid: (tiles, pixels), False where a pixel is nodata.
        """
        pixels = shape[0] * shape[1]
        self._causal = near.causal
        self._waves = waves(*shape)
        self._weights = with_base(coefficients)
        self._weights[0] += ONE
        self._given = from_references + np.int32(_HALF)
        self._most = most.astype(np.int32)
        self._bound = bound.astype(np.int32)
        self._step = 2 * self._bound + 1
        self._wrap = np.where(bound == 0, 0xFFFF, -1).astype(np.int32)
        self._nodata = None if valid.all() else np.ascontiguousarray(~valid.T)
        self._before = before(*shape)
        self.values = np.empty((pixels + 1, len(most)), np.int32)
        self.values[-1] = self._most >> 1

    def quantise(self, originals: NDArray[np.int32]) -> tuple[NDArray[np.int32], Plane]:
        """Return (tiles, pixels) the residuals of original values, and the decoded ones."""
        wanted = np.ascontiguousarray(originals.T)
        found = np.empty(wanted.shape, np.int32)
        for pixels in self._waves:
            predicted = self.predict(pixels)
            residual = wanted.take(pixels, axis=0)
            residual -= predicted
            residual += self._bound
            residual //= self._step
            found[pixels] = residual
            self._put(pixels, predicted, residual)
        found = self._without_nodata(found)
        return np.ascontiguousarray(found.T), np.ascontiguousarray(self.values.T)

    def exact(self, originals: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return (tiles, pixels) the residuals of original values that are kept as they are."""
        self.values[:-1] = originals.T
        found = np.empty(self.values[:-1].shape, np.int32)
        for part in parts(len(found)):
            np.subtract(self.values[:-1][part], self.predict(part), out=found[part])
        return np.ascontiguousarray(self._without_nodata(found).T)

    def decode(self, residuals: NDArray[np.int32]) -> Plane:
        """Return the values of residuals (tiles, pixels)."""
        given = np.ascontiguousarray(residuals.T)
        for pixels in self._waves:
            self._put(pixels, self.predict(pixels), given.take(pixels, axis=0))
        return np.ascontiguousarray(self.values.T)

    def predict(self, pixels: NDArray[np.int64] | slice) -> NDArray[np.int32]:
        """Return (pixels, tiles) the predicted values of some pixels."""
        around = self.values.take(self._causal[:, pixels], axis=0)
        around *= self._weights
        found: NDArray[np.int32] = np.add.reduce(around, axis=0, dtype=np.int32)
        found += self._given[pixels]
        found >>= _SHIFT
        np.maximum(found, 0, out=found)
        return np.minimum(found, self._most, out=found)

    def _put(
        self, pixels: NDArray[np.int64], predicted: NDArray[np.int32], residual: NDArray[np.int32]
    ) -> None:
        value = residual * self._step
        value += predicted
        value &= self._wrap
        np.maximum(value, 0, out=value)
        np.minimum(value, self._most, out=value)
        if self._nodata is not None:
            stand_ins = self.values.take(self._before[pixels], axis=0)
            np.copyto(value, stand_ins, where=self._nodata.take(pixels, axis=0))
        self.values[pixels] = value

    def _without_nodata(self, found: NDArray[np.int32]) -> NDArray[np.int32]:
        if self._nodata is not None:
            found[self._nodata] = 0
        return found


def before(rows: int, cols: int) -> NDArray[np.int64]:
    """Return which pixel stands in for each that is nodata: left of it or, in column 0, above."""
    pixel = np.arange(rows * cols)
    above = np.where(pixel >= cols, pixel - cols, rows * cols)
    return np.where(pixel % cols > 0, pixel - 1, above)


def filled(
    values: NDArray[np.int32], valid: NDArray[np.bool_], shape: tuple[int, int], most: Ints
) -> NDArray[np.int32]:
    """Return values (tiles, pixels) with stand-ins for nodata, as `Loop` has them."""
    if valid.all():
        return values
    rows, cols = shape
    # The pixel that each takes its value from: itself, or what its stand-in does.
    tiles = np.where(valid, np.arange(rows * cols), -1).reshape(-1, rows, cols)
    tiles[:, :, 0] = np.maximum.accumulate(tiles[:, :, 0], axis=1)
    source = np.maximum.accumulate(tiles, axis=2).reshape(valid.shape)
    found = np.take_along_axis(values, np.maximum(source, 0), axis=1)
    start = np.broadcast_to((most >> 1)[:, None], found.shape)
    return np.where(source < 0, start, found).astype(np.int32)
