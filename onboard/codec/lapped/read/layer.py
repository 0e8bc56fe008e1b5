"""Reading one layer: residuals of its coded symbols, from the lanes that cover it (SPEC.md, 11)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints
from onboard.codec.lapped.quantizers.points import Points
from onboard.codec.lapped.quantizers.signs import INSIDE, Runs, signed
from onboard.codec.lapped.read.lanes import Lanes, Span
from onboard.codec.lapped.read.tables import TableReader

_FEW_LANES = 16
"""Lanes up to which plain Python, one by one, is faster than numpy, all together."""


@dataclass(frozen=True)
class Coded:
    """A layer to be read: what is known of it before.

    Attributes:
        tables: reads residuals.
        level: (tiles, positions, channels), level of each symbol.
        coded: (tiles, symbols), which are coded, in tiles whose earlier layers all arrived.
        first_row: first row of the layer's tables.
        points: what the indices stand for.
        hides: whether signs of the layer are hidden.
    """

    tables: TableReader
    level: Ints
    coded: NDArray[np.bool_]
    first_row: int
    points: Points
    hides: bool

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Places of the symbols that are coded, in the flat layer."""
        return np.flatnonzero(self.coded)

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """Level of each symbol that is coded."""
        return np.take(self.level, self.places).astype(np.int64)

    @cached_property
    def marks(self) -> NDArray[np.uint8] | None:
        """Marks of the symbols that are coded, see `Runs`; None where no signs are hidden."""
        return None if self.runs is None else self.runs.marks(len(self.places))

    @cached_property
    def runs(self) -> Runs | None:
        """The runs that hide signs; None where no signs are hidden."""
        if not self.hides:
            return None
        return Runs.of(self.places, self.levels, self.level.shape[2])


def read_layer(
    layer: Coded, lanes: Lanes, spans: Sequence[Span]
) -> tuple[Ints, Ints, NDArray[np.int64], NDArray[np.int64]]:
    """Return residuals, whether the state before each was odd, runs, how many of each tile's came.

    Runs are those of `Arrival`. Plain tiles have no odd states.
    """
    shape = layer.level.shape
    residual, odd = (np.zeros(layer.level.size, np.int32) for _ in range(2))
    read = np.zeros(len(layer.coded), np.int64)
    if not spans:
        return residual.reshape(shape), odd.reshape(shape), np.zeros((2, 0), np.int64), read
    places = layer.places
    tile, first, stop, lane, state = np.array(spans, np.int64).T
    width, channels = layer.coded.shape[1], shape[2]
    begin = np.searchsorted(places, tile * width + first * channels)
    length = np.searchsorted(places, tile * width + stop * channels) - begin
    length = np.minimum(length, lanes.left[lane])
    order = np.argsort(-length, kind="stable")
    is_raw = np.array([number in lanes.raw for number in lane.tolist()], np.bool_)
    some = order[~is_raw[order]]
    runs = lane[some], begin[some], length[some]
    counts = np.zeros(len(lane), np.int64)
    counts[some] = _read_coded(layer, lanes, runs, state[some], residual, odd)
    for number in np.flatnonzero(is_raw).tolist():
        values = lanes.raw[int(lane[number])].take(int(length[number]))
        here = places[begin[number] : begin[number] + len(values)]
        residual[here] = values
        odd[here] = layer.points.odd_before(int(state[number]), values.tolist())
        counts[number] = len(values)
    if layer.runs is not None and layer.marks is not None:
        _find_signs(layer, layer.runs, layer.marks, (begin, length, counts), residual)
    np.add.at(read, tile, counts)
    lanes.left[lane] -= counts
    return residual.reshape(shape), odd.reshape(shape), np.stack([begin, counts]), read


def _read_coded(
    layer: Coded,
    lanes: Lanes,
    runs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    states: NDArray[np.int64],
    residual: Ints,
    odd: Ints,
) -> NDArray[np.int64]:
    """Read entropy-coded lanes.

    Args:
        layer: the layer that they are of.
        lanes: all lanes of the batch.
        runs: lane, first of the coded symbols and count of each run, those of most residuals first.
        states: state of the trellis where each run begins.
        residual: residuals of the flat layer, to be filled.
        odd: whether the state before each was odd, to be filled.

    Returns:
        How many residuals of each run were read.
    """
    lane, begin, length = runs
    places, marks = layer.places, layer.marks
    counts = np.zeros(len(lane), np.int64)
    if len(lane) and int(length.sum()) < _FEW_LANES * int(length[0]):
        for number, (one, start, count, state) in enumerate(
            zip(*(part.tolist() for part in (*runs, states)), strict=True)
        ):
            here = places[start : start + count]
            which = slice(start, start + count)
            rows = (layer.levels[which] + layer.first_row).tolist()
            values, of_state = layer.tables.decode_lane(
                lanes.reader,
                one,
                rows,
                state if layer.points.steered else None,
                None if marks is None else marks[which].tolist(),
            )
            residual[here[: len(values)]] = values
            odd[here[: len(of_state)]] = of_state
            counts[number] = len(values)
    elif some := int(np.count_nonzero(length)):
        begins = states[:some] if layer.points.steered else None
        found = layer.tables.decode(
            lanes.reader,
            (lane[:some], begin[:some], length[:some]),
            layer.levels,
            layer.first_row,
            begins,
            marks,
        )
        residual[places], counts[:some] = found.residuals, found.counts
        if found.odd is not None:
            odd[places] = found.odd
    return counts


def _find_signs(
    layer: Coded,
    runs: Runs,
    marks: NDArray[np.uint8],
    lanes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    residual: Ints,
) -> None:
    """Give residuals the signs that are hidden; what came of a run that is not whole did not.

    Args:
        layer: the layer that they are of.
        runs: its runs.
        marks: of its coded symbols, see `Runs`.
        lanes: first of the coded symbols of each lane, how many it has, and how many came, which
            becomes less where the last run is not whole.
        residual: residuals of the flat layer, to be changed.
    """
    begin, length, counts = lanes
    for lane in np.flatnonzero(counts < length).tolist():
        first, stop = int(begin[lane]), int(begin[lane] + counts[lane])
        if marks[stop] == INSIDE:
            stop = first + int(np.flatnonzero(marks[first:stop])[-1])
            residual[layer.places[stop : first + int(counts[lane])]] = 0
            counts[lane] = stop - first
    found = signed(layer.tables.signs, runs, residual[layer.places], layer.levels + layer.first_row)
    residual[layer.places] = found
