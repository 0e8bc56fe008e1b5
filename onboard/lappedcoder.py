"""Tile coder of the lapped codec: tiles to layers of entropy-coded symbols, and back.

A batch of tiles of one shape goes through front end, transform, quantizer and entropy coder
together; a tile's bytes hang on that tile and its step alone (SPEC.md, sections 9 to 11).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard import rans
from onboard.adaptive import AdaptiveFrontEnd
from onboard.contexts import FREQUENCIES, ContextModel, ContextState, Ints
from onboard.errors import UsageError
from onboard.lapped import LATENT_SHIFT, LappedTransform, Latents, Quantizer
from onboard.tables import BIT, Tables

# 2^12 * 2^(i/8). The square of the step of code c is 2^(c/8 - 2) DN^2, so errors in (1/64 step)^2
# times 2^(c/8) are in 2^-14 DN^2.
_EIGHTH_OCTAVES = np.array([4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512], np.int64)
_BIN_SHIFT = 21
_BINS = 4 * (127 + 40)
"""Quarter octaves of the bits of a float32, up to 2^40."""
Analyser = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Prepared:
    """A batch of tiles, analysed once, to be coded at any step.

    Attributes:
        means: int64 (tiles, bands).
        angles: u8 (tiles, angles).
        latents: of all tiles.
    """

    means: NDArray[np.int64]
    angles: NDArray[np.uint8]
    latents: Latents

    def take(self, tiles: NDArray[np.int64]) -> "Prepared":
        """Return some tiles of the batch."""
        if len(tiles) == len(self.means):
            return self
        latents = Latents(self.latents.values[tiles], self.latents.shifts[tiles])
        return Prepared(self.means[tiles], self.angles[tiles], latents)

    @classmethod
    def join(cls, parts: Sequence["Prepared"]) -> "Prepared":
        """Return batches of tiles of one shape as one."""
        if len(parts) == 1:
            return parts[0]
        values = np.concatenate([part.latents.values for part in parts])
        shifts = np.concatenate([part.latents.shifts for part in parts])
        means = np.concatenate([part.means for part in parts])
        angles = np.concatenate([part.angles for part in parts])
        return cls(means, angles, Latents(values, shifts))

    def side(self, tile: int, code: int) -> bytes:
        """Return the packed side information of one tile."""
        means = self.means[tile].astype(np.uint16).astype(">u2")
        packed: bytes = bytes([code]) + self.angles[tile].tobytes() + means.tobytes()
        return packed


@dataclass(frozen=True)
class Chosen:
    """A batch with all that its bytes hang on.

    Attributes:
        prepared: the tiles.
        codes: step code of each.
        states: tile state of each, first byte of its first body.
        room: most bytes of a body.
    """

    prepared: Prepared
    codes: NDArray[np.int64]
    states: Sequence[int]
    room: int


@dataclass(frozen=True)
class Symbols:
    """rANS symbols of a batch, tile after tile in reading order.

    Attributes:
        starts: of each symbol.
        frequencies: of each symbol.
        before: (tiles, units + 1), symbols of the batch before each (layer, position).
        costs: (tiles, units), bits of each (layer, position), in 1/256.
        places: (layer, position) of each unit.
    """

    starts: NDArray[np.uint16]
    frequencies: NDArray[np.uint16]
    before: NDArray[np.int64]
    costs: NDArray[np.int64]
    places: list[tuple[int, int]]


@dataclass(frozen=True)
class Layer:
    """A layer of a batch, quantised: arrays (tiles, positions, channels).

    Attributes:
        level: of each symbol.
        residual: 0 where the level says that it is not coded.
        away: residual before rounding, in 1/64 step.
        coded: which symbols are coded, as indices into the flat arrays.
    """

    level: Ints
    residual: Ints
    away: Ints
    coded: NDArray[np.int64]

    @property
    def first_of_tiles(self) -> NDArray[np.int64]:
        """Index of each tile's first symbol, and of the end."""
        tiles, positions, channels = self.level.shape
        return np.arange(tiles + 1, dtype=np.int64) * np.int64(positions * channels)

    def of_coded(self) -> tuple[NDArray[np.int64], Ints]:
        """Return level and residual of the coded symbols."""
        level = self.level.reshape(-1)[self.coded].astype(np.int64)
        return level, self.residual.reshape(-1)[self.coded]


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
        rounded = (latents.astype(np.int32) + (1 << (LATENT_SHIFT - 1))) >> LATENT_SHIFT
        planes = rounded.reshape(count, bands, rows, cols, FREQUENCIES).transpose(0, 2, 3, 1, 4)
        flat = planes.reshape(count, rows, cols, bands * FREQUENCIES)
        np.take(flat, self.contexts.order, axis=3, out=whole)
        return Prepared(analysed.means, analysed.angles, Latents(whole, analysed.shifts))

    def finest(self, prepared: Prepared) -> NDArray[np.int64]:
        """Return the finest step code that each tile allows."""
        return prepared.latents.least_code(self.transform.mantissas)

    def measure(self, prepared: Prepared, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bits of each tile's symbols at a step, in 1/256."""
        bits = np.zeros(len(codes), np.int64)
        for layer in self.scan(prepared, codes):
            level, residual = layer.of_coded()
            cost = self.tables.cost(level, residual)
            sums = np.concatenate([[0], np.cumsum(cost, dtype=np.int64)])
            bits += np.diff(sums[np.searchsorted(layer.coded, layer.first_of_tiles)])
        return bits

    def guess(self, prepared: Prepared) -> NDArray[np.float64]:
        """Return (256,) roughly the bits of all tiles at each step code, from a histogram."""
        octaves = (2.0**prepared.latents.shifts).astype(np.float32)
        size = np.abs(prepared.latents.values) * octaves[:, None, None, None]
        bins = size.astype(np.float32).view(np.int32) >> _BIN_SHIFT
        counts = np.bincount(bins.reshape(-1), minlength=_BINS)
        found: NDArray[np.float64] = self._bits_of_size @ counts[:_BINS]
        return found

    @cached_property
    def _bits_of_size(self) -> NDArray[np.float64]:
        """(256, bins): bits of a latent of each size at each step code.

        Of x steps 1.31 log2(1 + (1.52 x)^1.39), fitted to the bits of training tiles: within a
        tenth at useful rates.
        """
        middle = (np.arange(_BINS) << _BIN_SHIFT) + (1 << (_BIN_SHIFT - 1))
        size = middle.astype(np.int32).view(np.float32).astype(np.float64)
        size[0] = 0
        codes = np.arange(256)
        step = 64 * 2.0 ** (8 + codes // 16) / self.transform.mantissas[codes % 16]
        return 1.31 * np.log2(1 + (1.52 * size / step[:, None]) ** 1.39)

    def error(self, prepared: Prepared, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the squared error of each tile that its rounding makes, in squared DN."""
        error = np.zeros(len(codes), np.int64)
        for number, layer in enumerate(self.scan(prepared, codes), 1):
            weights = self.synthesis_power[self.contexts.channels_of(number)]
            lost = (layer.away - (layer.residual << 6)).astype(np.int64)
            error += (lost * lost * weights).sum(axis=(1, 2)) >> 8
        octaves, eighths = codes // 8, codes % 8
        return np.asarray((error * _EIGHTH_OCTAVES[eighths] >> 20) << octaves >> 6, np.int64)

    @cached_property
    def synthesis_power(self) -> NDArray[np.int64]:
        """Squared length of the synthesis filter of each channel, in 1/256, in order."""
        filters = self.transform.synthesis.reshape(FREQUENCIES, -1).astype(np.int64)
        power = (filters * filters).sum(axis=1) >> 20
        return np.asarray(power[self.contexts.order % FREQUENCIES], np.int64)

    def scan(self, prepared: Prepared, codes: NDArray[np.int64]) -> Iterator[Layer]:
        """Quantise a batch at the given steps, layer by layer."""
        scaled = prepared.latents.scaled(codes, self.transform.mantissas)
        state = ContextState(self.contexts, *scaled.shape[:3])
        for number in range(1, self.contexts.layers + 1):
            level, mean = state.context(number)
            away = state.take(scaled, number) - (mean << 6)
            coded = np.flatnonzero(level > self.quantizer.skip)
            residual = np.zeros(level.shape, np.int32)
            residual.reshape(-1)[coded] = self.quantizer.quantise(
                away.reshape(-1)[coded], level.reshape(-1)[coded]
            )
            state.put(number, residual + mean)
            yield Layer(level, residual, away, coded)

    def symbols(self, prepared: Prepared, codes: NDArray[np.int64]) -> Symbols:
        """Quantise a batch at the given steps."""
        levels, residuals, owners, counts, costs = [], [], [], [], []
        places: list[tuple[int, int]] = []
        for number, layer in enumerate(self.scan(prepared, codes), 1):
            tiles, positions, channels = layer.level.shape
            level, residual = layer.of_coded()
            unit = layer.coded // channels
            cost = np.bincount(unit, self.tables.cost(level, residual), tiles * positions)
            costs.append(cost.astype(np.int64).reshape(tiles, positions))
            counts.append(np.bincount(unit, minlength=cost.size).reshape(tiles, positions))
            levels.append(level.astype(np.uint8))
            residuals.append(residual)
            owners.append((unit // max(positions, 1)).astype(np.uint16))
            places += [(number, position) for position in range(positions)]
        order = np.argsort(np.concatenate(owners), kind="stable")
        starts, frequencies, sizes = self.tables.intervals(
            np.concatenate(levels)[order], np.concatenate(residuals)[order]
        )
        units = np.concatenate(counts, axis=1).reshape(-1)
        coded = np.concatenate([[0], np.cumsum(units)])
        symbols = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])[coded]
        tiles = len(codes)
        before = np.empty((tiles, len(places) + 1), np.int64)
        before[:, :-1] = symbols[:-1].reshape(tiles, -1)
        before[:, -1] = symbols[len(places) :: len(places)]
        return Symbols(starts, frequencies, before, np.concatenate(costs, axis=1), places)

    def code(
        self, batches: Sequence["Chosen"], one_layer: bool = False
    ) -> list[list[list[tuple[int, int, bytes]]]]:
        """Code batches of tiles; all their segments go through the entropy coder side by side.

        Returns:
            For each batch and tile, starting layer, position and body of its segments.

        Raises:
            UsageError: one position of a layer takes more than the room.
        """
        symbols = [self.symbols(batch.prepared, batch.codes) for batch in batches]
        margin = 1
        while True:
            cuts = [
                self._cut(found, batch.room, margin, one_layer)
                for found, batch in zip(symbols, batches, strict=True)
            ]
            lanes = iter(self._lanes(symbols, cuts))
            bodies = [
                self._bodies(batch, found, tiles, lanes)
                for batch, found, tiles in zip(batches, symbols, cuts, strict=True)
            ]
            longest = [max(len(body) for tile in tiles for _, _, body in tile) for tiles in bodies]
            if all(n <= batch.room for n, batch in zip(longest, batches, strict=True)):
                return bodies
            margin += 1

    def _cut(
        self, symbols: Symbols, room: int, margin: int, one_layer: bool
    ) -> list[list[tuple[int, int]]]:
        """Return ranges of positions that fit segments, tile by tile."""
        first_room = room - 1 - self.front_end.side_bytes
        units = symbols.costs
        sums = np.concatenate([np.zeros((len(units), 1), np.int64), np.cumsum(units, 1)], axis=1)
        layers = np.array([layer for layer, _ in symbols.places])
        ends = np.searchsorted(layers, layers, side="right")
        found = []
        for tile in sums:
            cuts: list[tuple[int, int]] = []
            first = 0
            while first < len(tile) - 1:
                free = (first_room if not cuts else room) - rans.STATE_BYTES
                bits = 8 * BIT * free * (1000 - 2 * margin) // 1000 - 8 * BIT * margin
                stop = int(np.searchsorted(tile, tile[first] + max(bits, 0), side="right")) - 1
                if one_layer:
                    stop = min(stop, int(ends[first])) if cuts else 0
                if stop == first and cuts:
                    raise UsageError(f"segments: one position takes more than {room} bytes")
                cuts.append((first, stop))
                first = stop
            found.append(cuts)
        return found

    def _lanes(
        self, symbols: Sequence[Symbols], cuts: Sequence[list[list[tuple[int, int]]]]
    ) -> list[bytes]:
        """Code the ranges of all tiles, each a lane."""
        lengths: list[int] = []
        for found, tiles in zip(symbols, cuts, strict=True):
            for before, tile in zip(found.before, tiles, strict=True):
                lengths += [int(before[stop] - before[first]) for first, stop in tile]
        return rans.encode(
            np.concatenate([found.starts for found in symbols]),
            np.concatenate([found.frequencies for found in symbols]),
            np.array(lengths),
        )

    def _bodies(
        self,
        batch: "Chosen",
        symbols: Symbols,
        cuts: Sequence[list[tuple[int, int]]],
        lanes: Iterator[bytes],
    ) -> list[list[tuple[int, int, bytes]]]:
        """Put tile state and side information before the first lane of each tile."""
        bodies = []
        for number, (tile, state) in enumerate(zip(cuts, batch.states, strict=True)):
            side = bytes([state]) + batch.prepared.side(number, int(batch.codes[number]))
            first_lane = next(lanes)
            segments = [(0, 0, side + first_lane if tile[0][1] else side)]
            segments += [(*symbols.places[first], next(lanes)) for first, _ in tile[1:]]
            bodies.append(segments)
        return bodies
