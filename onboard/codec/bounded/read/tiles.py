"""Reading bounded tiles: lanes of many tiles of one shape back to samples (SPEC.md, section 20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.analysis import OWN
from onboard.codec.bounded.context import CAP, Context, Energies, levels, scaled
from onboard.codec.bounded.loop import Loop, filled
from onboard.codec.bounded.model import BoundedModel, coefficient_count, references
from onboard.codec.bounded.neighbours import CAUSAL, Neighbours, neighbours
from onboard.codec.bounded.prediction import Plane, plane_of, reference_sums
from onboard.codec.bounded.read.course import Course, Lane
from onboard.codec.bounded.read.lane import Ints, SlotTable
from onboard.codec.bounded.read.side import BandSide, read_side
from onboard.codec.bounded.tables import RAW_BITS
from onboard.errors import StreamError

_SAME_ROW = [number for number, (down, _) in enumerate(CAUSAL) if down == 0]
_ABOVE = [number for number, (down, _) in enumerate(CAUSAL) if down < 0]


@dataclass(frozen=True)
class Read:
    """A batch of tiles as far as it arrived.

    Attributes:
        samples: int64 (tiles, bands, pixels), in DN; what did not arrive is as predicted.
        known: (tiles, bands), whether the side information of a band arrived.
        arrived: (tiles,), pixels that arrived, band by band, from the first on.
        bounds: (tiles, bands), by how much values may be off.
        wrong: lanes that do not end where their writer began, or make no sense.
        sides: of each band what was sent of each tile beside its samples.
        planes: values of each band.
    """

    samples: Ints
    known: NDArray[np.bool_]
    arrived: Ints
    bounds: Ints
    wrong: list[Lane]
    sides: list[list[BandSide | None]]
    planes: list[Plane]

    def take(self, some: NDArray[np.bool_]) -> "Read":
        """Return some of the tiles, what was wrong left aside."""
        sides = [[side for side, one in zip(own, some, strict=True) if one] for own in self.sides]
        planes = [plane[some] for plane in self.planes]
        arrived, bounds = self.arrived[some], self.bounds[some]
        return Read(self.samples[some], self.known[some], arrived, bounds, [], sides, planes)


@dataclass(frozen=True)
class TileReader:
    """Reads what a model's tiles were coded to.

    Attributes:
        model: predictors, contexts and tables.
        bands: bands of a tile.
        signed: whether samples are two's complement.
    """

    model: BoundedModel
    bands: int
    signed: bool = False

    @cached_property
    def slots(self) -> SlotTable:
        """What slots mean."""
        return SlotTable.of(self.model.tables)

    def read(self, shape: tuple[int, int], valid: NDArray[np.bool_], lanes: Sequence[Lane]) -> Read:
        """Read tiles of one shape.

        Args:
            shape: rows and columns.
            valid: (tiles, pixels), False where a pixel is nodata.
            lanes: what arrived of them; of a lane that begins where another does the first counts.
        """
        return _Reading(self, shape, valid, lanes).run()


class _Reading:
    """The tiles of a batch, being read."""

    def __init__(
        self,
        reader: TileReader,
        shape: tuple[int, int],
        valid: NDArray[np.bool_],
        lanes: Sequence[Lane],
    ) -> None:
        self.reader, self.shape, self.valid = reader, shape, valid
        self.near: Neighbours = neighbours(*shape)
        self.course = Course(lanes, valid, reader.slots)
        self.energies: list[Energies] = []
        self.planes: list[Plane] = []

    def run(self) -> Read:
        """Read all bands."""
        tiles, bands = len(self.valid), self.reader.bands
        samples = np.zeros((tiles, bands, self.valid.shape[1]), np.int64)
        known = np.zeros((tiles, bands), np.bool_)
        bounds = np.zeros((tiles, bands), np.int64)
        every = []
        for band in range(bands):
            sides = self._sides(band)
            every.append(sides)
            known[:, band] = [side is not None for side in sides]
            residuals = self._residuals(band, sides)
            plane = self._plane(band, sides, residuals)
            for tile, side in enumerate(sides):
                if side is not None:
                    samples[tile, band] = side.scale.samples(plane[tile, :-1].astype(np.int64))
                    bounds[tile, band] = side.scale.bound
        self.course.finish(bands)
        wrong = self.course.wrong
        return Read(samples, known, self.course.arrived, bounds, wrong, every, self.planes)

    def _sides(self, band: int) -> list[BandSide | None]:
        """Read the side information of a band, of all tiles of which all before arrived."""
        self.course.begin_band(band)
        found: list[BandSide | None] = []
        for tile, alive in enumerate(self.course.alive.tolist()):
            found.append(None)
            if not alive:
                continue
            cursor = self.course.cursor(tile)
            try:
                found[-1] = read_side(cursor, self.reader.model, band, self.reader.signed)
            except StreamError:
                self.course.fail(tile)
            self.course.go_on(tile, cursor)
        return found

    def _residuals(self, band: int, sides: Sequence[BandSide | None]) -> NDArray[np.int32]:
        """Return (tiles, pixels) the residuals of a band or, where it is raw, its values."""
        found = np.zeros(self.valid.shape, np.int32)
        energy = np.zeros((len(self.valid), self.valid.shape[1] + 1), np.float32)
        coded: list[int] = []
        raw: list[int] = []
        for tile, side in enumerate(sides):
            if side is not None and side.scale.most and self.course.alive[tile]:
                (raw if side.raw else coded).append(tile)
        if coded:
            self._read_coded(band, np.array(coded), sides, found, energy)
        if raw:
            self._read_raw(band, np.array(raw), sides, found)
        self.energies.append(energy)
        return found

    def _read_coded(
        self,
        band: int,
        tiles: Ints,
        sides: Sequence[BandSide | None],
        found: NDArray[np.int32],
        energy: Energies,
    ) -> None:
        context = Context.of(self.reader.model, band)
        scales = np.array([side.scales for side in map(sides.__getitem__, tiles) if side])
        given = [
            scaled(self.energies[other][tiles], scales[:, number])
            for number, other in enumerate(references(band))
        ]
        before = context.from_references(self.near, given, len(tiles))
        around = np.zeros((self.valid.shape[1] + 1, len(tiles)), np.float32)
        values = np.zeros((self.valid.shape[1], len(tiles)), np.int32)
        cols = self.shape[1]
        same, weights = self.near.causal[_SAME_ROW].T.copy(), context.own[_SAME_ROW]
        next_row = cols
        for pixel, beside, here in self.course.steps(band, tiles):
            if pixel < cols:
                near = around[self.near.causal[:, pixel]][:, here]
                total = np.dot(context.own, near)
            else:
                if pixel >= next_row:
                    # What the rows above give to all of this one.
                    row = slice(pixel - pixel % cols, pixel - pixel % cols + cols)
                    above = around[self.near.causal[_ABOVE, row]]
                    before[row] += np.tensordot(context.own[_ABOVE], above, 1)
                    next_row = row.stop
                near = around[same[pixel]]
                total = np.dot(weights, near if len(here) == len(tiles) else near[:, here])
            total += before[pixel] if len(here) == len(tiles) else before[pixel, here]
            magnitudes, signs = beside.residuals(levels(total))
            if len(here) == len(tiles):
                np.minimum(magnitudes, CAP, out=around[pixel], casting="unsafe")
                np.multiply(magnitudes, signs, out=values[pixel], casting="unsafe")
            else:
                around[pixel, here] = np.minimum(magnitudes, CAP)
                values[pixel, here] = magnitudes * signs
        found[tiles], energy[tiles] = values.T, around.T

    def _read_raw(
        self,
        band: int,
        tiles: Ints,
        sides: Sequence[BandSide | None],
        found: NDArray[np.int32],
    ) -> None:
        steps = np.array(
            [2 * side.scale.bound + 1 for side in map(sides.__getitem__, tiles) if side]
        )
        most = np.array([side.scale.most for side in map(sides.__getitem__, tiles) if side])
        widths = np.frexp((most // steps).astype(np.float64))[1].astype(np.int64)
        high = np.maximum(widths - RAW_BITS, 0)
        for pixel, beside, here in self.course.steps(band, tiles[widths > 0]):
            one = np.flatnonzero(widths > 0)[here]
            numbers = beside.raw(high[one]) << RAW_BITS
            numbers |= beside.raw(np.minimum(widths[one], RAW_BITS))
            found[tiles[one], pixel] = numbers
        found[tiles] = np.minimum(
            found[tiles] * steps[:, None] + (steps // 2)[:, None], most[:, None]
        )

    def _plane(
        self, band: int, sides: Sequence[BandSide | None], residuals: NDArray[np.int32]
    ) -> Plane:
        """Return the values of a band."""
        tiles = len(sides)
        most, bound = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
        coefficients = np.zeros((tiles, coefficient_count(band)), np.int64)
        for tile, side in enumerate(sides):
            if side is not None and not side.raw:
                most[tile], bound[tile] = side.scale.most, side.scale.bound
                coefficients[tile] = side.coefficients
        others = [self.planes[other] for other in references(band)]
        sums = reference_sums(self.near, others, coefficients[:, OWN:])
        loop = Loop(self.near, self.shape, coefficients[:, :OWN], sums, most, bound, self.valid)
        plane = loop.decode(residuals)
        for tile, side in enumerate(sides):
            if side is not None and side.raw:
                plane[tile] = self._raw_plane(side, residuals[tile], self.valid[tile])
        self.planes.append(plane)
        return plane

    def _raw_plane(
        self, side: BandSide, values: NDArray[np.int32], valid: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        most = np.array([side.scale.most])
        whole = filled(values[None], valid[None], self.shape, most)
        (found,) = plane_of(whole, most)
        return np.asarray(found, np.int32)
