"""Latents of the lapped codec quantised along a trellis, entropy coded by the codec's contexts.

Bytes are code lengths by the frequency tables, to a stream's framing; nothing is written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation.latents import LatentScene
from benchmarks.ablation.trellis import Trellis
from benchmarks.ablation.variants import SEED
from ground.scene import Scene
from ground.train.lapped.fit import draw_codes, start_tables, tables_of
from onboard.codec import rans
from onboard.codec.lapped.context import LEVELS, Ints
from onboard.codec.lapped.contextstate import ContextState, levels
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.path import SIZES
from onboard.codec.lapped.quantizers.quantisation import LARGEST_WORD
from onboard.codec.lapped.sizeguess import SizeGuess
from onboard.codec.lapped.tables import BIT, ESCAPE, LARGEST, SYMBOLS, Tables
from onboard.codec.lapped.transform import SUB_STEPS
from onboard.codec.tile import STEPS
from onboard.errors import LimitError

ROUNDS = 3
_PRIOR, _LAW = 20, 4
"""Symbols that the start and a Laplace law count as."""
_LEVELS_AN_OCTAVE = 4
_APART = 4
"""Step codes from one that is tried to the next, since each takes long."""

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Decided:
    """The coded symbols of a layer of a batch.

    Attributes:
        coded: places of the coded symbols in the flat layer.
        levels: levels of the context model.
        sets: sets of points and tables.
        indices: signed.
        away: latents less their prediction, in steps.
        values: (tiles, positions, channels), what all symbols of the layer stand for, in steps.
    """

    coded: Indices
    levels: Indices
    sets: Indices
    indices: Ints
    away: Floats
    values: Floats


@dataclass(frozen=True)
class TrellisCoder:
    """A trellis with tables and codewords for each of its sets.

    Attributes:
        coder: gives transform, contexts and the levels that are not coded.
        trellis: trellis of the indices of a tile's layer, position by position.
        worth: squared spacings that a bit is worth when an index is chosen.
        tables: tables of each set.
        codewords: float32 (sets, 64, 5), what magnitudes of 0 to 4 stand for, in steps.
    """

    coder: LappedModel
    trellis: Trellis
    worth: float
    tables: Sequence[Tables]
    codewords: Floats

    @classmethod
    def start(cls, coder: LappedModel, trellis: Trellis, worth: float) -> "TrellisCoder":
        """Return what is to be fitted."""
        offsets = np.array(trellis.offsets)[:, None, None]
        points = np.maximum(trellis.spacing * np.arange(LARGEST_WORD + 1) - offsets, 0)
        codewords = np.broadcast_to(points, (len(offsets), LEVELS, LARGEST_WORD + 1))
        return cls(
            coder, trellis, worth, [coder.tables] * len(offsets), codewords.astype(np.float32)
        )

    def scan(self, prepared: PreparedTiles, codes: Indices) -> Iterator[Decided]:
        """Quantise a batch at the given steps, layer by layer, each for good."""
        contexts, trellis = self.coder.contexts, self.trellis
        scaled = prepared.latents.scaled(codes, self.coder.transform.mantissas)
        state = ContextState(contexts, *scaled.shape[:3])
        finer = _LEVELS_AN_OCTAVE * (trellis.spacing - 1)  # contexts are of steps, tables of points
        for number in range(1, contexts.layers + 1):
            sums, mean = state.context(number)
            away = (state.take(scaled, number) - 64 * mean).reshape(len(codes), -1) / 64
            level = np.maximum(levels(sums).reshape(away.shape) - finer, 0)
            found = self._decide(away.astype(np.float32), level)
            if number < contexts.layers:
                points = _spread(found, self._points(found), sums.shape) + mean
                state.put(number, points.astype(np.int32))
            values = _spread(found, self._words(found), sums.shape) + mean
            yield replace(found, values=values.astype(np.float32))

    def _points(self, found: Decided) -> Ints:
        """Return the integers that symbols stand for."""
        size = self.trellis.spacing * np.abs(found.indices)
        size -= np.array(self.trellis.offsets, np.int32)[found.sets]
        points: Ints = np.where(found.indices < 0, -size, size) * (found.indices != 0)
        return points

    def _words(self, found: Decided) -> Floats:
        """Return the codewords of symbols, in steps."""
        size = np.abs(found.indices)
        kind = np.minimum(size, LARGEST_WORD)
        word = self.codewords[found.sets, found.levels, kind]
        word += (self.trellis.spacing * (size - kind)).astype(np.float32)
        return np.where(found.indices < 0, -word, word)

    def _decide(self, away: Floats, level: Ints) -> Decided:
        """Choose the indices of a layer (tiles, symbols)."""
        coded = level > self.coder.quantisation.skip
        lengths = coded.sum(axis=1)
        order = np.argsort(-lengths, kind="stable")
        rank, place = np.nonzero(coded[order])
        where = order[rank] * level.shape[1] + place
        of_coded, chosen = away.reshape(-1)[where], level.reshape(-1)[where].astype(np.int64)
        ends = np.cumsum(lengths[order])
        step = np.arange(len(where)) - (ends - lengths[order])[rank]
        costs, sizes = self._nearest(np.abs(of_coded), chosen)
        rows = np.zeros((int(lengths.max()), len(costs), len(level)), np.float32)
        rows[step, :, rank] = costs.T
        path = self.trellis.best_path(rows, lengths[order])[step, rank]
        sets = self.trellis.sets[path // 2]
        size = sizes[2 * sets + path % 2, np.arange(len(where))]
        indices = np.where(of_coded < 0, -size, size)
        return Decided(where, chosen, sets, indices, of_coded, of_coded)

    def _nearest(self, away: Floats, level: Indices) -> tuple[Floats, Ints]:
        """Return costs and magnitudes (2 * sets, symbols) of the best of each set and parity."""
        spacing = self.trellis.spacing
        costs, sizes = [], []
        for number, offset in enumerate(self.trellis.offsets):
            table, words = self._bits[number], self.codewords[number]
            for parity in (0, 1):
                half = ((away + offset) / spacing - parity) / 2
                nearest = np.maximum(parity + 2 * np.rint(half).astype(np.int32), parity)
                tried = [nearest, np.maximum(nearest - 2, parity), np.full_like(nearest, parity)]
                found = []
                for size in tried:
                    kind = np.minimum(size, LARGEST_WORD)
                    error = away - words[level, kind] - spacing * (size - kind)
                    bits = table[level, np.minimum(size, SIZES - 1)]
                    found.append(error * error + np.float32(self.worth * spacing * spacing) * bits)
                best = np.argmin(found, axis=0)[None]
                costs.append(np.take_along_axis(np.array(found), best, 0)[0])
                sizes.append(np.take_along_axis(np.array(tried), best, 0)[0])
        return np.array(costs, np.float32), np.array(sizes)

    @cached_property
    def _bits(self) -> Floats:
        """(sets, 64, 64): bits of each magnitude, the mean of both signs."""
        size = np.tile(np.arange(SIZES, dtype=np.int32), LEVELS)
        level = np.repeat(np.arange(LEVELS), SIZES)
        bits = [(t.cost(level, size) + t.cost(level, -size)) / (2 * BIT) for t in self.tables]
        return np.array(bits, np.float32).reshape(-1, LEVELS, SIZES)

    def code(self, prepared: PreparedTiles, codes: Indices) -> tuple[NDArray[np.float64], Floats]:
        """Return the bits of each tile, and latents (tiles, rows, cols, channels) in steps."""
        tiles = len(codes)
        state = ContextState(self.coder.contexts, *prepared.latents.shape)
        values = np.zeros((*state.shape, self.coder.contexts.cuts[-1]), np.float32)
        bits = np.zeros(tiles)
        for number, layer in enumerate(self.scan(prepared, codes), 1):
            state.set(values, number, layer.values)
            tile = layer.coded // (layer.values.size // tiles)
            for chosen, tables in enumerate(self.tables):
                ours = layer.sets == chosen
                cost = tables.cost(layer.levels[ours], layer.indices[ours])
                bits += np.bincount(tile[ours], cost, tiles) / BIT
        return bits, values


def fit_trellis(
    coder: LappedModel, trellis: Trellis, worth: float, batches: Sequence[PreparedTiles]
) -> TrellisCoder:
    """Fit tables and codewords to prepared training tiles, as the training of the codec does."""
    found = start = TrellisCoder.start(coder, trellis, worth)
    laws = _LAW * start_tables((1,)).frequencies[:LEVELS] / rans.TOTAL
    rng = np.random.default_rng(SEED)
    shape = len(trellis.offsets), LEVELS
    for _ in range(ROUNDS):
        counts = np.zeros((*shape, SYMBOLS))
        numbers = np.full((*shape, LARGEST_WORD + 1), float(_PRIOR))
        sums = numbers * start.codewords.astype(np.float64)
        for batch in batches:
            codes = draw_codes(batch, rng) - SUB_STEPS * (trellis.spacing - 1)
            _count(found, batch, np.maximum(codes, batch.finest(coder)), counts, numbers, sums)
        even = counts.copy()
        even[..., :ESCAPE] = (counts[..., :ESCAPE] + counts[..., ESCAPE - 1 :: -1]) / 2
        codewords = sums / numbers
        codewords[..., 0] = 0
        # Of three sets, as `Tables` has them, the first is used.
        tables = [
            tables_of(np.tile(count + laws, (3, 1)), coder.tables.shifts, (1,)) for count in even
        ]
        found = replace(found, tables=tables, codewords=codewords.astype(np.float32))
    return found


def _count(
    found: TrellisCoder,
    batch: PreparedTiles,
    codes: Indices,
    counts: NDArray[np.float64],
    numbers: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add what one batch shows: symbols of each set and level, magnitudes behind indices."""
    shifts = found.coder.tables.shifts.astype(np.int32)
    for layer in found.scan(batch, codes):
        row = layer.sets * LEVELS + layer.levels
        high = layer.indices >> shifts[layer.levels]
        symbol = np.where(np.abs(high) > LARGEST, ESCAPE, high + LARGEST)
        counts += _sums(row * SYMBOLS + symbol, None, counts.shape)
        size = np.abs(layer.indices)
        kind = np.minimum(size, LARGEST_WORD)
        behind = np.abs(layer.away) - found.trellis.spacing * (size - kind)
        place = row * (LARGEST_WORD + 1) + kind
        numbers += _sums(place, None, numbers.shape)
        sums += _sums(place, behind, sums.shape)


def _spread(found: Decided, of_coded: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a layer (tiles, positions, channels) of its coded symbols, 0 elsewhere."""
    flat = np.zeros(int(np.prod(shape)), of_coded.dtype)
    flat[found.coded] = of_coded
    return flat.reshape(shape)


def _sums(place: Indices, weights: Floats | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return how often each place occurs, or the sums of the weights there."""
    found = np.bincount(place, weights, int(np.prod(shape)))
    return found.reshape(shape).astype(np.float64)


class TrellisCodedScene:
    """A scene coded along a trellis at one step, to be had at any budget, roughly."""

    def __init__(self, trellis: TrellisCoder, tile: int, scene: Scene) -> None:
        self._trellis = trellis
        self._scene = LatentScene(trellis.coder, tile, scene, rans.STATE_BYTES)
        self._tried: dict[int, tuple[int, NDArray[np.uint16]]] = {}

    def _coded(self, code: int) -> tuple[int, NDArray[np.uint16]]:
        """Return bytes and decoded image at a step code."""
        if code not in self._tried:
            coder = self._trellis.coder
            bodies, values, steps = [], [], []
            for part in self._scene.parts:
                codes = np.maximum(np.full(len(part.places), code), part.prepared.finest(coder))
                bits, latents = self._trellis.code(part.prepared, codes)
                side = 1 + coder.front_end.side_bytes
                bodies.append(side + np.ceil(bits / 8).astype(np.int64))
                values.append(latents)
                steps.append((2.0 ** (codes / 16 - 1)).astype(np.float32))
            image = self._scene.image(values, steps)
            self._tried[code] = self._scene.stream_bytes(bodies), image
        return self._tried[code]

    def at(self, budget: int) -> tuple[int, NDArray[np.uint16]]:
        """Return bytes, at most the budget, and the decoded image.

        Raises:
            LimitError: the coarsest step takes more.
        """
        code, tried = self._guess(budget), set[int]()
        while code not in tried:
            tried.add(code)
            octaves = np.log2(self._coded(code)[0] / budget)
            code += _APART * int(np.ceil(SUB_STEPS / _APART * octaves))
            code = min(max(code, 0), STEPS - _APART)
        fitting = [self._coded(code) for code in tried if self._coded(code)[0] <= budget]
        if not fitting:
            raise LimitError(f"budget: expected a coarser step, found {budget} bytes")
        return max(fitting, key=lambda coded: coded[0])

    def _guess(self, budget: int) -> int:
        """Return about the finest step code that a budget holds."""
        coder = self._trellis.coder
        guess = SizeGuess.of(coder.transform)
        bits = sum(guess.bits(part.prepared.latents).sum(axis=0) for part in self._scene.parts)
        finer = SUB_STEPS * (self._trellis.trellis.spacing - 1)
        code = max(int((bits > 8 * budget).sum()) - finer, 0)
        return min(code, STEPS - 1) // _APART * _APART
