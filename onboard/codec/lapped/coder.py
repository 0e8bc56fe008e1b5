"""Tile coder of the lapped codec: tiles to layers of entropy-coded symbols (SPEC.md, 9 to 11).

A batch of tiles of one shape goes through front end, transform, quantizer and entropy coder
together; a tile's bytes depend on that tile and its step alone.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.agreement import Agreement
from onboard.codec.blocks import Blocks
from onboard.codec.cuts import Cuts
from onboard.codec.lapped.blocks.error import BlockError
from onboard.codec.lapped.blocks.field import fields_of
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.errorguess import ErrorGuess
from onboard.codec.lapped.floors import LEAST_LANE, MOST, FloorChooser, most_floors
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import GoldenTile, agreement, coded_anew
from onboard.codec.lapped.plan import Plan, layer_0
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import ALL_SIGNS, PLAIN, QUANTIZERS
from onboard.codec.lapped.quantizers.points import Points
from onboard.codec.lapped.scan import Layer, Scanner, Thrift, tile_codes
from onboard.codec.lapped.sizeguess import SizeGuess
from onboard.codec.lapped.symbols import Symbols
from onboard.codec.profile import Profile
from onboard.codec.rans import STATE_BYTES
from onboard.codec.tile import EMPTY, Body, Chosen, Steps
from onboard.engine.planes import PlaneSession
from onboard.errors import UsageError

_USUAL = 64
"""Rows and columns of tiles up to which no band transform of few bands is turned on."""
_LARGE_SAMPLES = 32 * 4 * _USUAL**2
"""Of large tiles that are planned together; along a trellis four times as many."""


class LappedTileCoder:
    """Entropy-coded symbols of a lapped transform: any rate from one bundle."""

    def __init__(
        self,
        model: LappedModel,
        session: PlaneSession,
        tile: int,
        golden: Callable[[], Sequence[GoldenTile]] = tuple,
        error_permille: int = 1000,
        profile: Profile | None = None,
    ) -> None:
        """Open a coder.

        Args:
            model: all integers of the codec.
            session: runs the transform.
            tile: rows and columns of a tile.
            golden: gives the golden vectors of the bundle, which are read when they are needed.
            error_permille: squared error on the ground over that of the rounding on board.
            profile: spectral profile of scenes whose components are coded.
        """
        front_end = model.front_end.turned_on(tile > _USUAL)
        self.model = model = replace(model, front_end=front_end)
        self.profile = profile
        self.engine = session.engine
        self.bands, self.fraction = model.bands, model.front_end.fraction
        self.least_body = 1 + model.front_end.side_bytes + STATE_BYTES + 2
        self.size_guess = SizeGuess.of(model.transform)
        self.error_guess = ErrorGuess.of(model, error_permille)
        self.scanners: Mapping[str, Scanner] = {
            name: Scanner(model, make(model)) for name, make in QUANTIZERS.items()
        }
        self.scanner = self.scanners[PLAIN]
        self.floors = FloorChooser(self.scanners[ALL_SIGNS])
        self._session = session
        self._tile = tile
        self._golden = golden
        self.error_permille = error_permille

    @property
    def tiles_at_once(self) -> int:
        """Tiles to plan together, for speed; of large ones fewer, for memory."""
        quantizer = self.scanner.quantizer
        if self._tile <= _USUAL:
            return quantizer.tiles_at_once
        most = _LARGE_SAMPLES * (4 if quantizer.points.steered else 1)
        return max(most // (self._tile**2 * self.bands), 1)

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""
        return self.model, self.scanners, self.size_guess, self.profile

    def using(self, quantizer: str) -> "LappedTileCoder":
        """Return the coder that chooses indices by another kind of quantizer."""
        if quantizer not in self.scanners:
            raise UsageError(
                f"quantizer: expected one of {', '.join(self.scanners)}, found {quantizer!r}"
            )
        found = self._scanning(self.scanners[quantizer])
        found.scanner.quantizer.check((self._tile // BLOCK) ** 2)
        return found

    def _scanning(self, scanner: Scanner) -> "LappedTileCoder":
        found = copy(self)
        found.scanner = scanner
        return found

    def for_mosaic(self) -> "LappedTileCoder":
        """Return the coder for the planes of a Bayer mosaic."""
        found = copy(self)
        front_end = self.model.front_end.for_mosaic()
        found.model = replace(self.model, front_end=front_end)
        return found

    def of_group(self, group: int) -> "LappedTileCoder":
        """Return the coder of a group of the scene's bands."""
        front_end = self.model.front_end.of_group(group)
        if front_end == self.model.front_end:
            return self
        found = copy(self)
        found.model = replace(self.model, front_end=front_end)
        return found

    def components(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return samples (tiles, bands, tile, tile) of a scene, or components with a profile."""
        return tiles if self.profile is None else self.profile.components(tiles, self.fraction)

    def prepare(
        self, tiles: NDArray[Any] | Cuts, present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> PreparedTiles:
        """Analyse tiles: front end, then transform."""
        rows, cols = inside
        samples = np.asarray(tiles)[:, :, :rows, :cols]
        return PreparedTiles.of(self.model, samples, present[:, :rows, :cols], self._session.run)

    def finest(self, prepared: PreparedTiles) -> Steps:
        """Return the finest step code whose symbols stay within their limit."""
        return prepared.finest(self.model)

    def guess(self, prepared: PreparedTiles) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile, from how large its latents are."""
        bits = self.size_guess.bits(prepared.latents, self.scanner.quantizer.points)
        bits += 8 * self.model.front_end.usual_bytes(prepared.angles)[:, None]
        return np.minimum(bits, self.guess(other)) if (other := prepared.untouched) else bits

    def _at(self, prepared: PreparedTiles, steps: Steps) -> PreparedTiles:
        """Return tiles that may be coded in two ways in the one that takes fewer bits by guess."""
        if prepared.untouched is None:
            return prepared
        place = np.arange(len(steps)), steps
        turned = self.guess(replace(prepared, untouched=None))[place]
        return prepared.either(self.guess(prepared.untouched)[place] <= turned)

    def blocks(self, prepared: PreparedTiles, side: int) -> Blocks:
        """Return the blocks of tiles."""
        return BlockError(self.scanner).blocks(prepared.latents, side // BLOCK)

    def error(self, prepared: PreparedTiles, steps: Steps, side: int) -> NDArray[np.int64]:
        """Return what the ground's squared errors of blocks will be, from their symbols."""
        prepared = self._at(prepared, tile_codes(steps))
        return BlockError(self.scanner).errors(prepared.latents, steps, side // BLOCK)

    def guess_error(self, prepared: PreparedTiles, steps: Steps) -> NDArray[np.int64]:
        """Return roughly the squared error of each tile, from how large its latents are."""
        prepared = self._at(prepared, tile_codes(steps))
        steered = self.scanner.quantizer.points.steered
        return self.error_guess.errors(prepared.latents, steps, steered)

    def scan(self, prepared: PreparedTiles, steps: Steps) -> Iterator[Layer]:
        """Quantise a batch at the given steps, layer by layer, as if no tile had to be full."""
        return self.scanner.scan(prepared.latents, steps)

    def symbols(
        self,
        prepared: PreparedTiles,
        steps: Steps,
        most: NDArray[np.int64] | None = None,
        thrift: Thrift | None = None,
    ) -> list[tuple[Symbols, int]]:
        """Quantise a batch; return of each tile the symbols with its own, and its number there."""
        symbols = Symbols.of(self.scanner, prepared.latents, steps, thrift=thrift)
        found = [(symbols, tile) for tile in range(len(steps))]
        if len(again := symbols.must_be_full):
            latents, steps = prepared.latents.take(again), steps[again]
            floors = self.floors.choose(latents, steps, MOST if most is None else most[again])
            own = None if thrift is None else thrift[again]
            full = Symbols.of(self.scanner, latents, steps, floors, own)
            for number, tile in enumerate(again.tolist()):
                found[tile] = full, number
        return found

    def plan(self, batch: Chosen[PreparedTiles], one_layer: bool = False) -> list[Plan]:
        """Quantise tiles and cut their symbols to segments."""
        front_end = self.model.front_end
        least = 1 + front_end.side_bytes
        codes = tile_codes(batch.steps)
        if batch.room < least:
            raise UsageError(
                f"segments: side information takes {least} bytes, room for {batch.room}"
            )
        plans = []
        prepared = self._at(batch.prepared, codes)
        steps, fields = fields_of(batch.steps, batch.room - least - LEAST_LANE)
        left = (batch.room - least - (len(field.pack()) if field else 0) for field in fields)
        most = np.array([most_floors(room) for room in left])
        found = self.symbols(prepared, steps, most, batch.thrift)
        for tile, (symbols, number) in enumerate(found):
            step, state, field = int(codes[tile]), batch.states[tile], fields[tile]
            side = front_end.pack(step, prepared.angles[tile], prepared.means[tile])
            side = layer_0(state, side, field, symbols, number, self.model.quantisation.skip + 1)
            plan = Plan.cut(self.model.tables, symbols, number, side, batch.room, one_layer)
            if front_end.may_be_empty and plan.is_worth_nothing(prepared.energy(tile), step):
                plan = plan.emptied(bytes([state | EMPTY]))
            plans.append(plan)
        return plans

    def write(self, plans: Sequence[Plan]) -> list[list[Body]]:
        """Code tiles; all their segments go through the entropy coder side by side."""
        lanes = [lane for plan in plans for lane in plan.lanes()]
        coded = iter(rans.encode(lanes, self.model.tables.alphabet))
        bodies = [plan.bodies(coded) for plan in plans]
        for number, plan in enumerate(plans):
            if max(len(body) for _, _, body in bodies[number]) > plan.room:
                (bodies[number],) = self.write([plan.with_margin()])
        return bodies

    def whole_body(self, samples: NDArray[np.uint16], step: int, state: int) -> GoldenTile:
        """Return a tile without nodata and all its layers as one body, as `coded_anew`.

        Its scene has the fraction bits of this coder's.

        Args:
            samples: (bands, tile, tile) in DN.
            step: step code; if the tile does not allow it, the finest that it does.
            state: tile state, which says how it is quantised.
        """
        return self.coded_anew([GoldenTile(samples, step, bytes([state]), self.fraction)])[0]

    def coded_anew(self, tiles: Sequence[GoldenTile]) -> list[GoldenTile]:
        """Code golden tiles, all their lanes side by side; of their bodies the state alone counts.

        Raises:
            BundleError: one takes more than one body.
        """
        return coded_anew(self, tiles)

    @property
    def form(self) -> tuple[int, int, int]:
        """Bands, rows and fraction bits of its tiles."""
        return self.bands, self._tile, self.fraction

    def of_form(self, form: tuple[int, int, int]) -> "LappedTileCoder":
        """Return the coder of scenes of another form, in the same engine."""
        bands, rows, fraction = form
        if form == self.form:
            return self
        model = self.model.of_scene(bands, fraction)
        return LappedTileCoder(model, self._session, rows, self._golden, self.error_permille)

    def choosing(self, points: Points) -> "LappedTileCoder":
        """Return the coder with the first quantizer that chooses among these points."""
        return self._scanning(
            next(s for s in self.scanners.values() if s.quantizer.points == points)
        )

    def golden(self) -> Agreement:
        """Code the golden tiles of scenes like this, or all where there are none."""
        return agreement(self, self.golden_tiles)

    @property
    def golden_tiles(self) -> Sequence[GoldenTile]:
        """The golden vectors of the bundle."""
        return self._golden()

    def probe(self) -> int:
        """Return a checksum of the latents of the first golden tile."""
        return zlib.crc32(np.ascontiguousarray(self._session.run(self._probed)).data)

    @cached_property
    def _probed(self) -> NDArray[np.float32]:
        """Planes of the first golden tile."""
        tile = self._golden()[0]
        bands, rows, fraction = tile.form
        front_end = self.model.front_end.of_scene(bands, fraction)
        return front_end.analyse(tile.samples[None], np.ones((1, rows, rows), np.bool_)).planes
