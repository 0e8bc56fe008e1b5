"""Symbols of a tile: side information and samples of its bands, in reading order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.analysis import BandScan
from onboard.codec.bounded.model import BoundedModel, coefficient_count, role
from onboard.codec.bounded.scales import Scale
from onboard.codec.bounded.side import (
    MODE_BITS,
    OWN,
    RAW,
    SCALE_BITS,
    STATIC,
    SideWriter,
    write_changes,
    write_scale,
)


@dataclass(frozen=True)
class Symbols:
    """rANS symbols of a tile.

    A unit is a pixel of a band; before the first of each band goes its side information.

    Attributes:
        rows: u16 row of the alphabet of each symbol; of a rest the symbol itself, u32.
        before: (units + 1,), symbols before each unit.
        bits: (units + 1,), 1/256 bits before each unit.
        pixels: units of a band.
    """

    rows: NDArray[Any]
    before: NDArray[np.int64]
    bits: NDArray[np.int64]
    pixels: int

    @classmethod
    def joined(cls, bands: Sequence["Part"]) -> Self:
        """Return the symbols of a tile's bands."""
        rows, sizes, costs = (np.concatenate(part) for part in zip(*bands, strict=True))
        return cls(rows, _before(sizes), _before(costs), len(bands[0][1]))

    @property
    def units(self) -> int:
        """Units of all bands."""
        return len(self.bits) - 1

    def start(self, unit: int) -> tuple[int, int]:
        """Return layer and `first` of a segment that begins with a unit."""
        band, pixel = divmod(unit, self.pixels)
        return band + 1, pixel

    def of_units(self, first: int, stop: int) -> NDArray[Any]:
        """Return the symbols of some units."""
        return self.rows[int(self.before[first]) : int(self.before[stop])]


def symbols_of(
    model: BoundedModel, scans: Sequence[BandScan], scales: Sequence[Sequence[Scale]]
) -> list[Symbols]:
    """Return the symbols of each tile of a batch.

    Args:
        model: predictors, contexts and tables.
        scans: the bands.
        scales: of each band the scale of each tile.
    """
    parts = [_of_band(model, *of_band) for of_band in enumerate(zip(scans, scales, strict=True))]
    return [Symbols.joined(of_tile) for of_tile in zip(*parts, strict=True)]


Part = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]
"""Rows, and the symbols and the cost of each unit."""


def _of_band(
    model: BoundedModel, band: int, of_band: tuple[BandScan, Sequence[Scale]]
) -> list[Part]:
    scan, scales = of_band
    sizes, costs = scan.sizes.astype(np.int64), scan.costs.astype(np.int64)
    stops = np.cumsum(sizes.sum(axis=1)).tolist()
    found = []
    for tile, (scale, first, stop) in enumerate(zip(scales, [0, *stops], stops, strict=False)):
        side = SideWriter(model.tables)
        write_scale(side, scale)
        if scale.most:
            _write_mode(side, model, band, scan, tile)
        rows = side.symbols()
        sizes[tile, 0] += len(rows)
        costs[tile, 0] += side.cost
        found.append((np.concatenate([rows, scan.symbols[first:stop]]), sizes[tile], costs[tile]))
    return found


def _write_mode(
    side: SideWriter, model: BoundedModel, band: int, scan: BandScan, tile: int
) -> None:
    own = bool(scan.predictor.own[tile])
    mode = RAW if scan.raw[tile] else OWN if own else STATIC
    side.bits(mode, MODE_BITS)
    if mode == RAW:
        return
    for scale in scan.scales[tile].tolist():
        side.bits(scale, SCALE_BITS)
    if mode == OWN:
        spreads = model.spreads[role(band), : coefficient_count(band)]
        write_changes(side, spreads, scan.predictor.changes[tile], int(scan.predictor.moves[tile]))


def _before(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=found[1:])
    return found
