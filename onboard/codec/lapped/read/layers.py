"""Reading what `LappedCoder.code` wrote: lanes of many tiles back to residuals (SPEC.md, 11)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import rans, rawlane
from onboard.codec.lapped.coder import LappedCoder
from onboard.codec.lapped.context import LEVELS, ContextState, Ints, levels
from onboard.codec.lapped.read.tables import TableReader
from onboard.codec.lapped.trellis import STATES, odd_before, points

_FEW_LANES = 16
"""Lanes up to which plain Python, one by one, is faster than numpy, all together."""


@dataclass(frozen=True)
class Lane:
    """The symbols that one segment carries.

    Attributes:
        tile: number of the tile in the batch.
        layer: layer in which it starts, from 1.
        first: where in that layer it starts, as its segment says; 0 after layer 0.
        body: the bytes.
    """

    tile: int
    layer: int
    first: int
    body: bytes


@dataclass(frozen=True)
class LayerRead:
    """One layer of a batch, (tiles, positions, channels); what did not arrive is 0.

    Attributes:
        rows: of the tables, of each symbol.
        mean: predicted values, in units of `Read.unit`.
        residual: as coded.
        values: what residuals stand for before codewords do, in units of `Read.unit`.
    """

    rows: Ints
    mean: Ints | int
    residual: Ints
    values: Ints


@dataclass(frozen=True)
class Read:
    """A batch of tiles as far as it arrived.

    Attributes:
        layers: of symbols, coarse to fine.
        state: where each layer's places are.
        complete: (tiles,), how many layers arrived whole, from the first on; no layer did from the
            start of a wrong lane on, unless it starts where nothing is.
        wrong: lanes that do not end where their writer began, although all before them arrived.
        dependent: whether indices were chosen along a trellis.
    """

    layers: list[LayerRead]
    state: ContextState
    complete: NDArray[np.int64]
    wrong: list[Lane]
    dependent: bool

    @property
    def unit(self) -> float:
        """Of values and predictions, in steps."""
        return 0.5 if self.dependent else 1.0


def read(
    coder: LappedCoder,
    count: int,
    rows: int,
    cols: int,
    lanes: Sequence[Lane],
    dependent: bool = False,
) -> Read:
    """Read the lanes of `count` tiles of `rows` x `cols` positions.

    Args:
        coder: the codec.
        count: tiles.
        rows: of positions.
        cols: the same.
        lanes: what arrived of them.
        dependent: whether indices were chosen along a trellis.
    """
    raw = {n: found for n, lane in enumerate(lanes) if (found := _Raw.open(lane.body))}
    reader = rans.Reader([b"" if n in raw else lane.body for n, lane in enumerate(lanes)])
    state = ContextState(coder.contexts, count, rows, cols, dependent)
    starts: dict[int, list[Start]] = {}
    for number, lane in enumerate(lanes):
        position, steered = divmod(lane.first, STATES) if dependent else (lane.first, 0)
        starts.setdefault(lane.layer, []).append((lane.tile, position, number, steered))
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
        used.update(run[3] for run in runs)
        first_row = coder.tables.first_row(layer, dependent)
        residual, odd, done = _read_layer(
            _Layer(coder.table_reader, level, coded, first_row, dependent), reader, raw, runs
        )
        whole = done == np.count_nonzero(coded, axis=1)
        complete[alive & whole] = layer
        if level.shape[1]:  # a lattice may be empty
            running = _last(runs, _ended(reader, raw), count)
        values = points(residual, odd) if dependent else residual
        table_rows = level + np.int32(first_row) + LEVELS * odd
        layers.append(LayerRead(table_rows, mean, residual, values))
        if layer < coder.contexts.layers:
            state.put(layer, values + mean)
    ended = _ended(reader, raw)
    wrong = [
        number
        for number, lane in enumerate(lanes)
        if not ended[number] and complete[lane.tile] == coder.contexts.layers
    ]
    for number in used.intersection(wrong):
        tile, layer = lanes[number].tile, lanes[number].layer
        complete[tile] = min(complete[tile], layer - 1)
    return Read(layers, state, complete, [lanes[number] for number in wrong], dependent)


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


Start = tuple[int, int, int, int]
"""Tile, position, lane, state of the trellis."""
Run = tuple[int, int, int, int, int]
"""Tile, first position, position after the last, lane, state of the trellis."""


def _runs(
    starts: Sequence[Start],
    running: NDArray[np.int64],
    alive: NDArray[np.bool_],
    positions: int,
) -> list[Run]:
    """Return which lane covers which positions of a layer."""
    going = enumerate(running.tolist())
    begins = [(tile, 0, lane, 0) for tile, lane in going if lane >= 0]
    by_tile: dict[int, dict[int, tuple[int, int]]] = {}
    wanted = alive.tolist()
    for tile, position, *lane in [*begins, *starts]:
        if wanted[tile] and position < positions:
            by_tile.setdefault(tile, {})[position] = lane[0], lane[1]
    runs = []
    for tile, lanes in by_tile.items():
        order = sorted(lanes)
        for position, stop in zip(order, [*order[1:], positions], strict=True):
            runs.append((tile, position, stop, *lanes[position]))
    return runs


@dataclass(frozen=True)
class _Layer:
    """A layer to be read: what is known of it before.

    Attributes:
        tables: reads residuals.
        level: (tiles, positions, channels), of all symbols.
        coded: (tiles, symbols), which are coded, of tiles whose earlier layers all arrived.
        first_row: of the tables.
        dependent: whether indices were chosen along a trellis.
    """

    tables: TableReader
    level: Ints
    coded: NDArray[np.bool_]
    first_row: int
    dependent: bool


def _read_layer(
    layer: _Layer, reader: rans.Reader, raw: dict[int, _Raw], runs: Sequence[Run]
) -> tuple[Ints, Ints, NDArray[np.int64]]:
    """Return residuals, whether the state before each was odd, how many of each tile's were read.

    Plain tiles have no odd states.
    """
    shape = layer.level.shape
    residual, odd = (np.zeros(layer.level.size, np.int32) for _ in range(2))
    read = np.zeros(len(layer.coded), np.int64)
    if not runs:
        return residual.reshape(shape), odd.reshape(shape), read
    places = np.flatnonzero(layer.coded)
    tile, first, stop, lane, state = np.array(runs, np.int64).T
    width, channels = layer.coded.shape[1], shape[2]
    begin = np.searchsorted(places, tile * width + first * channels)
    length = np.searchsorted(places, tile * width + stop * channels) - begin
    order = np.argsort(-length, kind="stable")
    is_raw = np.array([number in raw for number in lane.tolist()], np.bool_)
    some = order[~is_raw[order]]
    spans = lane[some], begin[some], length[some]
    counts = _read_coded(layer, reader, places, spans, state[some], residual, odd)
    np.add.at(read, tile[some], counts)
    for number in np.flatnonzero(is_raw).tolist():
        values = raw[int(lane[number])].take(int(length[number]))
        here = places[begin[number] : begin[number] + len(values)]
        residual[here] = values
        if layer.dependent:
            odd[here] = odd_before(int(state[number]), values.tolist())
        read[tile[number]] += len(values)
    return residual.reshape(shape), odd.reshape(shape), read


def _read_coded(
    layer: _Layer,
    reader: rans.Reader,
    places: NDArray[np.int64],
    spans: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    states: NDArray[np.int64],
    residual: Ints,
    odd: Ints,
) -> NDArray[np.int64]:
    """Read entropy-coded lanes.

    Args:
        layer: what they are of.
        reader: of the lanes.
        places: of the symbols that are coded, in the flat layer.
        spans: lane, first of `places` and count of each run, those of most residuals first.
        states: of the trellis where each run begins.
        residual: of the flat layer, to be filled.
        odd: the same, whether the state before each was odd.

    Returns:
        How many residuals of each run were read.
    """
    lane, begin, length = spans
    flat = layer.level.reshape(-1)
    counts = np.zeros(len(lane), np.int64)
    if len(lane) and int(length.sum()) < _FEW_LANES * int(length[0]):
        for number, (one, start, count, state) in enumerate(
            zip(*(part.tolist() for part in (*spans, states)), strict=True)
        ):
            here = places[start : start + count]
            rows = (flat[here] + layer.first_row).tolist()
            values, of_state = layer.tables.decode_lane(
                reader, one, rows, state if layer.dependent else None
            )
            residual[here[: len(values)]] = values
            odd[here[: len(of_state)]] = of_state
            counts[number] = len(values)
    elif some := int(np.count_nonzero(length)):
        begins = states[:some] if layer.dependent else None
        found = layer.tables.decode(
            reader,
            (lane[:some], begin[:some], length[:some]),
            flat[places],
            layer.first_row,
            begins,
        )
        residual[places], counts[:some] = found.residuals, found.counts
        if found.odd is not None:
            odd[places] = found.odd
    return counts


def _last(runs: Sequence[Run], ended: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the lane that goes on into the next layer, -1 where none does."""
    running = np.full(count, -1)
    for tile, _, _, lane, _ in runs:
        running[tile] = lane
    going = np.flatnonzero(running >= 0)
    if len(going):
        running[going[ended[running[going]]]] = -1
    return running
