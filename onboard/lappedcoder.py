"""Tile coder of the lapped codec: tiles to layers of entropy-coded symbols, and back.

A batch of tiles of one shape goes through front end, transform, quantizer and entropy coder
together; a tile's bytes hang on that tile and its step alone (SPEC.md, sections 9 to 11).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard import rans
from onboard.adaptive import AdaptiveFrontEnd, Analysed
from onboard.contexts import FREQUENCIES, ContextModel, ContextState, Ints
from onboard.errors import UsageError
from onboard.lapped import LappedTransform, Latents, Quantizer
from onboard.tables import BIT, Tables

END_BYTES = 3
_OVERHEAD = END_BYTES + rans.STATE_BYTES
Analyser = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Prepared:
    """A batch of tiles, analysed once, to be coded at any step."""

    analysed: Analysed
    latents: Latents

    def side(self, tile: int, code: int) -> bytes:
        """Return the packed side information of one tile."""
        means = self.analysed.means[tile].astype(np.uint16).astype(">u2")
        return bytes([code]) + self.analysed.angles[tile].tobytes() + means.tobytes()


@dataclass(frozen=True)
class Symbols:
    """Residuals of a batch in reading order.

    Attributes:
        level: (tiles, residuals).
        residual: int32 (tiles, residuals).
        coded: bool (tiles, residuals), False where a residual is 0 by its level.
        starts: first residual of each (layer, position).
        places: (layer, position) of each of `starts`.
    """

    level: NDArray[np.intp]
    residual: Ints
    coded: NDArray[np.bool_]
    starts: NDArray[np.int64]
    places: list[tuple[int, int]]


@dataclass(frozen=True)
class LappedCoder:
    """The parts that a bundle names."""

    front_end: AdaptiveFrontEnd
    transform: LappedTransform
    contexts: ContextModel
    quantizer: Quantizer
    tables: Tables

    def prepare(
        self, tiles: NDArray[Any], present: NDArray[np.bool_], analyser: Analyser | None = None
    ) -> Prepared:
        """Analyse tiles (tiles, bands, rows, cols) of one shape; see `AdaptiveFrontEnd.analyse`.

        Args:
            tiles: samples in DN.
            present: where there are data.
            analyser: an engine's transform; None uses numpy.
        """
        analysed = self.front_end.analyse(tiles, present)
        latents = (analyser or self.transform.analyse)(analysed.planes)
        count, bands = analysed.means.shape
        _, rows, cols, _ = latents.shape
        whole = np.empty((count, rows, cols, bands * FREQUENCIES), np.int32)
        rounded = (latents.astype(np.int32) + 16) >> 5
        planes = rounded.reshape(count, bands, rows, cols, FREQUENCIES).transpose(0, 2, 3, 1, 4)
        flat = planes.reshape(count, rows, cols, bands * FREQUENCIES)
        np.take(flat, self.contexts.order, axis=3, out=whole)
        return Prepared(analysed, Latents(whole, analysed.shifts))

    def finest(self, prepared: Prepared) -> NDArray[np.int64]:
        """Return the finest step code that each tile allows."""
        return prepared.latents.least_code(self.transform.mantissas)

    def measure(self, prepared: Prepared, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bits of each tile's symbols at a step, in 1/256."""
        bits = np.zeros(len(codes), np.int64)
        for level, residual, _ in self.scan(prepared, codes):
            cost = self.tables.cost(level, residual)
            cost[level <= self.quantizer.skip] = 0
            bits += cost.sum(axis=(1, 2), dtype=np.int64)
        return bits

    def scan(
        self, prepared: Prepared, codes: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.intp], Ints, Ints]]:
        """Yield level, residual, and residual before rounding in 1/64 step, layer by layer.

        Each is (tiles, positions, channels).
        """
        scaled = prepared.latents.scaled(codes, self.transform.mantissas)
        state = ContextState(self.contexts, *scaled.shape[:3])
        for layer in range(1, self.contexts.layers + 1):
            level, mean = state.context(layer)
            away = state.take(scaled, layer) - (mean << 6)
            residual = self.quantizer.quantise(away, level)
            state.put(layer, residual + mean)
            yield level, residual, away

    def symbols(self, prepared: Prepared, codes: NDArray[np.int64]) -> Symbols:
        """Quantise a batch at the given steps."""
        levels, residuals, starts, places, total = [], [], [], [], 0
        for layer, (level, residual, _) in enumerate(self.scan(prepared, codes), 1):
            count, positions, channels = level.shape
            levels.append(level.reshape(count, -1))
            residuals.append(residual.reshape(count, -1))
            starts += range(total, total + positions * channels, channels)
            places += [(layer, position) for position in range(positions)]
            total += positions * channels
        level = np.concatenate(levels, axis=1)
        return Symbols(
            level,
            np.concatenate(residuals, axis=1),
            level > self.quantizer.skip,
            np.array(starts),
            places,
        )

    def code(
        self, prepared: Prepared, codes: NDArray[np.int64], room: int, state_bytes: int = 1
    ) -> list[list[tuple[int, int, bytes]]]:
        """Return, for each tile, starting layer, position and body of its segments.

        Args:
            prepared: the tiles.
            codes: step code of each.
            room: most bytes of a body.
            state_bytes: bytes of the first body that the caller puts in front.

        Raises:
            UsageError: one position of a layer takes more than `room`.
        """
        symbols = self.symbols(prepared, codes)
        first_room = room - state_bytes - self.front_end.side_bytes
        margin = 1
        while True:
            cuts = self._cut(symbols, room, first_room, margin)
            lanes = self._lanes(symbols, cuts)
            rooms = [first_room if not cut[0] else room for tile in cuts for cut in tile]
            if all(len(lane) + END_BYTES <= r for lane, r in zip(lanes, rooms, strict=True)):
                return self._bodies(prepared, codes, symbols, cuts, lanes)
            margin += 1

    def _cut(
        self, symbols: Symbols, room: int, first_room: int, margin: int
    ) -> list[list[tuple[int, int]]]:
        """Return ranges of positions that fit segments, tile by tile."""
        cost = self.tables.cost(symbols.level, symbols.residual)
        cost[~symbols.coded] = 0
        units = np.add.reduceat(cost, symbols.starts, axis=1, dtype=np.int64)
        sums = np.concatenate([np.zeros((len(units), 1), np.int64), np.cumsum(units, 1)], axis=1)
        found = []
        for tile in sums:
            cuts: list[tuple[int, int]] = []
            first = 0
            while first < len(tile) - 1:
                free = (first_room if not cuts else room) - _OVERHEAD
                bits = 8 * BIT * free * (1000 - 2 * margin) // 1000 - 8 * BIT * margin
                stop = int(np.searchsorted(tile, tile[first] + max(bits, 0), side="right")) - 1
                if stop == first and cuts:
                    raise UsageError(f"segments: one position takes more than {room} bytes")
                cuts.append((first, stop))
                first = stop
            found.append(cuts)
        return found

    def _lanes(self, symbols: Symbols, cuts: Sequence[Sequence[tuple[int, int]]]) -> list[bytes]:
        """Code the ranges of all tiles, each a lane."""
        width = symbols.level.shape[1]
        edges = np.append(symbols.starts, width)
        before = np.zeros(symbols.level.size + 1, np.int64)
        np.cumsum(symbols.coded.reshape(-1), out=before[1:])
        lengths = [
            before[number * width + edges[stop]] - before[number * width + edges[first]]
            for number, tile in enumerate(cuts)
            for first, stop in tile
        ]
        return self.tables.encode(
            symbols.level[symbols.coded], symbols.residual[symbols.coded], np.array(lengths)
        )

    def _bodies(
        self,
        prepared: Prepared,
        codes: NDArray[np.int64],
        symbols: Symbols,
        cuts: Sequence[Sequence[tuple[int, int]]],
        lanes: Sequence[bytes],
    ) -> list[list[tuple[int, int, bytes]]]:
        """Put side information and ends before the lanes."""
        last = (self.contexts.layers + 1, 0)
        places = [*symbols.places, last]
        lane = iter(lanes)
        bodies = []
        for number, tile in enumerate(cuts):
            segments = []
            for first, stop in tile:
                layer, position = places[first] if first else (0, 0)
                side = b"" if first else prepared.side(number, int(codes[number]))
                end_layer, end = places[stop]
                body = side + bytes([end_layer]) + end.to_bytes(2, "big") + next(lane)
                segments.append((layer, position, body))
            bodies.append(segments)
        return bodies
