"""Floors: least levels of channels, which full tiles carry (SPEC.md, sections 10 and 13).

What has no trace in the symbols before it gets low levels, whose tables make large symbols dear. So
a full tile says of the channels where that costs most how large their symbols are at least.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import FREQUENCIES, LATTICES, LEVELS, STEP
from onboard.codec.lapped.contextstate import levels
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.scan import Layer, Scanner
from onboard.codec.lapped.tables import BIT, Tables
from onboard.codec.lapped.transform import Latents
from onboard.codec.tile import Steps
from onboard.errors import StreamError

MOST = 32
"""Floors of a tile."""
ENTRY_BYTES = 2
_LEVEL_BITS = 6
LEAST_LANE = 8
"""Bytes that floors leave to the first lane."""
_SUM_UNITS = 256 // STEP
"""Units of the sums of the context model in 1/64 step."""

Floors = NDArray[np.int32]
"""Least level of each channel: int32 (tiles, channels), channels in the model's order."""


def most_floors(room: int) -> int:
    """Return how many floors a tile has at most of whose first body so many bytes are left."""
    return min(max((room - 1 - LEAST_LANE) // ENTRY_BYTES, 0), MOST)


def pack(floors: Floors, least: int) -> bytes:
    """Pack the floors of a tile (channels,) that are above the `least` of a full tile."""
    channels = np.flatnonzero(floors > least)
    entries = channels << _LEVEL_BITS | floors[channels]
    return bytes([len(channels)]) + entries.astype(">u2").tobytes()


def packed_bytes(packed: bytes) -> int:
    """Return the length of the floors that `packed` begins with."""
    return 1 + ENTRY_BYTES * packed[0] if packed else 1


def unpack(packed: bytes, bands: int) -> dict[int, int]:
    """Return the floor of each channel that `pack` named.

    Raises:
        StreamError: there are too many, or they are not of rising channels of AC.
    """
    if not packed or len(packed) != packed_bytes(packed) or packed[0] > MOST:
        raise StreamError(
            f"floors: expected a count of 0..{MOST} and as many, found {packed!r:.80}"
        )
    entries = np.frombuffer(packed, ">u2", offset=1).astype(np.int64)
    channels, found = entries >> _LEVEL_BITS, entries % LEVELS
    inside = ((channels >= bands) & (channels < bands * FREQUENCIES)).all()
    if not inside or (np.diff(channels) <= 0).any():
        raise StreamError(f"floors: expected rising channels of AC, found {channels.tolist()}")
    return dict(zip(channels.tolist(), found.tolist(), strict=True))


def least_levels(model: LappedModel, named: Sequence[dict[int, int]]) -> Floors:
    """Return the floors of full tiles whose layer 0 names some."""
    least = model.quantisation.skip + 1
    floors = np.full((len(named), model.contexts.cuts[-1]), least, np.int32)
    for tile, found in enumerate(named):
        for channel, floor in found.items():
            floors[tile, channel] = max(floor, least)
    return floors


@dataclass(frozen=True)
class FloorChooser:
    """Chooses the floors of full tiles: those of the channels that most is saved by.

    Attributes:
        scanner: quantises as plain tiles are; the floors of dependent ones are the same.
    """

    scanner: Scanner

    def choose(
        self, latents: Latents, steps: Steps, most: int | NDArray[np.int64] = MOST
    ) -> Floors:
        """Return the floors of full tiles at the given steps, `most` of each at most."""
        model = self.scanner.model
        floors = least_levels(model, [{}] * len(steps))
        wanted, saved = floors.copy(), np.zeros(floors.shape, np.int64)
        for number, layer in enumerate(self.scanner.scan(latents, steps, floors), 1):
            if number > LATTICES:
                part = model.contexts.channels_of(number)
                wanted[:, part] = np.maximum(_floors(layer), floors[:, part])
                first_row = model.tables.first_row(number, self.scanner.quantizer.points.sets)
                saved[:, part] = _saved(layer, wanted[:, part], model.tables, first_row)
        best = np.argsort(-saved, axis=1, kind="stable")[:, :MOST]
        tile = np.arange(len(steps))[:, None]
        pays = saved[tile, best] > 8 * ENTRY_BYTES * BIT
        pays &= np.arange(best.shape[1]) < np.broadcast_to(most, len(steps))[:, None]
        floors[tile, best] = np.where(pays, wanted[tile, best], floors[tile, best])
        return floors


def _floors(layer: Layer) -> Floors:
    """Return the level of the mean magnitude of each channel of a layer, (tiles, channels)."""
    sums = _SUM_UNITS * np.abs(layer.away).sum(axis=1, dtype=np.int64)
    return levels(np.maximum(sums // max(layer.away.shape[1], 1), 1).astype(np.float32))


def _saved(layer: Layer, floors: Floors, tables: Tables, first_row: int) -> NDArray[np.int64]:
    """Return the bits, in 1/256, that floors save of each channel of a full layer."""
    tiles, positions, channels = layer.away.shape
    quantised = layer.quantised
    rows = quantised.rows.reshape(tiles, positions, channels)
    raised = np.maximum(rows, first_row + floors[:, None]).reshape(-1)
    costs = tables.cost(quantised.rows, quantised.indices).astype(np.int64)
    costs -= tables.cost(raised, quantised.indices)
    found: NDArray[np.int64] = costs.reshape(tiles, positions, channels).sum(axis=1)
    return found
