"""Encoder: an image to segments, window by window of tiles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import Bundle
from onboard.errors import InputError, LimitError, UsageError
from onboard.lappedcoder import Chosen
from onboard.layers import ALL_NODATA, ALL_VALID, SOME_NODATA
from onboard.nodatamask import pack_mask
from onboard.ratecontrol import CODES, Codes, Measure, code_for_error, codes_for_budget
from onboard.rawimage import check_image
from onboard.sceneheader import EndOfScene, SceneHeader
from onboard.segment import (
    DEFAULT_SEGMENT_BYTES,
    MAX_SEGMENT_BYTES,
    MIN_SEGMENT_BYTES,
    SEGMENT_OVERHEAD,
    Kind,
    Segment,
)
from onboard.tilecoder import Body, TileCoder, open_tile_coder
from onboard.tiling import TileGrid

HEADER_EVERY = 64
TILES_AT_ONCE = 24
_TRIES = 8
_NEAR = 0.985
EDGE_BYTES = 4
DEFAULT_RATIO = 20.48
WINDOWS = ("scene", "strip")


@dataclass(frozen=True)
class Options:
    """What the caller chooses.

    Attributes:
        scene_id: u16, told apart by the receiver.
        segment_bytes: most bytes of a segment, header and CRC included.
        one_layer: begin a new segment at every layer, so that layers can be scheduled apart.
        budget: most bytes of the stream, for bundles of variable rate.
        rmse: root mean square error aimed at, in DN, instead of a budget.
        window: over what the rate is controlled, 'scene' or 'strip' (one row of tiles).
    """

    scene_id: int = 0
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    one_layer: bool = False
    budget: int | None = None
    rmse: float | None = None
    window: str = "scene"

    def __post_init__(self) -> None:
        if not 0 <= self.scene_id <= 65_535:
            raise UsageError(f"scene id: expected 0..65535, found {self.scene_id}")
        if not MIN_SEGMENT_BYTES <= self.segment_bytes <= MAX_SEGMENT_BYTES:
            raise UsageError(
                f"segment bytes: expected {MIN_SEGMENT_BYTES}..{MAX_SEGMENT_BYTES}, "
                f"found {self.segment_bytes}"
            )
        if self.budget is not None and self.rmse is not None:
            raise UsageError("rate: expected a budget or an error, found both")
        if self.rmse is not None and not 0 < self.rmse < 65_536:
            raise UsageError(f"RMSE: expected more than 0 DN, found {self.rmse}")
        if self.window not in WINDOWS:
            raise UsageError(f"rate window: expected one of {WINDOWS}, found {self.window!r}")


@dataclass(frozen=True)
class _Batch:
    """Tiles of one shape, analysed.

    Attributes:
        indices: their numbers in the grid.
        edge: valid rows and columns, of border tiles.
        nodata: (tiles, rows, cols), of the valid rows and columns.
        prepared: what the tile coder made of them.
    """

    indices: list[int]
    edge: tuple[int, int] | None
    nodata: NDArray[np.bool_]
    prepared: Any

    @property
    def states(self) -> list[int]:
        """Tile state of each."""
        return [
            SOME_NODATA if some else ALL_VALID for some in np.any(self.nodata, axis=(1, 2)).tolist()
        ]


@dataclass(frozen=True)
class _Window:
    """Tiles over which the rate is controlled, and those that are all nodata."""

    batches: list[_Batch]
    empty: list[tuple[int, tuple[int, int] | None]]

    @property
    def count(self) -> int:
        """Tiles that have data."""
        return sum(len(batch.indices) for batch in self.batches)


class Encoder:
    """A bundle and the engine that runs its encoder graph; encodes any number of scenes."""

    def __init__(self, bundle: Bundle, engine: str | None = None, threads: int = 1) -> None:
        self.bundle = bundle
        self.coder: TileCoder = open_tile_coder(bundle, engine, threads)

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.coder.engine

    def state_bytes(self, width: int) -> int:
        """Return what a strip of `width` columns takes while it is encoded, packets left aside.

        That is the samples of one row of tiles, and per tile its symbols' sizes at two steps.
        """
        columns = -(-width // self.bundle.tile)
        tile = self.bundle.tile
        samples = 2 * self.bundle.bands * tile * tile
        latents = 4 * self.bundle.bands * tile * tile
        return columns * (samples + 16) + latents + samples

    def encode(
        self, image: NDArray[Any], header: SceneHeader | None = None, options: Options | None = None
    ) -> Iterator[bytes]:
        """Yield the segments of a scene: header, tiles in row-major order, end.

        Args:
            image: (bands, rows, cols), uint8, uint16 or int16; may be memory-mapped.
            header: what to say of the scene; size, bands and sample type are filled in here.
            options: see `Options`.

        Raises:
            InputError: wrong dtype, bands or shape, or values beyond the significant bits.
            UsageError: a rate for a bundle of fixed rate, or segments too short for the header.
            LimitError: the coarsest encoding takes more than the budget.
        """
        options = self._complete(image, options or Options())
        header = self._scene_header(image, header)
        grid = TileGrid(image.shape[2], image.shape[1], self.bundle.tile)
        head = self._segment(Kind.SCENE, options, body=header.pack())
        if len(head) > options.segment_bytes:
            raise UsageError(
                f"scene header: takes {len(head)} bytes, segments may have {options.segment_bytes}"
            )
        written = 0
        for rows in self._windows(grid, options):
            window = self._prepare(image, header, grid, rows)
            budget = self._share(options, grid, rows, len(head), written)
            for segment in self._code(window, grid, options, head, written, budget):
                yield segment
                written += 1
        yield self._segment(Kind.END, options, body=EndOfScene(grid.height, written).pack())

    def _complete(self, image: NDArray[Any], options: Options) -> Options:
        """Fill in the default rate, or refuse a rate that the bundle cannot keep."""
        asked = options.budget is not None or options.rmse is not None
        if not self.bundle.variable_rate:
            if asked:
                raise UsageError(f"rate: bundle {self.bundle.name} has a fixed rate")
            return options
        raw = image.size * image.dtype.itemsize
        return options if asked else replace(options, budget=int(raw / DEFAULT_RATIO))

    def _scene_header(self, image: NDArray[Any], header: SceneHeader | None) -> SceneHeader:
        """Complete the header from the image, refusing what does not fit."""
        kind = check_image(image, self.bundle.bands)
        header = header or SceneHeader.of(image)
        if header.sample_type != kind:
            raise InputError(f"image: header says {header.sample_type}, found {kind}")
        return replace(header, bands=image.shape[0], width=image.shape[2], height=image.shape[1])

    def _windows(self, grid: TileGrid, options: Options) -> Iterator[range]:
        """Yield rows of tiles that are coded together."""
        whole = options.window == "scene" and self.bundle.variable_rate
        step = grid.rows if whole else 1
        for first in range(0, grid.rows, step):
            yield range(first, min(first + step, grid.rows))

    def _prepare(
        self, image: NDArray[Any], header: SceneHeader, grid: TileGrid, rows: range
    ) -> _Window:
        """Analyse the tiles of some rows of the grid, all of one shape in a row together."""
        window = _Window([], [])
        shapes: dict[tuple[int, int], list[int]] = {}
        for index in range(rows.start * grid.columns, rows.stop * grid.columns):
            shapes.setdefault(grid.box(index)[2:], []).append(index)
        for shape, members in shapes.items():
            for first in range(0, len(members), TILES_AT_ONCE):
                part = members[first : first + TILES_AT_ONCE]
                self._prepare_batch(window, image, header, grid, shape, part)
        return window

    def _prepare_batch(
        self,
        window: _Window,
        image: NDArray[Any],
        header: SceneHeader,
        grid: TileGrid,
        shape: tuple[int, int],
        members: Sequence[int],
    ) -> None:
        rows, cols = shape
        edge = None if rows == cols == grid.tile else shape
        tiles = np.stack([grid.cut(image, index) for index in members])
        present = np.ones((len(members), *tiles.shape[2:]), np.bool_)
        if header.nodata is not None:
            present = (tiles != header.nodata).any(axis=1)
        filled = np.asarray(np.any(present[:, :rows, :cols], axis=(1, 2)))
        window.empty.extend(
            (index, edge) for index, any_ in zip(members, filled, strict=True) if not any_
        )
        if not filled.any():
            return
        tiles, present = tiles[filled], present[filled]
        _check_range(tiles, present, header)
        window.batches.append(
            _Batch(
                [index for index, any_ in zip(members, filled, strict=True) if any_],
                edge,
                ~present[:, :rows, :cols],
                self.coder.prepare(tiles, present, shape),
            )
        )

    def _share(
        self, options: Options, grid: TileGrid, rows: range, head: int, written: int
    ) -> int | None:
        """Return the bytes that some rows of tiles may take, in proportion to their pixels.

        What earlier rows left over is not handed on: each strip stands alone.
        """
        if options.budget is None:
            return None
        last = rows.stop == grid.rows
        end = SEGMENT_OVERHEAD + len(EndOfScene(grid.height, 0).pack())
        lines = min(rows.stop * grid.tile, grid.height) - rows.start * grid.tile
        share = (options.budget - end) * lines // grid.height
        return share - (head if written and not last else 0)

    def _code(
        self,
        window: _Window,
        grid: TileGrid,
        options: Options,
        head: bytes,
        written: int,
        budget: int | None,
    ) -> list[bytes]:
        """Return the segments of a window, within the budget if there is one."""
        if not self.bundle.variable_rate or not window.count:
            codes = np.zeros(window.count, np.int64)
            return self._segments(window, codes, options, head, written)
        if budget is None:
            assert options.rmse is not None
            codes = self._codes_for_error(window, grid, options.rmse)
            return self._segments(window, codes, options, head, written)
        sizes = self._sizes(window, options, len(head))
        aim = budget - self._fixed_bytes(window, options, len(head))
        best: list[bytes] = []
        for _ in range(_TRIES):
            try:
                codes = codes_for_budget(window.count, max(aim, 0), sizes)
            except LimitError:
                break
            segments = self._segments(window, codes, options, head, written)
            total = sum(map(len, segments))
            if total <= budget:
                best = max(best, segments, key=lambda found: sum(map(len, found)))
                if total >= _NEAR * budget or not codes.any():
                    return best
            # What the sizes are off by, and half a per mille so that it ends below.
            aim += budget - total - budget // 2000
        if best:
            return best
        coarsest = np.full(window.count, CODES - 1)
        segments = self._segments(window, coarsest, options, head, written)
        total = sum(map(len, segments))
        if total > budget:
            raise LimitError(f"budget: {budget} bytes, but the coarsest step takes {total}")
        return segments

    def _sizes(self, window: _Window, options: Options, head: int) -> Measure:
        """Return a measure of tiles in bytes, segments and their share of headers included."""
        room = options.segment_bytes - SEGMENT_OVERHEAD - 10

        known: dict[int, NDArray[np.int64]] = {}

        def sizes(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            if len(tiles) < window.count:
                return fresh(tiles, codes)
            if int(codes[0]) not in known:
                known[int(codes[0])] = fresh(tiles, codes)
            return known[int(codes[0])]

        def fresh(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            symbols = self._over(window, tiles, codes, self.coder.measure)
            segments = -(-symbols // room)
            return symbols + segments * (SEGMENT_OVERHEAD + 4 + head // HEADER_EVERY) + 1

        return sizes

    def _fixed_bytes(self, window: _Window, options: Options, head: int) -> int:
        """Return the bytes of a window that no step changes: a header, masks, edges, nodata."""
        room = options.segment_bytes - SEGMENT_OVERHEAD - EDGE_BYTES
        spent = head + (SEGMENT_OVERHEAD + EDGE_BYTES + 1) * len(window.empty)
        for batch in window.batches:
            edge = EDGE_BYTES if batch.edge else 0
            spent += edge * len(batch.indices)
            for nodata in batch.nodata:
                masks = pack_mask(nodata, room) if nodata.any() else []
                spent += sum(SEGMENT_OVERHEAD + edge + len(body) for _, body in masks)
        return spent

    def _codes_for_error(self, window: _Window, grid: TileGrid, rmse: float) -> Codes:
        values = self.bundle.bands * sum(int((~batch.nodata).sum()) for batch in window.batches)

        def errors(tiles: NDArray[np.int64], codes: Codes) -> NDArray[np.int64]:
            return self._over(window, tiles, codes, self.coder.error)

        return code_for_error(window.count, rmse * rmse * values, errors)

    def _over(
        self, window: _Window, tiles: NDArray[np.int64], codes: Codes, measure: Any
    ) -> NDArray[np.int64]:
        """Measure tiles, numbered through the batches of a window."""
        found, first = [], 0
        for batch in window.batches:
            stop = first + len(batch.indices)
            here = (tiles >= first) & (tiles < stop)
            if here.any():
                prepared = self.coder.take(batch.prepared, tiles[here] - first)
                finest = self.coder.finest(prepared)
                found.append(measure(prepared, np.maximum(codes[here], finest)))
            first = stop
        return np.concatenate(found)

    def _segments(
        self, window: _Window, codes: Codes, options: Options, head: bytes, written: int
    ) -> list[bytes]:
        """Return the segments of a window in the order of its tiles, scene headers between."""
        by_tile: dict[int, list[bytes]] = {}
        for index, edge in window.empty:
            body = bytes([ALL_NODATA])
            by_tile[index] = [self._segment(Kind.TILE, options, index, edge, body=body)]
        chosen, first = [], 0
        for batch in window.batches:
            stop = first + len(batch.indices)
            room = options.segment_bytes - SEGMENT_OVERHEAD - (EDGE_BYTES if batch.edge else 0)
            within = np.maximum(codes[first:stop], self.coder.finest(batch.prepared))
            chosen.append(Chosen(batch.prepared, within, batch.states, room))
            first = stop
        coded = self.coder.code(chosen, options.one_layer) if chosen else []
        for batch, choice, tiles in zip(window.batches, chosen, coded, strict=True):
            by_tile |= self._batch_segments(batch, choice, tiles, options)
        found: list[bytes] = []
        for index in sorted(by_tile):
            for segment in by_tile[index]:
                if (written + len(found)) % HEADER_EVERY == 0:
                    found.append(head)
                found.append(segment)
        return found

    def _batch_segments(
        self, batch: _Batch, chosen: Chosen, tiles: list[list[Body]], options: Options
    ) -> dict[int, list[bytes]]:
        """Return the segments of each tile of a batch."""
        found = {}
        for index, state, nodata, bodies in zip(
            batch.indices, chosen.states, batch.nodata, tiles, strict=True
        ):
            segments = [
                self._segment(Kind.TILE, options, index, batch.edge, *body) for body in bodies
            ]
            for first, body in pack_mask(nodata, chosen.room) if state == SOME_NODATA else ():
                segments.append(
                    self._segment(Kind.MASK, options, index, batch.edge, 0, first, body)
                )
            found[index] = segments
        return found

    def _segment(
        self,
        kind: Kind,
        options: Options,
        tile: int = 0,
        edge: tuple[int, int] | None = None,
        layer: int = 0,
        first: int = 0,
        body: bytes = b"",
    ) -> bytes:
        model = self.bundle.model_hash[:4]
        return Segment(kind, options.scene_id, model, tile, layer, first, edge, body).pack()


def _check_range(tiles: NDArray[Any], present: NDArray[np.bool_], header: SceneHeader) -> None:
    """Refuse samples that the significant bits of the header cannot hold."""
    low, high = header.sample_range
    samples = tiles if present.all() else tiles.transpose(0, 2, 3, 1)[present]
    if int(samples.min()) < low or int(samples.max()) > high:
        raise InputError(
            f"samples: expected {low}..{high} ({header.significant_bits} significant bits), "
            f"found {samples.min()}..{samples.max()}"
        )
