"""Course of reading: which lane each tile of a batch is in, and how far it got."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.read.lane import Beside, Cursor, Ints, SlotTable, Words
from onboard.codec.rans import START


@dataclass(frozen=True)
class Lane:
    """The symbols that one segment carries.

    Attributes:
        tile: number of the tile in the batch.
        band: band in which it starts.
        pixel: pixel at which it starts.
        body: its bytes.
    """

    tile: int
    band: int
    pixel: int
    body: bytes


class Course:
    """The lanes of a batch, being read in step.

    Attributes:
        alive: (tiles,), of which all that was wanted so far arrived.
        arrived: (tiles,), pixels that arrived, band by band, of those that are not alive.
        wrong: lanes that do not end where their writer began, or make no sense.
    """

    def __init__(self, lanes: Sequence[Lane], valid: NDArray[np.bool_], slots: SlotTable) -> None:
        """Open lanes; of those that begin in one place the first counts.

        Args:
            lanes: what arrived.
            valid: (tiles, pixels), False where a pixel is nodata.
            slots: what slots mean.
        """
        tiles, self._pixels = valid.shape
        self._lanes, self._valid, self._slots = lanes, valid, slots
        self._words = Words([lane.body for lane in lanes])
        self._starts: dict[tuple[int, int], dict[int, int]] = {}
        for number, lane in enumerate(lanes):
            begin = self._starts.setdefault((lane.band, lane.pixel), {})
            begin.setdefault(lane.tile, number)
        self._lane = np.full(tiles, -1)
        self._states, self._following = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
        self._ends = np.zeros(tiles, np.int64)
        self.alive = np.ones(tiles, np.bool_)
        self.arrived = np.zeros(tiles, np.int64)
        self.wrong: list[Lane] = []

    def begin_band(self, band: int) -> None:
        """Change to the lanes that begin with a band; stop tiles that have none left for it."""
        starts = self._starts.get((band, 0), {})
        for tile in np.flatnonzero(self.alive).tolist():
            if tile in starts:
                self._begin(tile, starts[tile])
            if self.alive[tile] and (self._lane[tile] < 0 or self._ended(tile)):
                self._stop(tile, band, 0)

    def cursor(self, tile: int) -> Cursor:
        """Return the place of a tile that is alive, to read on symbol by symbol."""
        state, following = int(self._states[tile]), int(self._following[tile])
        return Cursor(self._words, self._slots, state, following)

    def go_on(self, tile: int, cursor: Cursor) -> None:
        """Take the place that a cursor got to."""
        self._states[tile], self._following[tile] = cursor.state, cursor.following

    def finish(self, bands: int) -> None:
        """See that every lane ends where its writer began, of tiles that were read to their end."""
        for tile in np.flatnonzero(self.alive).tolist():
            if not self._ended(tile):
                self.fail(tile)
        self.arrived[self.alive] = bands * self._pixels

    def steps(
        self, band: int, tiles: Ints, coded: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, Beside, Ints]]:
        """Yield each pixel with the lanes of those tiles, by place, that have a symbol there.

        Args:
            band: band that is read.
            tiles: numbers of the tiles.
            coded: (tiles, pixels) of these, which have symbols; None takes all valid ones.
        """
        valid = np.ascontiguousarray((self._valid[tiles] if coded is None else coded).T)
        counts = np.count_nonzero(valid, axis=1)
        here = np.arange(len(tiles))
        beside = self._beside(tiles)
        for pixel in range(self._pixels):
            starts = self._starts.get((band, pixel)) if pixel else None
            if starts or (beside.states == START).any() or counts[pixel] < len(tiles):
                self._put(tiles[here], beside)
                here = self._going_on(band, pixel, tiles, starts or {}, valid[pixel])
                beside = self._beside(tiles[here])
            elif len(here) < len(tiles):
                self._put(tiles[here], beside)
                here = self._going_on(band, pixel, tiles, {}, valid[pixel])
                beside = self._beside(tiles[here])
            if len(here):
                yield pixel, beside, here
        self._put(tiles[here], beside)

    def _beside(self, tiles: Ints) -> Beside:
        return Beside(self._words, self._slots, self._states[tiles], self._following[tiles])

    def _put(self, tiles: Ints, beside: Beside) -> None:
        self._states[tiles], self._following[tiles] = beside.states, beside.following

    def _going_on(
        self,
        band: int,
        pixel: int,
        tiles: Ints,
        starts: dict[int, int],
        valid: NDArray[np.bool_],
    ) -> Ints:
        """Change to lanes that begin at a pixel; return the places of tiles that have it."""
        for tile in tiles[self.alive[tiles]].tolist():
            if tile in starts:
                self._begin(tile, starts[tile])
        over = (self._states[tiles] == START) & (self._following[tiles] == self._ends[tiles])
        for tile in tiles[over & self.alive[tiles] & valid].tolist():
            self._stop(tile, band, pixel)
        return np.flatnonzero(self.alive[tiles] & valid)

    def _ended(self, tile: int) -> bool:
        return bool(self._states[tile] == START and self._following[tile] == self._ends[tile])

    def fail(self, tile: int) -> None:
        """Give up a tile whose lane makes no sense: from where that starts on."""
        lane = self._lanes[self._lane[tile]]
        self.wrong.append(lane)
        self._stop(tile, lane.band, lane.pixel)

    def _stop(self, tile: int, band: int, pixel: int) -> None:
        self.alive[tile] = False
        self.arrived[tile] = band * self._pixels + pixel

    def _begin(self, tile: int, lane: int) -> None:
        """Go on with a lane, if the one before is at its end."""
        if self._lane[tile] >= 0 and not self._ended(tile):
            self.fail(tile)
            return
        self._lane[tile] = lane
        self._states[tile] = self._words.states[lane]
        self._following[tile] = self._words.begins[lane]
        self._ends[tile] = self._words.ends[lane]
