"""Reading the rest of bounded tiles, whose first part was read whole (SPEC.md, section 20)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.analysis import OWN
from onboard.codec.bounded.context import CAP, EQUAL, Context, Energies, levels, scaled
from onboard.codec.bounded.loop import Loop, before
from onboard.codec.bounded.model import coefficient_count, references
from onboard.codec.bounded.neighbours import neighbours
from onboard.codec.bounded.places import Below, Places, Slots
from onboard.codec.bounded.prediction import Plane, reference_sums
from onboard.codec.bounded.read.course import Course, Lane
from onboard.codec.bounded.read.lane import Beside, Ints
from onboard.codec.bounded.read.side import RestSide, read_side_of_rest
from onboard.codec.bounded.read.tiles import Read, TileReader
from onboard.codec.bounded.scales import Steps
from onboard.errors import StreamError

_NOTHING = Steps(0, 0, 0)


@dataclass(frozen=True)
class RestRead:
    """The rest of a batch of tiles.

    Attributes:
        samples: int64 (tiles, bands, pixels), in DN, of both parts.
        whole: (tiles,), of which the rest arrived whole; samples of others mean nothing.
        wrong: lanes that do not end where their writer began, or make no sense.
    """

    samples: Ints
    whole: NDArray[np.bool_]
    wrong: list[Lane]


def read_rest(
    reader: TileReader,
    shape: tuple[int, int],
    valid: NDArray[np.bool_],
    first: Read,
    lanes: Sequence[Lane],
) -> RestRead:
    """Read the rest of tiles of one shape.

    Args:
        reader: reader of the first part.
        shape: rows and columns.
        valid: (tiles, pixels), False where a pixel is nodata.
        first: the first part of these tiles, as far as it arrived.
        lanes: what arrived of the rest.
    """
    return _Reading(reader, shape, valid, first, lanes).run()


class _Reading:
    """The rest of a batch, being read."""

    def __init__(
        self,
        reader: TileReader,
        shape: tuple[int, int],
        valid: NDArray[np.bool_],
        first: Read,
        lanes: Sequence[Lane],
    ) -> None:
        self.reader, self.shape, self.valid, self.first = reader, shape, valid, first
        self.near = neighbours(*shape)
        self.course = Course(lanes, valid, reader.slots)
        self.course.alive &= first.arrived == first.samples[0].size
        self.energies: list[Energies] = []
        self.planes: list[Plane] = []

    def run(self) -> RestRead:
        """Read all bands."""
        tiles, bands = len(self.valid), self.reader.bands
        samples = np.zeros((tiles, bands, self.valid.shape[1]), np.int64)
        for band in range(bands):
            sides = self._sides(band)
            places = self._places(band, sides)
            self._read(band, sides, places)
            for tile, side in enumerate(sides):
                if side is not None:
                    values = self.planes[-1][tile, :-1].astype(np.int64)
                    samples[tile, band] = side.scale.samples(values)
        self.course.finish(bands)
        return RestRead(samples, self.course.alive, self.course.wrong)

    def _sides(self, band: int) -> list[RestSide | None]:
        """Read the side information of a band, of all tiles of which all before arrived."""
        self.course.begin_band(band)
        found: list[RestSide | None] = [None] * len(self.valid)
        for tile in np.flatnonzero(self.course.alive).tolist():
            first, cursor = self.first.sides[band][tile], self.course.cursor(tile)
            assert first is not None  # it arrived whole
            try:
                found[tile] = read_side_of_rest(cursor, band, first.scale, self.reader.signed)
            except StreamError:
                self.course.fail(tile)
            self.course.go_on(tile, cursor)
        return found

    def _places(self, band: int, sides: list[RestSide | None]) -> Places:
        """Return the places of all pixels, one where there is nodata; refuse tiles without."""
        low, high = np.zeros(self.valid.shape, np.int64), np.zeros(self.valid.shape, np.int64)
        bound = np.zeros((len(sides), 1), np.int64)
        for tile, side in enumerate(sides):
            first = self.first.sides[band][tile]
            if side is None or first is None:
                continue
            values = self.first.planes[band][tile, :-1].astype(np.int64)
            found, here = Places.between(first.scale, values, side.scale), self.valid[tile]
            if (found.low > found.high)[here].any():
                self.course.fail(tile)
                sides[tile] = None
                continue
            low[tile], high[tile] = np.where(here, found.low, 0), np.where(here, found.high, 0)
            bound[tile] = side.scale.bound
        return Places(low, high, bound)

    def _read(self, band: int, sides: Sequence[RestSide | None], places: Places) -> None:
        """Read a band: pixel by pixel of all tiles together."""
        pixels, tiles = self.valid.shape[1], len(sides)
        told = [side or RestSide(_NOTHING, None) for side in sides]
        loop, context = self._loop(band, told), Context.of(self.reader.model, band)
        none = (EQUAL,) * len(references(band))
        scales = np.array([side.scales or none for side in told]).reshape(tiles, -1)
        given = [
            scaled(self.energies[other], scales[:, number])
            for number, other in enumerate(references(band))
        ]
        sums = context.from_references(self.near, given, tiles)
        flat = np.array([side.scales is None for side in told])
        energy = np.zeros((pixels + 1, tiles), np.float32)
        alive = np.flatnonzero(self.course.alive)
        coded = self.valid[alive] & (places.count[alive] > 1)
        steps = self.course.steps(band, alive, coded)
        following = next(steps, None)
        left = before(*self.shape)
        for pixel in range(pixels):
            (predicted,) = loop.predict(np.array([pixel])).astype(np.int64)
            place = np.zeros(tiles, np.int64)
            if following and following[0] == pixel:
                total = np.dot(context.own, energy[self.near.causal[:, pixel]]) + sums[pixel]
                _, beside, here = following
                some = alive[here]
                below = self._below(levels(total)[some], predicted[some], flat[some])
                place[some] = _place(beside, places.at(some, pixel), below)
                following = next(steps, None)
            valid = self.valid[:, pixel]
            value = places.at(slice(None), pixel).values(place)
            loop.values[pixel] = np.where(valid, value, loop.values[left[pixel]])
            energy[pixel] = np.where(valid, np.minimum(np.abs(value - predicted), CAP), 0)
        self.planes.append(np.ascontiguousarray(loop.values.T))
        self.energies.append(np.ascontiguousarray(energy.T))

    def _below(self, level: NDArray[np.int32], predicted: Ints, flat: NDArray[np.bool_]) -> Below:
        """Return what says what all values below some weigh."""
        tables, at = self.reader.model.tables, level.astype(np.int64)
        if flat.all():
            return lambda values: values
        return lambda values: np.where(flat, values, tables.below(at, values - predicted))

    def _loop(self, band: int, sides: Sequence[RestSide]) -> Loop:
        """Return what predicts a band from its decoded values."""
        most = np.array([side.scale.most for side in sides])
        nothing = np.zeros(coefficient_count(band), np.int64)
        coefficients = np.stack(
            [side.coefficients if side else nothing for side in self.first.sides[band]]
        )
        others = [self.planes[other] for other in references(band)]
        sums = reference_sums(self.near, others, coefficients[:, OWN:])
        none = np.zeros_like(most)
        return Loop(self.near, self.shape, coefficients[:, :OWN], sums, most, none, self.valid)


def _place(beside: Beside, places: Places, below: Below) -> Ints:
    """Read the place of a pixel of many tiles."""
    group, start, frequency = Slots(places, below).find(beside.slots)
    beside.take(start, frequency)
    found = group << places.shift
    if places.shift.any():
        found |= beside.raw(places.shift)
    return np.asarray(np.minimum(found, places.count - 1))
