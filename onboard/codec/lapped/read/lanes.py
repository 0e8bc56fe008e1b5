"""Lanes that arrived of a batch of tiles: where each begins, and how far each runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import rawlane
from onboard.codec.lapped.context import Ints
from onboard.codec.lapped.read.run import Reader


@dataclass(frozen=True)
class Lane:
    """The symbols that one segment carries.

    Attributes:
        tile: number of the tile in the batch.
        layer: layer in which it starts, from 1.
        first: place in that layer at which it starts, as its segment says; 0 after layer 0.
        body: its bytes.
        most: residuals to read of it at most; None for all.
    """

    tile: int
    layer: int
    first: int
    body: bytes
    most: int | None = None


@dataclass
class RawLane:
    """The residuals of a raw lane, and how many of them were read."""

    residuals: Ints
    read: int = 0

    @classmethod
    def open(cls, body: bytes) -> "RawLane | None":
        """Return a raw lane, None for another or a damaged one."""
        residuals = rawlane.unpack(body)
        return None if residuals is None else cls(residuals)

    def take(self, count: int) -> Ints:
        """Return the next residuals, at most `count`."""
        found = self.residuals[self.read : self.read + count]
        self.read += len(found)
        return found

    @property
    def ended(self) -> bool:
        """Whether all were read."""
        return self.read == len(self.residuals)


class Start(NamedTuple):
    """Where a lane begins in a layer.

    Attributes:
        tile: number of the tile in the batch.
        position: first position.
        lane: number of the lane.
        state: state of the trellis.
    """

    tile: int
    position: int
    lane: int
    state: int


class Span(NamedTuple):
    """Which positions of a layer a lane covers.

    Attributes:
        tile: number of the tile in the batch.
        position: first position.
        stop: position after the last.
        lane: number of the lane.
        state: state of the trellis at the first.
    """

    tile: int
    position: int
    stop: int
    lane: int
    state: int


class Lanes:
    """All lanes of a batch, being read."""

    def __init__(self, lanes: Sequence[Lane], tiles: int) -> None:
        """Open lanes of so many tiles."""
        opened = ((n, RawLane.open(lane.body)) for n, lane in enumerate(lanes))
        self.raw: Mapping[int, RawLane] = {n: lane for n, lane in opened if lane is not None}
        bodies = [b"" if n in self.raw else lane.body for n, lane in enumerate(lanes)]
        self.reader = Reader(bodies)
        unlimited = np.iinfo(np.int64).max
        limits = [unlimited if lane.most is None else lane.most for lane in lanes]
        self.left: NDArray[np.int64] = np.array(limits, np.int64)
        """Residuals still to be read of each lane at most."""
        self._running = np.full(tiles, -1)

    def ended(self) -> NDArray[np.bool_]:
        """Say of each lane whether it is read to its end."""
        found = self.reader.ended()
        for number, lane in self.raw.items():
            found[number] = lane.ended
        return found

    def spans(
        self, starts: Sequence[Start], alive: NDArray[np.bool_], positions: int
    ) -> list[Span]:
        """Return which lane covers which positions of the next layer.

        Args:
            starts: lanes that begin in the layer.
            alive: (tiles,), whose earlier layers all arrived.
            positions: positions of the layer.
        """
        going = enumerate(self._running.tolist())
        begins = [Start(tile, 0, lane, 0) for tile, lane in going if lane >= 0]
        by_tile: dict[int, dict[int, Start]] = {}
        wanted = alive.tolist()
        for start in [*begins, *starts]:
            if wanted[start.tile] and start.position < positions:
                by_tile.setdefault(start.tile, {})[start.position] = start
        spans = []
        for tile, found in by_tile.items():
            order = sorted(found)
            for position, stop in zip(order, [*order[1:], positions], strict=True):
                spans.append(
                    Span(tile, position, stop, found[position].lane, found[position].state)
                )
        return spans

    def leave(self, spans: Sequence[Span]) -> None:
        """Remember which lanes go on into the next layer: the last of each tile, unless ended."""
        self._running[:] = -1
        for span in spans:
            self._running[span.tile] = span.lane
        going = np.flatnonzero(self._running >= 0)
        if len(going):
            self._running[going[self.ended()[self._running[going]]]] = -1
