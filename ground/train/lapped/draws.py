"""What the lapped codec is trained on: steps drawn for tiles, and how their streams decode."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.synthesis import CELL
from ground.decode.lapped.tiles import linear_tiles
from ground.train.lapped.recipe import WINDOW, LappedRecipe
from ground.train.lapped.steps import codes_of, steps_of
from onboard.codec.lapped.context import LATTICES
from onboard.codec.lapped.contextstate import ContextState
from onboard.codec.lapped.frontends.frontend import LappedSide
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import PLAIN, QUANTIZERS, TRELLIS
from onboard.codec.lapped.read.layers import LayerRead, Read
from onboard.codec.lapped.scan import Scanner


def draw_codes(tiles: NDArray[np.uint16], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a step code for each tile: mostly around its own detail, else any of use."""
    near = _detail(tiles) * 2 ** rng.uniform(-0.7, 3.5, len(tiles))
    return _codes(
        np.where(rng.random(len(tiles)) < 0.6, near, 2 ** rng.uniform(3, 8.2, len(tiles)))
    )


def _useful_codes(tiles: NDArray[np.uint16], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw a step code for each tile, of compression ratios from 5 to 50 mostly."""
    codes = _codes(_detail(tiles) * 2 ** rng.uniform(-0.2, 2.2, len(tiles)))
    return np.where(rng.random(len(tiles)) < 0.8, codes, draw_codes(tiles, rng))


def _detail(tiles: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return the mean difference of neighbours of each tile, DN, within useful bounds."""
    differences = np.abs(np.diff(tiles.astype(np.float32), axis=3))
    found: NDArray[np.float32] = differences.mean((1, 2, 3)).clip(4, 400)
    return found


def _codes(steps: NDArray[Any]) -> NDArray[np.int64]:
    """Return the codes nearest to steps in DN, within useful bounds."""
    return codes_of(steps.clip(4, 2_000))


def both_kinds(first: int, count: int) -> list[tuple[int, str]]:
    """Return seeds of draws from a first on, every other of dependent tiles."""
    return [(draw, (PLAIN, TRELLIS)[draw % 2]) for draw in range(first, first + count)]


def split(windows: NDArray[np.uint16], tile: int) -> NDArray[np.uint16]:
    """Cut windows into tiles, row by row."""
    count, bands, size, _ = windows.shape
    side = size // tile
    parts = windows.reshape(count, bands, side, tile, side, tile).transpose(0, 2, 4, 1, 3, 5)
    return parts.reshape(-1, bands, tile, tile)


def rebuilt(
    coder: LappedModel,
    windows: NDArray[np.uint16],
    recipe: LappedRecipe,
    draw: int,
    quantizer: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return windows as their streams decode linearly, their steps, and what share arrived."""
    rng = np.random.default_rng([recipe.seed, draw])
    side = WINDOW // recipe.tile
    layers = coder.contexts.layers
    images, steps, shares = [], [], []
    for first in range(0, len(windows), 16):
        part = windows[first : first + 16]
        codes = _useful_codes(part, rng)
        count = len(part) * side * side
        lost = rng.random(count) < recipe.loss_share
        keep = np.where(lost, rng.integers(LATTICES, layers, count), layers)
        tiles = _rebuilt_tiles(
            coder, split(part, recipe.tile), np.repeat(codes, side**2), keep, quantizer
        )
        shape = (len(part), side, side, recipe.bands, recipe.tile, recipe.tile)
        joined = tiles.reshape(shape).transpose(0, 3, 1, 4, 2, 5)
        images.append(joined.reshape(len(part), recipe.bands, WINDOW, WINDOW))
        steps.append(steps_of(codes) * QUANTIZERS[quantizer](coder).points.plain_share)
        cells = (keep / layers).reshape(len(part), 1, side, side)
        shares.append(cells.repeat(recipe.tile // CELL, 2).repeat(recipe.tile // CELL, 3))
    return (
        np.concatenate(images).astype(np.float32),
        np.concatenate(steps).astype(np.float32),
        np.concatenate(shares).astype(np.float32),
    )


def _rebuilt_tiles(
    coder: LappedModel,
    tiles: NDArray[np.uint16],
    codes: NDArray[np.int64],
    keep: NDArray[np.int64],
    quantizer: str,
) -> NDArray[np.float32]:
    """Return tiles linearly rebuilt from their first `keep` layers."""
    present = np.ones((len(tiles), *tiles.shape[2:]), np.bool_)
    prepared = PreparedTiles.of(coder, tiles, present)
    codes = np.maximum(codes, prepared.finest(coder))
    scanner = Scanner(coder, QUANTIZERS[quantizer](coder))
    points = scanner.quantizer.points
    layers = []
    for number, layer in enumerate(scanner.scan(prepared.latents, codes), 1):
        rows, residual = (np.zeros(layer.values.shape, np.int32) for _ in range(2))
        rows.reshape(-1)[layer.pending.coded] = layer.quantised.rows
        residual.reshape(-1)[layer.pending.coded] = layer.quantised.indices
        kept = (keep >= number)[:, None, None]
        layers.append(LayerRead(rows, layer.mean, residual * kept, layer.values * kept))
    state = ContextState(coder.contexts, *prepared.latents.shape, points.unit)
    sides = [
        LappedSide(tuple(means), int(code), tuple(angles))
        for means, code, angles in zip(
            prepared.means.tolist(), codes, prepared.angles.tolist(), strict=True
        )
    ]
    return np.stack(list(linear_tiles(coder, Read(layers, state, keep, [], points), sides)))
