"""Reading what `LappedCoder.code` wrote: lanes of many tiles back to residuals (SPEC.md, 11)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard import rans
from onboard.contexts import ContextState, Ints, levels
from onboard.lappedcoder import LappedCoder

_FEW_LANES = 48
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
        complete: (tiles,), how many layers arrived whole, from the first on.
        wrong: lanes that do not end where their writer began, although all before them arrived.
    """

    layers: list[LayerRead]
    state: ContextState
    complete: NDArray[np.int64]
    wrong: list[Lane]


def read(coder: LappedCoder, count: int, rows: int, cols: int, lanes: Sequence[Lane]) -> Read:
    """Read the lanes of `count` tiles of `rows` x `cols` positions."""
    reader = rans.Reader([lane.body for lane in lanes])
    state = ContextState(coder.contexts, count, rows, cols)
    starts: dict[int, list[tuple[int, int, int]]] = {}
    for number, lane in enumerate(lanes):
        starts.setdefault(lane.layer, []).append((lane.tile, lane.position, number))
    running = np.full(count, -1)
    complete = np.zeros(count, np.int64)
    layers = []
    for layer in range(1, coder.contexts.layers + 1):
        sums, mean = state.context(layer)
        level = levels(sums)
        alive = complete == layer - 1
        coded = ((level > coder.quantizer.skip) & alive[:, None, None]).reshape(count, -1)
        runs = _runs(starts.get(layer, []), running, alive, level.shape[1])
        residual, done = _read_layer(coder, reader, level, coded, runs)
        whole = done == coded.sum(axis=1)
        complete[alive & whole] = layer
        if level.shape[1]:  # a lattice may be empty
            running = _last(runs, reader, count)
        layers.append(LayerRead(level, mean, residual))
        if layer < coder.contexts.layers:
            state.put(layer, residual + mean)
    unread = reader.ended()
    wrong = [
        lane
        for number, lane in enumerate(lanes)
        if not unread[number] and complete[lane.tile] == coder.contexts.layers
    ]
    return Read(layers, state, complete, wrong)


Run = tuple[int, int, int, int]
"""Tile, first position, position after the last, lane."""


def _runs(
    starts: Sequence[tuple[int, int, int]],
    running: NDArray[np.int64],
    alive: NDArray[np.bool_],
    positions: int,
) -> list[Run]:
    """Return which lane covers which positions of a layer."""
    begins = [(int(tile), 0, int(running[tile])) for tile in np.flatnonzero(alive & (running >= 0))]
    by_tile: dict[int, dict[int, int]] = {}
    for tile, position, lane in [*begins, *starts]:
        if alive[tile] and position < positions:
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
    level: Ints,
    coded: NDArray[np.bool_],
    runs: Sequence[Run],
) -> tuple[Ints, NDArray[np.int64]]:
    """Return the residuals of a layer, and how many of each tile's were read."""
    residual = np.zeros(level.size, np.int32)
    read = np.zeros(len(coded), np.int64)
    if runs:
        places = np.flatnonzero(coded)
        before = np.concatenate([[0], np.cumsum(coded.reshape(-1))])
        tile, first, stop, lane = np.array(runs, np.int64).T
        width, channels = coded.shape[1], level.shape[2]
        begin = before[tile * width + first * channels]
        length = before[tile * width + stop * channels] - begin
        order = np.argsort(-length, kind="stable")
        tile, lane, begin, length = tile[order], lane[order], begin[order], length[order]
        flat = level.reshape(-1)
        if int(length.sum()) < _FEW_LANES * int(length[0]):
            for number, one, start, count in zip(
                tile.tolist(), lane.tolist(), begin.tolist(), length.tolist(), strict=True
            ):
                here = places[start : start + count]
                alone = coder.tables.decode_lane(reader, one, flat[here].tolist())
                residual[here[: len(alone)]] = alone
                read[number] += len(alone)
            return residual.reshape(level.shape), read
        some = np.count_nonzero(length)
        values, counts = coder.tables.decode(
            reader, lane[:some], begin[:some], length[:some], flat[places]
        )
        residual[places] = values
        np.add.at(read, tile[:some], counts)
    return residual.reshape(level.shape), read


def _last(runs: Sequence[Run], reader: rans.Reader, count: int) -> NDArray[np.int64]:
    """Return the lane that goes on into the next layer, -1 where none does."""
    running = np.full(count, -1)
    for tile, _, _, lane in runs:
        running[tile] = lane
    going = np.flatnonzero(running >= 0)
    if len(going):
        running[going[reader.ended(running[going])]] = -1
    return running
