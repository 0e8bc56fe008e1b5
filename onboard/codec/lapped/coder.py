"""Tile coder of the lapped codec: tiles to layers of entropy-coded symbols, and back.

A batch of tiles of one shape goes through front end, transform, quantizer and entropy coder
together; a tile's bytes depend on that tile and its step alone (SPEC.md, sections 9 to 11).
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import rans, rawlane
from onboard.codec.lapped.context import BLOCK, ContextModel, Ints
from onboard.codec.lapped.frontend import AdaptiveFrontEnd
from onboard.codec.lapped.plan import Plan, Symbols
from onboard.codec.lapped.quantizer import Quantizer
from onboard.codec.lapped.rans import STATE_BYTES
from onboard.codec.lapped.read.tables import TableReader
from onboard.codec.lapped.scan import Layer, Scanner
from onboard.codec.lapped.sizeguess import SizeGuess
from onboard.codec.lapped.tables import BIT, Tables
from onboard.codec.lapped.transform import LappedTransform, Latents
from onboard.codec.tile import DEPENDENT, MAX_BODY, Body, Chosen
from onboard.engine.planes import open_plane_session
from onboard.errors import UsageError

if TYPE_CHECKING:
    from onboard.bundle import Bundle

_TILES_AT_ONCE, _TILES_ALONG_TRELLIS = 32, 80
_TRELLIS_CODES = 3
"""Step codes by which a plain tile is finer that takes as many bits as a dependent one."""
Analyser = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Number = TypeVar("Number", bound=np.generic)


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
        if np.array_equal(tiles, np.arange(len(self.means))):
            return self
        return Prepared(self.means[tiles], self.angles[tiles], self.latents.take(tiles))

    @classmethod
    def join(cls, parts: Sequence["Prepared"]) -> "Prepared":
        """Return batches of tiles of one shape as one."""
        if len(parts) == 1:
            return parts[0]
        means = np.concatenate([part.means for part in parts])
        angles = np.concatenate([part.angles for part in parts])
        return cls(means, angles, Latents.join([part.latents for part in parts]))

    def side(self, tile: int, code: int) -> bytes:
        """Return the packed side information of one tile."""
        means = self.means[tile].astype(np.uint16).astype(">u2")
        packed: bytes = bytes([code]) + self.angles[tile].tobytes() + means.tobytes()
        return packed


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
        sums = latents.reshape(*analysed.means.shape, *latents.shape[1:])
        sorted_ = Latents.of(sums, self.contexts.order, self.contexts.cuts, analysed.shifts)
        return Prepared(analysed.means, analysed.angles, sorted_)

    def finest(self, prepared: Prepared) -> NDArray[np.int64]:
        """Return the finest step code that each tile allows."""
        return prepared.latents.least_code(self.transform.mantissas)

    def guess(self, prepared: Prepared, dependent: bool = False) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile at each step code."""
        bits = self.size_guess.bits(prepared.latents)
        if dependent:
            bits = bits[:, np.maximum(np.arange(bits.shape[1]) - _TRELLIS_CODES, 0)]
        return bits

    @cached_property
    def size_guess(self) -> SizeGuess:
        """What latents will take, by how large they are."""
        return SizeGuess(int(self.transform.mantissas[0]))

    @cached_property
    def scanner(self) -> Scanner:
        """Quantises tiles."""
        return Scanner(self.transform, self.contexts, self.quantizer, self.tables)

    def scan(
        self, prepared: Prepared, codes: NDArray[np.int64], dependent: bool = False
    ) -> Iterator[Layer]:
        """Quantise a batch at the given steps, layer by layer; see `Scanner.scan`."""
        return self.scanner.scan(prepared.latents, codes, dependent)

    def error(
        self, prepared: Prepared, codes: NDArray[np.int64], dependent: bool = False
    ) -> NDArray[np.int64]:
        """Return the squared error of each tile that its rounding makes, in squared DN."""
        return self.scanner.error(prepared.latents, codes, dependent)

    @cached_property
    def table_reader(self) -> TableReader:
        """Reads what the tables wrote."""
        return TableReader(self.tables)

    def symbols(
        self, prepared: Prepared, codes: NDArray[np.int64], dependent: bool = False
    ) -> Symbols:
        """Quantise a batch at the given steps, see `scan`."""
        codes_of: list[list[NDArray[np.uint32]]] = []
        residuals: list[list[Ints]] = []
        counts, costs, states = [], [], []
        firsts = [0]
        for layer in self.scan(prepared, codes, dependent):
            tiles, positions, _ = layer.sums.shape
            code = self.tables.codes(layer.rows, layer.residuals)
            cost = _sums(self.tables.costs_of(code))
            stops = _sums(layer.counts)
            costs.append(np.diff(cost[stops]).reshape(tiles, positions))
            counts.append(layer.counts.reshape(tiles, positions))
            of_tiles = stops[np.arange(tiles + 1) * positions]
            codes_of.append(_split(code, of_tiles))
            residuals.append(_split(layer.residuals, of_tiles))
            firsts.append(firsts[-1] + positions)
            if layer.states is not None:
                begins = stops[:-1].reshape(tiles, positions)
                states.append(_states_at(layer.states, begins))
        coded, sizes = self.tables.symbols(
            np.concatenate([part for tile in zip(*codes_of, strict=True) for part in tile]),
            np.concatenate([part for tile in zip(*residuals, strict=True) for part in tile]),
        )
        units = np.concatenate(counts, axis=1).reshape(-1)
        before_unit = _sums(sizes)[_sums(units)]
        tiles = len(codes)
        before = np.empty((tiles, firsts[-1] + 1), np.int32)
        before[:, :-1] = before_unit[:-1].reshape(tiles, -1)
        before[:, -1] = before_unit[firsts[-1] :: firsts[-1]]
        bits = np.zeros(before.shape, np.int64)
        np.cumsum(np.concatenate(costs, axis=1), axis=1, out=bits[:, 1:])
        at = np.concatenate(states, axis=1) if states else None
        return Symbols(coded, before, bits, firsts, at)

    def code(self, batches: Sequence["Chosen"], one_layer: bool = False) -> list[list[list[Body]]]:
        """Return the bodies of each tile of each batch: `plan` and `write` at once."""
        plans = [self.plan(batch, one_layer) for batch in batches]
        bodies = iter(self.write([tile for plan in plans for tile in plan]))
        return [list(islice(bodies, len(plan))) for plan in plans]

    def plan(self, batch: "Chosen", one_layer: bool = False) -> list["Plan"]:
        """Quantise tiles and cut their symbols to segments, nothing coded yet.

        Raises:
            UsageError: side information or one position of a layer takes more than the room.
        """
        least = 1 + self.front_end.side_bytes
        if batch.room < least:
            raise UsageError(
                f"segments: side information takes {least} bytes, room for {batch.room}"
            )
        dependent = any(state & DEPENDENT for state in batch.states)
        symbols = self.symbols(batch.prepared, batch.codes, dependent)
        plans = []
        for number, state in enumerate(batch.states):
            side = bytes([state]) + batch.prepared.side(number, int(batch.codes[number]))
            plans.append(self._plan(symbols, number, side, batch.room, one_layer, 1))
        return plans

    def _plan(
        self, symbols: Symbols, tile: int, side: bytes, room: int, one_layer: bool, margin: int
    ) -> Plan:
        """Cut a tile to segments and find those that are shorter raw."""
        cuts = self._cut(symbols, tile, room, margin, one_layer)
        raw = [self._raw(symbols, tile, *cut) for cut in cuts]
        return Plan(symbols, tile, side, room, one_layer, margin, cuts, raw)

    def _raw(self, symbols: Symbols, tile: int, first: int, stop: int) -> bytes | None:
        """Return the raw lane of some units, if it is shorter."""
        rows, coded = symbols.of_units(tile, first, stop), symbols.lane_bytes(tile, first, stop)
        # Raw residuals have at least 8 bits.
        if stop == first or rawlane.HEAD_BYTES + self.tables.count(rows) >= coded:
            return None
        raw = rawlane.pack(self.tables.residuals(rows))
        return raw if raw is not None and len(raw) < coded else None

    def write(self, plans: Sequence["Plan"]) -> list[list[Body]]:
        """Code tiles; all their segments go through the entropy coder side by side."""
        lanes = [lane for plan in plans for lane in plan.lanes()]
        coded = iter(rans.encode(lanes, self.tables.alphabet))
        bodies = [plan.bodies(coded) for plan in plans]
        for number, plan in enumerate(plans):
            if max(len(body) for _, _, body in bodies[number]) > plan.room:
                with_margin = self._plan(
                    plan.symbols, plan.number, plan.side, plan.room, plan.one_layer, plan.margin + 1
                )
                (bodies[number],) = self.write([with_margin])
        return bodies

    def _cut(
        self, symbols: Symbols, tile: int, room: int, margin: int, one_layer: bool
    ) -> list[tuple[int, int]]:
        """Return ranges of a tile's positions that fit segments."""
        first_room = room - 1 - self.front_end.side_bytes
        before, bits_before = symbols.before[tile], symbols.bits[tile]
        cuts: list[tuple[int, int]] = []
        first, last = 0, len(bits_before) - 1
        while first < last:
            free = (first_room if not cuts else room) - rans.STATE_BYTES
            bits = 8 * BIT * free * (1000 - 2 * margin) // 1000 - 8 * BIT * margin
            within = bits_before[first] + max(bits, 0)
            stop = int(np.searchsorted(bits_before, within, side="right")) - 1
            if one_layer:
                stop = min(stop, symbols.layer_end(first)) if cuts else 0
            if stop == first and cuts:
                stop = first + 1
                raw = self._raw(symbols, tile, first, stop)
                if raw is None or len(raw) > room:
                    raise UsageError(f"segments: one position takes more than {room} bytes")
            if not one_layer or not cuts or before[first] < before[stop]:
                cuts.append((first, stop))
            first = stop
        return cuts


def _sums(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sum before each place, and of all."""
    found = np.zeros(len(counts) + 1, np.int64)
    found[1:] = counts
    return np.cumsum(found, out=found)


def _states_at(states: NDArray[np.int64], begins: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the state at each position: before the tile's next symbol of the layer, 0 if none.

    Args:
        states: before each coded symbol of a layer, tile after tile.
        begins: (tiles, positions), coded symbols before each position.
    """
    if not begins.size:  # a lattice may be empty
        return begins.astype(np.uint8)
    ends = np.append(begins[1:, 0], len(states))
    padded = np.append(states, 0)
    return np.where(begins < ends[:, None], padded[begins], 0).astype(np.uint8)


def _split(values: NDArray[Number], stops: NDArray[np.int64]) -> list[NDArray[Number]]:
    """Return the values between one stop and the next."""
    return [values[first:stop] for first, stop in pairwise(stops.tolist())]


class LappedTileCoder:
    """Entropy-coded symbols of a lapped transform: any rate from one bundle."""

    def __init__(self, bundle: "Bundle", engine: str | None, threads: int) -> None:
        self._coder: LappedCoder = bundle.lapped
        self.bands = bundle.bands
        self.least_body = 1 + bundle.front_end.side_bytes + STATE_BYTES + 2
        self.tiles_at_once = _TILES_AT_ONCE
        self._dependent = False
        self._tile = bundle.tile
        self._vectors = bundle.golden_bodies
        self._error_share: int = bundle.manifest["encoder"]["error_permille"]
        self._session = open_plane_session(
            bundle.parts["encoder.onnx"],
            bundle.parts["encoder.tflite"],
            bundle.tile,
            self._coder.transform.analyse,
            engine,
            threads,
        )
        self.engine = self._session.engine

    def along_trellis(self) -> "LappedTileCoder":
        """See `TileCoder.along_trellis`."""
        self._coder.scanner.check_trellis((self._tile // BLOCK) ** 2)
        found = copy(self)
        found._dependent, found.tiles_at_once = True, _TILES_ALONG_TRELLIS
        return found

    def prepare(
        self, tiles: NDArray[Any], present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> Prepared:
        """See `TileCoder.prepare`."""
        rows, cols = inside
        return self._coder.prepare(
            tiles[:, :, :rows, :cols], present[:, :rows, :cols], self._session.run
        )

    def finest(self, prepared: Prepared) -> NDArray[np.int64]:
        """See `TileCoder.finest`."""
        return self._coder.finest(prepared)

    def guess(self, prepared: Prepared) -> NDArray[np.int64]:
        """See `TileCoder.guess`."""
        bits = self._coder.guess(prepared, self._dependent)
        return bits + 8 * self._coder.front_end.side_bytes

    def take(self, prepared: Prepared, tiles: NDArray[np.int64]) -> Prepared:
        """See `TileCoder.take`."""
        return prepared.take(tiles)

    def join(self, parts: Sequence[Prepared]) -> Prepared:
        """See `TileCoder.join`."""
        return Prepared.join(parts)

    def error(self, prepared: Prepared, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `TileCoder.error`."""
        error = self._coder.error(prepared, codes, self._dependent)
        return error * self._error_share // 1000

    def probe(self) -> int:
        """See `TileCoder.probe`."""
        return zlib.crc32(np.ascontiguousarray(self._session.run(self._probed)).data)

    @cached_property
    def _probed(self) -> NDArray[np.float32]:
        """Planes of the first golden tile."""
        present = np.ones((1, self._tile, self._tile), np.bool_)
        analysed = self._coder.front_end.analyse(self._vectors[0].samples[None], present)
        return analysed.planes

    def golden(self) -> tuple[list[int], list[int], float]:
        """See `TileCoder.golden`; what agrees are whole tiles, and all must."""
        agree, size = 0, self._tile
        present = np.ones((1, size, size), np.bool_)
        for vector in self._vectors:
            prepared = self.prepare(vector.samples[None], present, (size, size))
            states, codes = [vector.body[0]], np.array([vector.step_code])
            coded = self._coder.code([Chosen(prepared, codes, states, MAX_BODY)])[0]
            agree += [body for _, _, body in coded[0]] == [vector.body]
        return [agree], [len(self._vectors)], 1.0

    def plan(self, batch: Chosen, one_layer: bool) -> list[Plan]:
        """See `TileCoder.plan`."""
        states = [state | DEPENDENT * self._dependent for state in batch.states]
        return self._coder.plan(replace(batch, states=states), one_layer)

    def write(self, plans: Sequence[Plan]) -> list[list[Body]]:
        """See `TileCoder.write`."""
        return self._coder.write(plans)
