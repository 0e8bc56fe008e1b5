"""Linear synthesis: symbols of tiles to digital numbers, each tile alone (SPEC.md, section 12).

In float32, or in float64 for the exact image: there every number is a multiple of a power of two,
and every sum below 2^53 of them, so that it is the same whatever order a processor adds in.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.context import BLOCK, FREQUENCIES, Ints
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD, Quantisation
from onboard.codec.lapped.transform import LappedTransform

CELL = 4
"""Pixels of a side of what the refinement network sees as one cell."""
SYNTHESIS_UNIT = 1 << 14
"""What weights of synthesis filters are divided by (SPEC.md, section 12)."""
GRID = 64
"""What numbers of the exact image are multiples of 1 over, in DN."""
LIMIT = 1 << 22
"""DN; no number of the exact image is farther from 0."""
STEP_GRID = 4096
"""What steps of the exact image are multiples of 1 over, in DN."""
Real = NDArray[Any]
"""float32, or float64 for the exact image."""
_PARITY = np.array([1, -1] * (BLOCK // 2), np.float32)
_ROW_SIGN = np.repeat(_PARITY, BLOCK)
_COL_SIGN = np.tile(_PARITY, BLOCK)


@dataclass(frozen=True)
class LinearTiles:
    """Tiles of one shape and all that their linear synthesis takes.

    Attributes:
        values: (tiles, rows, cols, channels), what symbols stand for, in steps; channels in the
            context model's order. Its type is that of all that follows.
        steps: (tiles, 1, 1, 1), step of each tile, DN, or (tiles, rows, cols, channels) of each
            symbol.
        angles: uint8 (tiles, angles), angles of each band transform.
        means: int64 (tiles, bands), mean of each band, DN.
    """

    values: Real
    steps: Real
    angles: NDArray[np.uint8]
    means: NDArray[np.int64]

    def take(self, part: slice) -> "LinearTiles":
        """Return some of the tiles."""
        return LinearTiles(self.values[part], self.steps[part], self.angles[part], self.means[part])


def reconstruct(
    quantizer: Quantisation, residual: Ints, rows: Ints, mean: NDArray[np.float32] | Ints | int
) -> NDArray[np.float32]:
    """Return what symbols stand for, in steps: prediction and codeword of the residual.

    Args:
        quantizer: quantizer whose codewords stand for the residuals.
        residual: residuals as they were coded.
        rows: row of the tables for each residual.
        mean: prediction of each symbol, in steps.
    """
    table = np.zeros((len(quantizer.codewords), 2 * LARGEST_WORD + 1), np.float32)
    table[:, LARGEST_WORD + 1 :] = quantizer.codewords / np.float32(256)
    table[:, :LARGEST_WORD] = -table[:, :LARGEST_WORD:-1]
    found = np.zeros(residual.shape, np.float32)
    found += np.asarray(mean, np.float32)
    some = np.flatnonzero(residual)  # few are not 0
    away = residual.take(some)
    near = np.clip(away, -LARGEST_WORD, LARGEST_WORD)
    value = table.take(rows.take(some) * (2 * LARGEST_WORD + 1) + near + LARGEST_WORD)
    value += (away - near).astype(np.float32)
    found.reshape(-1)[some] += value
    return found


def settled(numbers: Real) -> Real:
    """Bring float64 numbers, in place, to the grid and the limits of the exact image."""
    if numbers.dtype == np.float64:
        numbers *= GRID
        np.rint(numbers, out=numbers)
        np.clip(numbers, -LIMIT * GRID, LIMIT * GRID, out=numbers)
        numbers /= GRID
    return numbers


def synthesise(transform: LappedTransform, latents: Real, step: int = 1) -> Real:
    """Return planes (n, 8 rows, 8 cols) of latents (n, rows, cols, 64), mirrored at the border.

    Args:
        transform: filters.
        latents: of 64 frequencies, or of the first ones alone.
        step: 1, 2 or 4: planes are the means of squares of so many pixels on a side.
    """
    count, rows, cols, depth = latents.shape
    kind, block = latents.dtype, BLOCK // step
    row_sign, col_sign = _ROW_SIGN[:depth], _COL_SIGN[:depth]
    wide = np.empty((count, rows + 2, cols + 2, depth), kind)
    wide[:, 1:-1, 1:-1] = latents
    wide[:, 0, 1:-1], wide[:, -1, 1:-1] = latents[:, 0] * row_sign, latents[:, -1] * row_sign
    wide[:, :, 0], wide[:, :, -1] = wide[:, :, 1] * col_sign, wide[:, :, -2] * col_sign
    # Blocks between the middles of positions: each takes a quarter of four filters.
    around = np.empty((count, rows + 1, cols + 1, 2, 2, depth), kind)
    for row, col in product(range(2), repeat=2):
        around[..., row, col, :] = wide[:, row : row + rows + 1, col : col + cols + 1]
    taps = transform.synthesis[:depth].reshape(depth, 2 * block, step, 2 * block, step)
    means = taps.astype(kind).mean(axis=(2, 4)) if step > 1 else taps
    filters = means.reshape(depth, 2, block, 2, block)[:, ::-1, :, ::-1]
    quarters = filters.transpose(1, 3, 0, 2, 4).reshape(-1, block**2).astype(kind)
    quarters /= SYNTHESIS_UNIT
    blocks = (around.reshape(-1, len(quarters)) @ quarters).reshape(
        count, rows + 1, cols + 1, block, block
    )
    planes = blocks.transpose(0, 1, 3, 2, 4).reshape(count, (rows + 1) * block, -1)
    half = block // 2
    inner: Real = planes[:, half:-half, half:-half]
    return inner


def tile_borders(tile: int, first_row: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return where tiles meet, float32 (2, rows, cols) of cells.

    Along the rows and along the columns: 1 in the first cell of a tile, -1 in the last, else 0.

    Args:
        tile: side of a tile, cells.
        first_row: first row in the scene, cells; columns begin with the scene's.
        shape: rows and columns, cells.
    """
    found = np.zeros((2, *shape), np.float32)
    for plane, first in enumerate((first_row, 0)):
        place = (first + np.arange(shape[plane])) % tile
        line = (place == 0).astype(np.float32) - (place == tile - 1)
        found[plane] = line[:, None] if plane == 0 else line[None]
    return found


def to_bands(planes: Real, angles: NDArray[np.uint8], means: NDArray[np.int64]) -> Real:
    """Return bands (tiles, bands, rows, cols) in DN of components (tiles * bands, rows, cols)."""
    count, bands = means.shape
    matrix = bandtransform.matrix(angles, bands).astype(planes.dtype)
    matrix /= 1 << bandtransform.SHIFT
    flat = planes.reshape(count, bands, -1)
    rotated = matrix.transpose(0, 2, 1) @ flat
    rotated += means[:, :, None].astype(planes.dtype)
    return rotated.reshape(count, bands, *planes.shape[1:])


def linear_bands(coder: LappedModel, tiles: LinearTiles) -> Real:
    """Return bands (tiles, bands, rows, cols) in DN of what the symbols of tiles stand for."""
    count, rows, cols, _ = tiles.values.shape
    bands = tiles.means.shape[1]
    place = np.argsort(coder.contexts.order)
    latents = settled((tiles.values * tiles.steps).take(place, axis=3))
    planes = latents.reshape(count, rows, cols, bands, FREQUENCIES).transpose(0, 3, 1, 2, 4)
    flat = planes.reshape(-1, rows, cols, FREQUENCIES)
    back = settled(synthesise(coder.transform, flat))
    return settled(to_bands(back, tiles.angles, tiles.means))
