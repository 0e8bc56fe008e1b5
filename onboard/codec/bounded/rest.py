"""Rest: what the first part of tiles leaves open, within a finer bound (SPEC.md, section 20)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.bounded.analysis import OWN
from onboard.codec.bounded.coder import Scanned
from onboard.codec.bounded.context import Context, Energies, energies, scale_between, scaled, total
from onboard.codec.bounded.loop import Loop, filled
from onboard.codec.bounded.model import BoundedModel, Ints, coefficient_count, references, role
from onboard.codec.bounded.neighbours import neighbours
from onboard.codec.bounded.places import Below, Places, Slots
from onboard.codec.bounded.prediction import Plane, plane_of, reference_sums
from onboard.codec.bounded.scales import Scale
from onboard.codec.bounded.side import SCALE_BITS, SideWriter, write_scale_of_rest
from onboard.codec.bounded.symbols import Part, Symbols
from onboard.codec.bounded.tables import BIT

LAYER_BANDS = 4
"""Bands of a layer of the rest."""
_FREQUENCIES = np.maximum(np.arange(rans.TOTAL + 1), 1)
_COSTS = np.rint((rans.PRECISION - np.log2(_FREQUENCIES)) * BIT).astype(np.int64)
"""What a symbol of each frequency costs, in 1/256 bit."""


class RestSymbols(Symbols):
    """Symbols of the rest of a tile."""

    def start(self, unit: int) -> tuple[int, int]:
        """Return layer and `first` of a segment that begins with a unit."""
        band, pixel = divmod(unit, self.pixels)
        layer, place = divmod(band, LAYER_BANDS)
        return 1 + self.units // self.pixels + layer, place * self.pixels + pixel


@dataclass(frozen=True)
class _Band:
    """A band of the rest of a batch.

    Attributes:
        plane: decoded values.
        energy: of what predictions leave.
        parts: symbols of each tile.
    """

    plane: Plane
    energy: Energies
    parts: list[Part]


@dataclass(frozen=True)
class _Coded:
    """How the pixels of a band are told.

    Attributes:
        symbols: u32 (tiles, pixels), of their groups.
        costs: (tiles, pixels), in 1/256 bit.
    """

    symbols: NDArray[np.uint32]
    costs: Ints


@dataclass(frozen=True)
class RestCoder:
    """Codes the rest of tiles whose first part is coded.

    Attributes:
        model: predictors, contexts and tables.
        first: the first part.
    """

    model: BoundedModel
    first: Scanned

    def code(
        self, scales: Sequence[Sequence[Scale]]
    ) -> tuple[list[RestSymbols], list[NDArray[np.int64]]]:
        """Return the symbols of each tile, and of each band (tiles, pixels) the decoded samples.

        Args:
            scales: of each band the scale of the rest of each tile.
        """
        bands: list[_Band] = []
        decoded = []
        for band, of_band in enumerate(scales):
            bands.append(self._band(band, of_band, bands))
            values = bands[-1].plane[:, :-1].astype(np.int64)
            decoded.append(
                np.stack([s.samples(own) for s, own in zip(of_band, values, strict=True)])
            )
        parts = zip(*(band.parts for band in bands), strict=True)
        return [RestSymbols.joined(part) for part in parts], decoded

    def _band(self, band: int, scales: Sequence[Scale], before: Sequence[_Band]) -> _Band:
        valid, shape = self.first.valid, self.first.shape
        most = np.array([scale.most for scale in scales])
        places, wanted = self._places(band, scales)
        chosen = places.nearest(wanted)
        decoded = filled(places.values(chosen).astype(np.int32), valid, shape, most)
        plane = plane_of(decoded, most)
        residuals = self._loop(band, most, before).exact(decoded)
        energy, count = energies(residuals), np.count_nonzero(valid, axis=1)
        known = [before[other].energy for other in references(band)]
        sides = [scale_between(total(energy), total(other), count) for other in known]
        given = [scaled(other, side) for other, side in zip(known, sides, strict=True)]
        context = Context.of(self.model, band)
        levels = context.levels(neighbours(*shape), energy, given).astype(np.int64)
        away = residuals - decoded
        flat = self._coded(places, chosen, lambda values: values)
        near = self._coded(places, chosen, lambda v: self.model.tables.below(levels, v + away))
        side_bits = SCALE_BITS * len(sides) * BIT
        better = near.costs.sum(axis=1) + side_bits < flat.costs.sum(axis=1)
        parts = []
        for tile, scale in enumerate(scales):
            side = SideWriter(self.model.tables)
            write_scale_of_rest(side, scale, self.first.scales[band][tile])
            if scale.most:
                side.bits(int(better[tile]), 1)
            if scale.most and better[tile]:
                for numbers in sides:
                    side.bits(int(numbers[tile]), SCALE_BITS)
            of_tile = near if better[tile] else flat
            parts.append(self._part(side, places, chosen, of_tile, tile))
        return _Band(plane, energy, parts)

    def _places(self, band: int, scales: Sequence[Scale]) -> tuple[Places, Ints]:
        """Return the places of the pixels, one where there is nodata, and the original values."""
        valid, samples = self.first.valid, self.first.samples(band)
        known = self.first.scans[band].plane[:, :-1].astype(np.int64)
        low, high, wanted = (np.zeros(valid.shape, np.int64) for _ in range(3))
        for tile, (scale, first) in enumerate(zip(scales, self.first.scales[band], strict=True)):
            found = Places.between(first, known[tile], scale)
            low[tile], high[tile] = found.low, found.high
            # All samples may stand in one cell, whose centre need not be the least of them.
            wanted[tile] = np.clip(scale.values(samples[tile]), found.low, found.high)
        low, high = np.where(valid, low, 0), np.where(valid, high, 0)
        bound = np.array([scale.bound for scale in scales])[:, None]
        return Places(low, high, bound), np.where(valid, wanted, 0)

    def _loop(self, band: int, most: Ints, before: Sequence[_Band]) -> Loop:
        """Return what predicts a band from its decoded values."""
        scan, shape, valid = self.first.scans[band], self.first.shape, self.first.valid
        static = self.model.static[role(band), : coefficient_count(band)]
        sent = ~scan.raw & np.array([scale.most > 0 for scale in self.first.scales[band]])
        coefficients = np.where(sent[:, None], scan.predictor.coefficients, static)
        others = [before[n].plane for n in references(band)]
        near = neighbours(*shape)
        sums = reference_sums(near, others, coefficients[:, OWN:])
        return Loop(near, shape, coefficients[:, :OWN], sums, most, np.zeros_like(most), valid)

    def _coded(self, places: Places, chosen: Ints, below: Below) -> _Coded:
        """Return the symbols of the groups of chosen places, of values that weigh so much."""
        groups = chosen >> places.shift
        slots = Slots(places, below)
        starts = slots.of(groups)
        frequencies = slots.of(groups + 1) - starts
        coded = places.count > 1
        symbols = (frequencies << rans.PRECISION | starts).astype(np.uint32)
        return _Coded(symbols, np.where(coded, _COSTS[frequencies], 0))

    def _part(
        self, side: SideWriter, places: Places, chosen: Ints, coded: _Coded, tile: int
    ) -> Part:
        """Return the symbols of a band of a tile, side information before those of its pixels."""
        rows = self.model.tables.alphabet.rows[side.symbols()]
        shift, told = places.shift[tile], places.count[tile] > 1
        sizes = told * (1 + (shift > 0)).astype(np.int64)
        costs = coded.costs[tile] + told * shift * BIT
        places_of = np.cumsum(sizes) - sizes
        found = np.empty(int(sizes.sum()), np.uint32)
        found[places_of[told]] = coded.symbols[tile][told]
        long = told & (shift > 0)
        width = rans.PRECISION - shift[long]
        low = chosen[tile][long] & (1 << shift[long]) - 1
        found[places_of[long] + 1] = (1 << width << rans.PRECISION) | low << width
        sizes[0] += len(rows)
        costs[0] += side.cost
        return np.concatenate([rows, found]), sizes, costs
