"""Breaks: how far the symbols of a damaged lane are to be believed.

What is read behind a wrong bit are symbols as its tables would have them, at random: nothing in
them is impossible. Three things are known of where that begins. It is where the first wrong bit is,
and the farther from the beginning of a segment the less likely that all before is right. It is
before a symbol that no picture has: random ones have escapes with numbers of any size, and sooner
or later one comes. And as long as none comes it is the less likely to be far behind.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LATTICES
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import Read
from onboard.codec.lapped.tables import BIT, ESCAPE, RAW_BITS
from onboard.codec.rans import TOTAL

_ABSURD = 1024
"""Magnitude of an escaped value that no symbol of a picture has."""
_FIRST_OF = 3
"""Wrong bits that a segment has at least, where they could not be put right."""
_AHEAD = 48
"""Bits that a lane is read ahead of its symbols, at most."""
_SURE = 0.7
"""How likely a symbol must be right."""


@dataclass(frozen=True)
class Symbols:
    """What was read of one lane, in its order.

    Attributes:
        residuals: residuals as they were read.
        rows: row of the tables of each.
        of_dc: how many are of DC layers.
    """

    residuals: NDArray[np.int32]
    rows: NDArray[np.int32]
    of_dc: int

    @classmethod
    def of(cls, read: Read, lane: Lane) -> "Symbols":
        """Return those of the last lane of a tile."""
        residuals, rows, of_dc = [], [], 0
        first, _ = read.points.begin(lane.first)
        for number in range(lane.layer, len(read.layers) + 1):
            layer, arrival = read.layers[number - 1], read.arrivals[number - 1]
            _, positions, channels = layer.residual.shape
            if not arrival.alive[lane.tile] or first >= max(positions, 1):
                break  # nothing of it is read
            is_read = arrival.coded[lane.tile] & arrival.known[lane.tile]
            is_read[: first * channels] = False
            residuals.append(layer.residual[lane.tile].reshape(-1)[is_read])
            rows.append(layer.rows[lane.tile].reshape(-1)[is_read])
            of_dc += len(rows[-1]) if number <= LATTICES else 0
            first = 0
        empty = np.zeros(0, np.int32)
        return cls(np.concatenate([empty, *residuals]), np.concatenate([empty, *rows]), of_dc)


def believed(model: LappedModel, found: Symbols, body: int, before: int) -> int:
    """Return how many symbols of a damaged lane are more likely right than not, by far.

    Args:
        model: model of the tables.
        found: symbols as they were read, to the end of the lane or of the tile.
        body: bytes of the lane.
        before: bytes of its segment before the lane.
    """
    tables = model.tables
    shifted = found.residuals >> tables.shift_of[found.rows]
    cost = tables.cost(found.rows.astype(np.intp), found.residuals) / (8 * BIT)
    place = (np.cumsum(cost) + _AHEAD / 8 + before) / (body + before)
    stops = np.flatnonzero((np.abs(shifted) > _ABSURD) | (place >= 1))
    read = int(stops[0]) if len(stops) else len(place)
    if not read:
        return 0
    absurd = 1 - 2 * _ABSURD / (1 << RAW_BITS)
    hazard = np.cumsum(tables.frequencies[found.rows[:read], ESCAPE] * (absurd / TOTAL))
    right = np.append(1.0, (1 - place[:read]) ** _FIRST_OF)
    # A break before each symbol, and none absurd from there to where reading stopped.
    weight = -np.diff(right) * np.exp(hazard - hazard[-1])
    later = 1 - np.cumsum(weight) / weight.sum()
    return int(np.count_nonzero(later >= _SURE))
