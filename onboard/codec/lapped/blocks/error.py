"""Block error: what squared error the ground will find in each block of a tile (SPEC.md, 22).

The synthesis is nearly orthonormal, so the error of a block is that of the latents that lie in it,
as they are quantised, weighted by the squared length of their synthesis filters. All integers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.blocks import UNIT, Blocks
from onboard.codec.lapped import floors
from onboard.codec.lapped.context import FREQUENCIES, LATTICES, STEP, Ints
from onboard.codec.lapped.contextstate import ContextState
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD
from onboard.codec.lapped.scan import Layer, Scanner, is_far, tile_codes
from onboard.codec.lapped.transform import EIGHTH_OCTAVES, Latents
from onboard.codec.tile import Steps

_REFINED, _LINEAR = (1_003, 125), (1_044, 82)
"""Error on the ground over that of the latents, in 1/1024: of blocks of zeros, and what the share
of symbols other than 0, squared, adds: the synthesis is not quite the inverse of the analysis. Of
scenes that the decoder network refines, and of others: found on training scenes."""
_WHOLE = 1_024


@dataclass(frozen=True)
class BlockError:
    """Finds the errors of blocks.

    Attributes:
        scanner: quantises.
    """

    scanner: Scanner

    def blocks(self, latents: Latents, side: int) -> Blocks:
        """Return the blocks of tiles; arguments as of `errors`."""
        fixed = UNIT * (1 + np.where(latents.shifts > 0, 1 << 2 * latents.shifts, 0)) // 12
        return Blocks(self._samples(*latents.shape[1:], side), fixed)

    def errors(self, latents: Latents, steps: Steps, side: int) -> NDArray[np.int64]:
        """Return the squared errors (tiles, rows, cols) of blocks that steps make, in 1/4096 DN^2.

        Args:
            latents: latents of the tiles.
            steps: step codes, of tiles or of positions.
            side: rows and columns of a block in positions.
        """
        found, far = self._quantised(latents, steps, side, None)
        if len(again := np.flatnonzero(far)):
            least = floors.least_levels(self.scanner.model, [{}] * len(again))
            full, _ = self._quantised(latents.take(again), steps[again], side, least)
            found[again] = full
        return found

    def _quantised(
        self, latents: Latents, steps: Steps, side: int, least: Ints | None
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return errors of blocks (tiles, rows, cols), and whether tiles must be full."""
        tiles, rows, cols = latents.shape
        of_dc, of_ac, symbols = np.zeros((3, tiles, rows, cols), np.int64)
        far = np.zeros(tiles, np.bool_)
        lattices = ContextState(self.scanner.model.contexts, 1, rows, cols)
        power = self.scanner.model.border_power.T.astype(np.float64)  # sums are below 2^53
        kinds = _kinds(rows, cols)
        for number, (layer, lost) in enumerate(self._lost(latents, steps, least), 1):
            far |= is_far(layer.left_out)
            here = lattices.lattice(number) if number <= LATTICES else slice(None)
            each = (lost * lost) @ power[self._channels(number)]
            each = np.take_along_axis(each, kinds[None, here, None], axis=2)
            weighed = each[..., 0].astype(np.int64)
            count = np.count_nonzero(layer.values, axis=2)
            if number <= LATTICES:
                of_dc.reshape(tiles, -1)[:, here] = weighed
                symbols.reshape(tiles, -1)[:, here] = count
            else:
                of_ac += weighed.reshape(tiles, rows, cols)
                symbols += count.reshape(tiles, rows, cols)
        base = tile_codes(steps)
        of_ac = _in_units(of_ac, steps if steps.ndim == 3 else base[:, None, None])
        error = _by_block(of_ac + _in_units(of_dc, base[:, None, None]), side)
        share = _by_block(symbols, side) * _WHOLE // self._samples(rows, cols, side)
        of_zeros, of_symbols = _REFINED if self._is_refined else _LINEAR
        more = of_zeros + of_symbols * share * share // (_WHOLE * _WHOLE)
        found: NDArray[np.int64] = (error >> 5) * more >> 5
        return found, far

    def _lost(
        self, latents: Latents, steps: Steps, least: Ints | None
    ) -> Iterator[tuple[Layer, NDArray[np.float64]]]:
        """Yield layers, and how far their symbols are from what they stand for, in 1/64 step."""
        short = self.scanner.model.quantisation.short
        for layer in self.scanner.scan(latents, steps, least):
            lost = layer.away.astype(np.float64, order="C")
            index = layer.quantised.indices
            near = np.minimum(np.abs(index), LARGEST_WORD)
            less = short[layer.quantised.rows * (LARGEST_WORD + 1) + near]
            lost.reshape(-1)[layer.pending.coded] -= STEP * index - np.sign(index) * less
            yield layer, lost

    @property
    def _is_refined(self) -> bool:
        """Whether the decoder network was trained for such scenes."""
        model = self.scanner.model
        front_end = model.front_end
        usual = front_end.fraction == 0 and not front_end.aligned
        return usual and model.bands == model.weights.classes

    def _samples(self, rows: int, cols: int, side: int) -> NDArray[np.int64]:
        """Return the samples of each block of tiles of so many positions."""
        of_position = self.scanner.model.bands * FREQUENCIES
        return np.asarray(_by_block(np.full((1, rows, cols), of_position, np.int64), side)[0])

    def _channels(self, layer: int) -> slice:
        return self.scanner.model.contexts.channels_of(layer)


def _kinds(rows: int, cols: int) -> NDArray[np.int64]:
    """Return of positions how they lie: 1 in the first or last row, 2 column, 3 both, 0 neither."""
    row, col = np.indices((rows, cols)).reshape(2, -1)
    by_row, by_col = (row == 0) | (row == rows - 1), (col == 0) | (col == cols - 1)
    return np.asarray(by_row + 2 * by_col, np.int64)


def _by_block(values: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Return sums of values (tiles, rows, cols) of positions over blocks; the last may be cut."""
    _, rows, cols = values.shape
    by_rows = np.add.reduceat(values, np.arange(0, rows, side), axis=1)
    return np.asarray(np.add.reduceat(by_rows, np.arange(0, cols, side), axis=2))


def _in_units(errors: NDArray[np.int64], steps: Steps) -> NDArray[np.int64]:
    """Return weighted squared errors in 1/64 step in units."""
    scaled = (errors >> 8) * EIGHTH_OCTAVES[steps % 8] >> 12
    return np.asarray(scaled << (steps // 8) >> 2, np.int64)
