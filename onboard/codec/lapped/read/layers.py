"""Reading layers: lanes of many tiles back to residuals (SPEC.md, section 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.blocks.field import Coarser
from onboard.codec.lapped.context import LATTICES, LEVELS, Ints
from onboard.codec.lapped.contextstate import ContextState, levels
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.quantizers.points import Points, points_of
from onboard.codec.lapped.read.lanes import Lane, Lanes, Start
from onboard.codec.lapped.read.layer import Coded, read_layer
from onboard.codec.lapped.read.tables import TableReader
from onboard.codec.tile import ALL_VALID


@dataclass(frozen=True)
class LayerRead:
    """One layer of a batch, (tiles, positions, channels); what did not arrive is 0.

    Attributes:
        rows: row of the tables of each symbol.
        mean: predicted values, in units of the points.
        residual: residuals, or indices of dependent tiles, as coded.
        values: what residuals stand for before codewords do, in units of the points.
    """

    rows: Ints
    mean: Ints | int
    residual: Ints
    values: Ints


@dataclass(frozen=True)
class Arrival:
    """Which symbols of a layer of a batch arrived.

    Attributes:
        alive: (tiles,), whose earlier layers all arrived.
        coded: (tiles, symbols), which symbols are coded, in tiles that are alive.
        runs: (2, runs), which of all that are coded were read: first of each run, and how many.
    """

    alive: NDArray[np.bool_]
    coded: NDArray[np.bool_]
    runs: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """(tiles, symbols): of tiles alive those that were read, or are not coded."""
        known = np.repeat(self.alive, self.coded.shape[1])
        places = np.flatnonzero(self.coded)
        known[places] = False
        for first, count in self.runs.T.tolist():
            known[places[first : first + count]] = True
        return known.reshape(self.coded.shape)


@dataclass(frozen=True)
class Read:
    """A batch of tiles as far as it arrived.

    Attributes:
        layers: layers of symbols, coarse to fine.
        state: context state, which knows the places of each layer.
        complete: (tiles,), how many layers arrived whole, from the first on; no layer did from the
            start of a wrong lane on, unless it starts where nothing is.
        wrong: lanes that do not end where their writer began, although all before them arrived.
        points: what the indices stand for.
        arrivals: which symbols of each layer arrived.
        coarser: by how many codes the AC of each position is coarser than its tile; None if no
            tile has a field.
        beyond: lanes that were read on beyond their end.
        ended: lanes that were read to where their writer began.
    """

    layers: list[LayerRead]
    state: ContextState
    complete: NDArray[np.int64]
    wrong: list[Lane]
    points: Points
    arrivals: Sequence[Arrival] = ()
    coarser: Coarser | None = None
    beyond: Sequence[Lane] = ()
    ended: Sequence[Lane] = ()


@dataclass(frozen=True)
class LayerReader:
    """Reads what a model's quantised tiles were coded to.

    Attributes:
        model: all integers of the codec.
    """

    model: LappedModel

    @cached_property
    def _tables(self) -> TableReader:
        return TableReader(self.model.tables)

    def read(
        self,
        count: int,
        rows: int,
        cols: int,
        lanes: Sequence[Lane],
        tile_state: int = ALL_VALID,
        floors: Ints | None = None,
        coarser: Coarser | None = None,
        last: int | None = None,
    ) -> Read:
        """Read the lanes of `count` tiles of `rows` x `cols` positions.

        Args:
            count: number of tiles.
            rows: rows of positions.
            cols: columns of positions.
            lanes: what arrived of them.
            tile_state: tile state, the same of all as far as it says how symbols are coded.
            floors: (tiles, channels), least level of each channel: above `skip` in full tiles, 0 in
                others; None if no tile is full.
            coarser: by how many codes the AC of each position is coarser; None if no tile has a
                field.
            last: last layer to read, from 1; None for all. Whether lanes end where their writer
                began is known only where all are read.
        """
        model, points = self.model, points_of(tile_state)
        reading = Lanes(lanes, count)
        state = ContextState(model.contexts, count, rows, cols, points.unit, coarser)
        starts: dict[int, list[Start]] = {}
        for number, lane in enumerate(lanes):
            position, steered = points.begin(lane.first)
            starts.setdefault(lane.layer, []).append(Start(lane.tile, position, number, steered))
        complete = np.zeros(count, np.int64)
        used: set[int] = set()
        layers, arrivals = [], []
        every = model.contexts.layers
        last = every if last is None else min(last, every)
        for layer in range(1, last + 1):
            sums, mean = state.context(layer)
            level = levels(sums)
            if floors is not None:
                level = np.maximum(level, floors[:, None, model.contexts.channels_of(layer)])
            alive = complete == layer - 1
            coded = ((level > model.quantisation.skip) & alive[:, None, None]).reshape(count, -1)
            spans = reading.spans(starts.get(layer, []), alive, level.shape[1])
            used.update(span.lane for span in spans)
            first_row = model.tables.first_row(layer, points.sets)
            hides = points.hides and layer > LATTICES
            here = Coded(self._tables, level, coded, first_row, points, hides)
            residual, odd, runs, done = read_layer(here, reading, spans)
            whole = done == np.count_nonzero(coded, axis=1)
            complete[alive & whole] = layer
            if level.shape[1]:  # a lattice may be empty
                reading.leave(spans)
            values = points.values(residual, odd)
            table_rows = level + np.int32(first_row) + LEVELS * odd
            layers.append(LayerRead(table_rows, mean, residual, values))
            arrivals.append(Arrival(alive, coded, runs))
            if layer < last:
                state.put(layer, values + mean)
        ended = reading.ended()
        wrong = [
            number
            for number, lane in enumerate(lanes)
            if last == every and not ended[number] and complete[lane.tile] == every
        ]
        for number in used.intersection(wrong):
            tile, layer = lanes[number].tile, lanes[number].layer
            complete[tile] = min(complete[tile], layer - 1)
        refused = [lanes[number] for number in wrong]
        over = np.flatnonzero(reading.reader.beyond()).tolist()
        beyond = [lanes[number] for number in over]
        whole = [lanes[number] for number in np.flatnonzero(ended).tolist()]
        return Read(layers, state, complete, refused, points, arrivals, coarser, beyond, whole)
