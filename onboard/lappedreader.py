"""Reading what `LappedCoder.code` wrote: lanes of many tiles back to residuals (SPEC.md, 11)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard import rans, rawlane
from onboard.contexts import ContextState, Ints, levels
from onboard.lappedcoder import LappedCoder

_FEW_LANES = 16
"""Lanes up to which plain Python, one by one, is faster than numpy, all together."""


@dataclass(frozen=True)
class Lane:
    """The symbols that one segment carries.

    Attributes:
        tile: number of the tile in the batch.
        layer: layer in which it starts, from 1.
        position: position in that layer at which it starts.
        body: the bytes.
    """

    tile: int
    layer: int
    position: int
    body: bytes


@dataclass(frozen=True)
class LayerRead:
    """One layer of a batch, (tiles, positions, channels); what did not arrive is 0."""

    level: Ints
    mean: Ints | int
    residual: Ints


@dataclass(frozen=True)
class Read:
    """A batch of tiles as far as it arrived.

    Attributes:
        layers: of symbols, coarse to fine.
        state: where each layer's places are.
        complete: (tiles,), how many layers arrived whole, from the first on; no layer did from the
            start of a wrong lane on, unless it starts where nothing is.
        wrong: lanes that do not end where their writer began, although all before them arrived.
    """

    layers: list[LayerRead]
    state: ContextState
    complete: NDArray[np.int64]
    wrong: list[Lane]


def read(coder: LappedCoder, count: int, rows: int, cols: int, lanes: Sequence[Lane]) -> Read:
    """Read the lanes of `count` tiles of `rows` x `cols` positions."""
    raw = {n: found for n, lane in enumerate(lanes) if (found := _Raw.open(lane.body))}
    reader = rans.Reader([b"" if n in raw else lane.body for n, lane in enumerate(lanes)])
    state = ContextState(coder.contexts, count, rows, cols)
    starts: dict[int, list[tuple[int, int, int]]] = {}
    for number, lane in enumerate(lanes):
        starts.setdefault(lane.layer, []).append((lane.tile, lane.position, number))
    running = np.full(count, -1)
    complete = np.zeros(count, np.int64)
    used: set[int] = set()
    layers = []
    for layer in range(1, coder.contexts.layers + 1):
        sums, mean = state.context(layer)
        level = levels(sums)
        alive = complete == layer - 1
        coded = ((level > coder.quantizer.skip) & alive[:, None, None]).reshape(count, -1)
        runs = _runs(starts.get(layer, []), running, alive, level.shape[1])
        used.update(lane for *_, lane in runs)
        residual, done = _read_layer(coder, reader, raw, level, coded, runs)
        whole = done == np.count_nonzero(coded, axis=1)
        complete[alive & whole] = layer
        if level.shape[1]:  # a lattice may be empty
            running = _last(runs, _ended(reader, raw), count)
        layers.append(LayerRead(level, mean, residual))
        if layer < coder.contexts.layers:
            state.put(layer, residual + mean)
    ended = _ended(reader, raw)
    wrong = [
        number
        for number, lane in enumerate(lanes)
        if not ended[number] and complete[lane.tile] == coder.contexts.layers
    ]
    for number in used.intersection(wrong):
        tile, layer = lanes[number].tile, lanes[number].layer
        complete[tile] = min(complete[tile], layer - 1)
    return Read(layers, state, complete, [lanes[number] for number in wrong])


@dataclass
class _Raw:
    """The residuals of a raw lane, and how many of them were read."""

    residuals: Ints
    read: int = 0

    @classmethod
    def open(cls, body: bytes) -> "_Raw | None":
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


def _ended(reader: rans.Reader, raw: dict[int, _Raw]) -> NDArray[np.bool_]:
    """Say of each lane whether it is read to its end."""
    found = reader.ended()
    for number, lane in raw.items():
        found[number] = lane.ended
    return found


Run = tuple[int, int, int, int]
"""Tile, first position, position after the last, lane."""


def _runs(
    starts: Sequence[tuple[int, int, int]],
    running: NDArray[np.int64],
    alive: NDArray[np.bool_],
    positions: int,
) -> list[Run]:
    """Return which lane covers which positions of a layer."""
    going = enumerate(running.tolist())
    begins = [(tile, 0, lane) for tile, lane in going if lane >= 0]
    by_tile: dict[int, dict[int, int]] = {}
    wanted = alive.tolist()
    for tile, position, lane in [*begins, *starts]:
        if wanted[tile] and position < positions:
            by_tile.setdefault(tile, {})[position] = lane
    runs = []
    for tile, lanes in by_tile.items():
        order = sorted(lanes)
        for position, stop in zip(order, [*order[1:], positions], strict=True):
            runs.append((tile, position, stop, lanes[position]))
    return runs


def _read_layer(
    coder: LappedCoder,
    reader: rans.Reader,
    raw: dict[int, _Raw],
    level: Ints,
    coded: NDArray[np.bool_],
    runs: Sequence[Run],
) -> tuple[Ints, NDArray[np.int64]]:
    """Return the residuals of a layer, and how many of each tile's were read."""
    residual = np.zeros(level.size, np.int32)
    read = np.zeros(len(coded), np.int64)
    if not runs:
        return residual.reshape(level.shape), read
    places = np.flatnonzero(coded)
    tile, first, stop, lane = np.array(runs, np.int64).T
    width, channels = coded.shape[1], level.shape[2]
    begin = np.searchsorted(places, tile * width + first * channels)
    length = np.searchsorted(places, tile * width + stop * channels) - begin
    order = np.argsort(-length, kind="stable")
    is_raw = np.array([number in raw for number in lane.tolist()], np.bool_)
    some = order[~is_raw[order]]
    counts = _read_coded(
        coder, reader, level, places, (lane[some], begin[some], length[some]), residual
    )
    np.add.at(read, tile[some], counts)
    for number in np.flatnonzero(is_raw).tolist():
        values = raw[int(lane[number])].take(int(length[number]))
        residual[places[begin[number] : begin[number] + len(values)]] = values
        read[tile[number]] += len(values)
    return residual.reshape(level.shape), read


def _read_coded(
    coder: LappedCoder,
    reader: rans.Reader,
    level: Ints,
    places: NDArray[np.int64],
    spans: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    residual: Ints,
) -> NDArray[np.int64]:
    """Read entropy-coded lanes.

    Args:
        coder: knows the tables.
        reader: of the lanes.
        level: of all symbols of the layer.
        places: of those that are coded, in the flat layer.
        spans: lane, first of `places` and count of each run, those of most residuals first.
        residual: of the flat layer, to be filled.

    Returns:
        How many residuals of each run were read.
    """
    lane, begin, length = spans
    flat = level.reshape(-1)
    counts = np.zeros(len(lane), np.int64)
    if len(lane) and int(length.sum()) < _FEW_LANES * int(length[0]):
        for number, (one, start, count) in enumerate(
            zip(*(part.tolist() for part in spans), strict=True)
        ):
            here = places[start : start + count]
            alone = coder.tables.decode_lane(reader, one, flat[here].tolist())
            residual[here[: len(alone)]] = alone
            counts[number] = len(alone)
    elif some := int(np.count_nonzero(length)):
        values, counts[:some] = coder.tables.decode(
            reader, lane[:some], begin[:some], length[:some], flat[places]
        )
        residual[places] = values
    return counts


def _last(runs: Sequence[Run], ended: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the lane that goes on into the next layer, -1 where none does."""
    running = np.full(count, -1)
    for tile, _, _, lane in runs:
        running[tile] = lane
    going = np.flatnonzero(running >= 0)
    if len(going):
        running[going[ended[running[going]]]] = -1
    return running
