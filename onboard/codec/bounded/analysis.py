"""Analysis: the bands of a batch, predicted and quantised (SPEC.md, section 20)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded import leastsquares
from onboard.codec.bounded.context import (
    Context,
    Energies,
    energies,
    scale_between,
    scaled,
    total,
)
from onboard.codec.bounded.leastsquares import GRID, bit_length
from onboard.codec.bounded.loop import Loop, filled
from onboard.codec.bounded.model import (
    MAX_COEFFICIENT,
    ONE,
    BoundedModel,
    Ints,
    coefficient_count,
    references,
    role,
)
from onboard.codec.bounded.neighbours import CAUSAL, Neighbours, neighbours, sampled
from onboard.codec.bounded.prediction import (
    Floats,
    Plane,
    own_differences,
    plane_of,
    reference_differences,
    reference_sums,
)
from onboard.codec.bounded.side import change_costs
from onboard.codec.bounded.tables import BIT, RAW_BITS

OWN = len(CAUSAL) - 1
_COLUMNS = 256
"""Pixels of a product of matrices: so few that OpenBLAS starts no threads, that only wait."""
_MARGIN = 4 * BIT
"""What own coefficients must save at least, in 1/256 bit."""


@dataclass(frozen=True)
class Predictor:
    """How a band of a batch is predicted.

    Attributes:
        coefficients: (tiles, n), in 1/256.
        changes: (tiles, n), in 1/64, from the static ones.
        moves: (tiles,), the move at which changes take fewest bits.
        own: (tiles,), whether changes are sent; else they are 0.
    """

    coefficients: Ints
    changes: Ints
    moves: Ints
    own: NDArray[np.bool_]


@dataclass(frozen=True)
class BandScan:
    """A band of a batch.

    Attributes:
        predictor: how it is predicted.
        raw: (tiles,), whether samples are sent as they are, in so many bits.
        scales: (tiles, references), how energies of each reference are scaled.
        plane: decoded values.
        residuals: int32 (tiles, pixels), 0 where there is nodata.
        levels: int32 (tiles, pixels).
        energy: energies of the residuals.
        symbols: rows of the alphabet, sample after sample, tile after tile.
        sizes: u8 (tiles, pixels), symbols of each sample.
        costs: u32 (tiles, pixels), what each sample costs, in 1/256 bit.
    """

    predictor: Predictor
    raw: NDArray[np.bool_]
    scales: Ints
    plane: Plane
    residuals: NDArray[np.int32]
    levels: NDArray[np.int32]
    energy: Energies
    symbols: NDArray[np.uint16]
    sizes: NDArray[np.uint8]
    costs: NDArray[np.uint32]


@dataclass(frozen=True)
class Analyser:
    """Predicts the bands of a batch, one after the other.

    Attributes:
        model: predictors, contexts and tables.
        shape: rows and columns of a tile.
        valid: (tiles, pixels), False where a pixel is nodata.
        lean: whether all predictors are static, so that little is sent beside samples.
    """

    model: BoundedModel
    shape: tuple[int, int]
    valid: NDArray[np.bool_]
    lean: bool = False

    @property
    def near(self) -> Neighbours:
        """Neighbours of the pixels."""
        return neighbours(*self.shape)

    def scan(
        self, values: NDArray[np.int32], most: Ints, bound: Ints, before: Sequence[BandScan]
    ) -> BandScan:
        """Predict and quantise a band.

        Args:
            values: (tiles, pixels), values of its samples, nodata filled.
            most: (tiles,), largest value.
            bound: (tiles,), by how much values may be off.
            before: all earlier bands.
        """
        band = len(before)
        plane = plane_of(values, most)
        predictor = self._predictor(band, plane, bound, before)
        others = [before[n].plane for n in references(band)]
        sums = reference_sums(self.near, others, predictor.coefficients[:, OWN:])
        weights = predictor.coefficients[:, :OWN]
        loop = Loop(self.near, self.shape, weights, sums, most, bound, self.valid)
        if bound.any():
            residuals, plane = loop.quantise(values)
        else:
            residuals = loop.exact(values)
        residuals = np.where((bound == 0)[:, None], wrapped(residuals), residuals)
        scales, levels, energy = self._context(band, residuals, before)
        symbols, sizes, costs = self._symbols(levels, residuals, most)
        raw = np.zeros(len(most), np.bool_)
        plain = BandScan(
            predictor, raw, scales, plane, residuals, levels, energy, symbols, sizes, costs
        )
        return self._raw_where_shorter(plain, values, most, bound)

    def _symbols(
        self, levels: NDArray[np.int32], residuals: NDArray[np.int32], most: Ints
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint32]]:
        """Return symbols, sizes and costs of a band, as `BandScan` has them."""
        coded = self.valid & (most > 0)[:, None]
        if coded.all():
            flat = levels.reshape(-1), residuals.reshape(-1)
            symbols, of_each, cost = self.model.tables.symbols(*flat)
            return symbols, of_each.reshape(coded.shape), cost.reshape(coded.shape)
        sizes, costs = np.zeros(coded.shape, np.uint8), np.zeros(coded.shape, np.uint32)
        found = self.model.tables.symbols(levels[coded], residuals[coded])
        symbols, sizes[coded], costs[coded] = found
        return symbols, sizes, costs

    def _context(
        self, band: int, residuals: NDArray[np.int32], before: Sequence[BandScan]
    ) -> tuple[Ints, NDArray[np.int32], Energies]:
        """Return scales of references, levels and energies of the residuals of a band."""
        energy = energies(residuals)
        count = np.count_nonzero(self.valid, axis=1)
        sums = total(energy)
        others = [before[other].energy for other in references(band)]
        scales = np.zeros((len(sums), len(others)), np.int64)
        for number, other in enumerate(others):
            scales[:, number] = scale_between(sums, total(other), count)
        near = [scaled(other, scales[:, number]) for number, other in enumerate(others)]
        return scales, Context.of(self.model, band).levels(self.near, energy, near), energy

    def _raw_where_shorter(
        self, scan: BandScan, values: NDArray[np.int32], most: Ints, bound: Ints
    ) -> BandScan:
        """Return the band with its samples as they are in those tiles where that is shorter."""
        step = 2 * bound + 1
        width = bit_length(most // step)
        count = np.count_nonzero(self.valid, axis=1)
        raw = scan.costs.sum(axis=1, dtype=np.int64) > count * width * BIT
        if not raw.any():
            return scan
        numbers = values // step[:, None]
        plane, energy = scan.plane.copy(), scan.energy.copy()
        sizes, costs = scan.sizes.copy(), scan.costs.copy()
        stops = np.cumsum(scan.sizes.sum(axis=1, dtype=np.int64))[:-1]
        symbols = np.split(scan.symbols, stops)
        for tile in np.flatnonzero(raw).tolist():
            coded, bits = self.valid[tile], int(width[tile])
            centre = numbers[tile] * step[tile] + bound[tile]
            whole = np.minimum(centre, most[tile]).astype(np.int32)[None]
            whole = filled(whole, coded[None], self.shape, most[tile : tile + 1])
            plane[tile, :-1], energy[tile] = whole[0], 0
            symbols[tile] = self.model.tables.raw_numbers(numbers[tile][coded], bits)
            sizes[tile], costs[tile] = coded * ((bits > 0) + (bits > RAW_BITS)), coded * BIT * bits
        return replace(
            scan,
            raw=raw,
            plane=plane,
            energy=energy,
            symbols=np.concatenate(symbols),
            sizes=sizes,
            costs=costs,
        )

    def _predictor(
        self, band: int, values: NDArray[np.int32], bound: Ints, before: Sequence[BandScan]
    ) -> Predictor:
        """Choose own coefficients where they save more than they cost, else static ones."""
        unknowns = coefficient_count(band)
        static = self.model.static[role(band), :unknowns]
        spreads = self.model.spreads[role(band), :unknowns]
        found, wanted, counted = self._sampled(band, values, before)
        gram = _gram(found)
        right = np.matmul(found, wanted[:, :, None].astype(np.float64))[:, :, 0].astype(np.int64)
        noise = counted * bound * (bound + 1) // 3
        gram[:, :OWN, :OWN] += noise[:, None, None] * (1 + np.eye(OWN, dtype=np.int64))
        right[:, :OWN] += noise[:, None]
        right = (right << 8) - np.matmul(gram, static[:, None])[:, :, 0]
        low, high = -(MAX_COEFFICIENT + static) // GRID, (MAX_COEFFICIENT - static) // GRID
        changes = np.clip(leastsquares.solve(gram, right), low + 1, high)
        own = static + GRID * changes
        costs = change_costs(self.model.tables, spreads, changes)
        moves = np.argmin(costs, axis=1)
        both = np.stack([np.broadcast_to(static, own.shape), own], axis=1)
        sums = np.matmul(both.astype(np.float64), found).astype(np.int32) + ONE // 2 >> 8
        left = np.abs(wanted[:, None] - sums).sum(axis=2, dtype=np.int64)
        floor = counted * (2 * bound + 1)
        gain = _log2(4 * left[:, 0] + floor) - _log2(4 * left[:, 1] + floor)
        gain *= np.count_nonzero(self.valid, axis=1)
        better = (gain > costs.min(axis=1) + _MARGIN) & (counted > 0) & (not self.lean)
        chosen = np.where(better[:, None], own, static)
        return Predictor(chosen, np.where(better[:, None], changes, 0), moves, better)

    def _sampled(
        self, band: int, values: NDArray[np.int32], before: Sequence[BandScan]
    ) -> tuple[Floats, NDArray[np.int32], Ints]:
        """Return differences and what they are to give at some pixels, and how many count."""
        pixels = sampled(*self.shape)
        near = Neighbours(self.near.causal[:, pixels], self.near.around[:, pixels])
        base, own = own_differences(near, values)
        given = [reference_differences(near, before[n].plane) for n in references(band)]
        found = np.concatenate([own, *given], axis=1)
        wanted = values[:, pixels] - base
        valid = self.valid[:, pixels]
        if not valid.all():
            found, wanted = found * valid[:, None], np.where(valid, wanted, 0)
        return found, wanted, np.count_nonzero(valid, axis=1)


def _gram(found: Floats) -> Ints:
    """Return (tiles, n, n) the sums of products of differences (tiles, n, pixels)."""
    sums = np.zeros((len(found), found.shape[1], found.shape[1]))
    for first in range(0, found.shape[2], _COLUMNS):
        part = found[:, :, first : first + _COLUMNS]
        sums += np.matmul(part, part.transpose(0, 2, 1))
    return sums.astype(np.int64)


def wrapped(residuals: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return residuals of exact values as numbers of 16 bits: values have no more."""
    short: NDArray[np.int16] = residuals.astype(np.int16)
    return short.astype(np.int32)


def _log2(values: Ints) -> Ints:
    """Return the logarithm of numbers of at least 1, in 1/256, rounded in a fixed way."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    part = np.floor(mantissa * 512).astype(np.int64) - 256
    found: Ints = (exponent.astype(np.int64) - 1) * 256 + LOG2[part]
    return found


LOG2 = np.array([round(256 * np.log2(1 + n / 256)) for n in range(256)], np.int64)
"""log2(1 + n / 256) in 1/256."""
