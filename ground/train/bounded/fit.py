"""Fit: all integers of the bounded codec, from tiles."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ground.train.bounded import coefficients, contexts, frequencies
from onboard.codec.bounded.analysis import Analyser, BandScan
from onboard.codec.bounded.context import scaled
from onboard.codec.bounded.model import (
    COEFFICIENTS,
    ROLES,
    WEIGHTS,
    BoundedModel,
    coefficient_count,
    references,
    role,
    weight_count,
)
from onboard.codec.bounded.neighbours import neighbours
from onboard.codec.bounded.tables import BEGINS, ESCAPE, LEVELS, REST_BITS, SYMBOLS, Tables

BOUNDS = (0, 1, 2, 4, 8, 16)
"""Bounds, in DN, that tables and weights are fitted for together."""
_ROUNDS = 2
_TILES_AT_ONCE = 32
_SHARE = 0.02
"""Share of samples that weights are fitted to."""
_FIRST_SPREAD = 28
_BIAS = 32


def fit(batches: Sequence[NDArray[np.int64]]) -> BoundedModel:
    """Fit a model.

    Args:
        batches: tiles (tiles, bands, rows, cols), in DN, of one shape each.
    """
    model = _start(coefficients.fit(batches))
    for _ in range(_ROUNDS):
        model = _with_contexts(model, batches)
        model = _with_tables(model, batches)
    return model


def _start(static: NDArray[np.int16]) -> BoundedModel:
    weights = np.zeros((ROLES, WEIGHTS), np.uint16)
    for number in range(ROLES):
        weights[number, : weight_count(number)] = contexts.UNIT // weight_count(number)
    spreads = np.full((ROLES, COEFFICIENTS), _FIRST_SPREAD, np.uint8)
    bias = np.full(ROLES, _BIAS, np.uint16)
    return BoundedModel(static, spreads, weights, bias, Tables(frequencies.fit(_laplace())))


def _laplace() -> NDArray[np.int64]:
    """Return counts of residuals of Laplace distributions of the mean of each level."""
    number = (np.arange(ESCAPE) + 1) // 2
    low, high = BEGINS[number], BEGINS[number] + (1 << REST_BITS[number].astype(np.int64))
    mean = 2.0 ** (np.arange(LEVELS)[:, None] / 4 + 5) / contexts.UNIT
    share = np.exp(-low / mean) - np.exp(-high / mean)
    counts = np.zeros((LEVELS, SYMBOLS), np.int64)
    counts[:, :ESCAPE] = 1e7 * share / np.where(number, 2, 1)
    return counts


def scan(model: BoundedModel, tiles: NDArray[np.int64], bound: int) -> list[BandScan]:
    """Return the bands of tiles at a bound of all their values."""
    count, bands, rows, cols = tiles.shape
    analyser = Analyser(model, (rows, cols), np.ones((count, rows * cols), np.bool_))
    scans: list[BandScan] = []
    for band in range(bands):
        values = tiles[:, band].reshape(count, -1)
        values = (values - values.min(axis=1, keepdims=True)).astype(np.int32)
        most = values.max(axis=1).astype(np.int64)
        scans.append(analyser.scan(values, most, np.full(count, bound), scans))
    return scans


def _scanned(
    model: BoundedModel, batches: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[tuple[int, int], list[BandScan]]]:
    for tiles in batches:
        for first in range(0, len(tiles), _TILES_AT_ONCE):
            part = tiles[first : first + _TILES_AT_ONCE]
            for bound in BOUNDS:
                yield (part.shape[2], part.shape[3]), scan(model, part, bound)


def _with_contexts(model: BoundedModel, batches: Sequence[NDArray[np.int64]]) -> BoundedModel:
    """Return the model with weights and spreads fitted to what it makes of tiles."""
    generator = np.random.default_rng(0)
    features: list[list[NDArray[np.float32]]] = [[] for _ in range(ROLES)]
    magnitudes: list[list[NDArray[np.float32]]] = [[] for _ in range(ROLES)]
    changes: list[list[NDArray[np.int64]]] = [[] for _ in range(ROLES)]
    for shape, scans in _scanned(model, batches):
        near = neighbours(*shape)
        for band, found in enumerate(scans):
            around = [found.energy.take(near.causal, axis=1)]
            for number, other in enumerate(references(band)):
                energy = scaled(scans[other].energy, found.scales[:, number])
                around.append(energy.take(near.around, axis=1))
            chosen = generator.random(found.sizes.shape) < _SHARE
            features[role(band)].append(np.concatenate(around, 1).transpose(0, 2, 1)[chosen])
            magnitudes[role(band)].append(found.energy[:, :-1][chosen])
            changes[role(band)].append(found.predictor.changes[found.predictor.own])
    weights, spreads = model.weights.copy(), model.spreads.copy()
    for number in range(ROLES):
        if not features[number]:
            continue
        fitted = contexts.fit(np.concatenate(features[number]), np.concatenate(magnitudes[number]))
        weights[number, : weight_count(number)] = fitted
        mean = np.abs(np.concatenate(changes[number])).mean(axis=0)
        levels = np.floor(4 * np.log2(mean * contexts.UNIT + 1)) - 20
        spreads[number, : coefficient_count(number)] = np.clip(levels, 0, LEVELS - 1)
    return replace(model, weights=weights, spreads=spreads)


def _with_tables(model: BoundedModel, batches: Sequence[NDArray[np.int64]]) -> BoundedModel:
    """Return the model with tables fitted to what it makes of tiles."""
    counts = np.zeros((LEVELS, SYMBOLS), np.int64)
    for _, scans in _scanned(model, batches):
        for found in scans:
            symbols = model.tables.symbol_of(found.residuals)
            places = found.levels * SYMBOLS + symbols
            counts += np.bincount(places.reshape(-1), minlength=counts.size).reshape(counts.shape)
    return replace(model, tables=Tables(frequencies.fit(counts)))
