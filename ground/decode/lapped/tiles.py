"""Linear tiles: what was read of a batch of tiles to digital numbers, before refinement."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.mosaic import moved_back
from ground.decode.lapped.projection import half_cells, pays, project
from ground.decode.lapped.synthesis import (
    STEP_GRID,
    LinearTiles,
    Real,
    linear_bands,
    reconstruct,
)
from onboard.codec.lapped.context import LATTICES
from onboard.codec.lapped.frontends.frontend import LappedSide
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.read.layers import Read
from onboard.codec.lapped.transform import SUB_STEPS


def linear_tiles(
    coder: LappedModel, found: Read, sides: Sequence[LappedSide], exact: bool = False
) -> Iterator[Real]:
    """Yield tile by tile (bands, rows, cols) in DN, whole positions.

    Args:
        coder: lapped codec.
        found: symbols of the tiles.
        sides: side information of each tile.
        exact: whether to reckon as for the exact image (SPEC.md, section 12), in float64.
    """
    steps = np.array([side.step for side in sides])
    kind = np.float64 if exact else np.float32
    each = steps_of(coder, found, steps)
    if exact:
        each = np.rint(each * STEP_GRID) / STEP_GRID
    tiles = LinearTiles(
        values_of(coder, found).astype(kind, copy=False),
        each.astype(kind),
        np.array([side.angles for side in sides], np.uint8),
        np.array([side.means for side in sides], np.int64),
    )
    fine = pays(found, steps) & (found.complete == coder.contexts.layers)
    symbols = _symbols(coder, found) if fine.any() else None
    # One by one, so that no pixel depends on what else arrived, not even by how sums are rounded.
    for number in range(len(sides)):
        here = slice(number, number + 1)
        bands = linear_bands(coder, tiles.take(here))
        if symbols is not None and fine[number]:
            sent, cells = replace(tiles, values=symbols[0].astype(kind, copy=False)), symbols[1]
            bands = project(coder, bands, sent.take(here), cells[here])
        if coder.front_end.aligned:
            bands = moved_back(bands.astype(np.float32), tiles.means[here])
        yield from bands


def steps_of(coder: LappedModel, found: Read, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the step of each symbol, as `LinearTiles` has it, from those of tiles in DN."""
    of_dc = steps[:, None, None, None]
    if found.coarser is None:
        return of_dc
    is_dc = np.arange(_channels(coder, found)) < coder.bands
    return np.where(is_dc, of_dc, of_dc * 2.0 ** (found.coarser[..., None] / SUB_STEPS))


def _channels(coder: LappedModel, found: Read) -> int:
    """Return the channels of the layers that were read."""
    return coder.contexts.cuts[max(len(found.layers) - LATTICES, 0)]


def values_of(coder: LappedModel, found: Read) -> NDArray[np.float32]:
    """Return what symbols stand for, in steps, (tiles, rows, cols, channels): of layers read."""
    values = np.zeros((*found.state.shape, _channels(coder, found)), np.float32)
    for number, layer in enumerate(found.layers, 1):
        mean = np.asarray(layer.mean, np.float32) * np.float32(found.points.in_steps)
        value = reconstruct(coder.quantisation, layer.residual, layer.rows, mean)
        found.state.set(values, number, value)
    return values


def _symbols(coder: LappedModel, found: Read) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return whole symbols in steps and half their cells, (tiles, rows, cols, channels)."""
    shape = (*found.state.shape, coder.contexts.cuts[-1])
    symbols, cells = (np.zeros(shape, np.float32) for _ in range(2))
    for number, layer in enumerate(found.layers, 1):
        values = (layer.values + layer.mean).astype(np.float32)
        values *= np.float32(found.points.in_steps)
        found.state.set(symbols, number, values)
        found.state.set(cells, number, half_cells(coder, values, layer.rows, found.points))
    return symbols, cells
