"""Tile coder of the bounded codec: tiles to entropy-coded symbols (SPEC.md, section 20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.agreement import Agreement
from onboard.codec.blocks import Blocks
from onboard.codec.bound import BOUNDED, Bound
from onboard.codec.bounded.analysis import Analyser, BandScan
from onboard.codec.bounded.loop import filled
from onboard.codec.bounded.model import BoundedModel
from onboard.codec.bounded.plan import Plan
from onboard.codec.bounded.scales import Scale, choose
from onboard.codec.bounded.symbols import symbols_of
from onboard.codec.cuts import Cuts
from onboard.codec.tile import Body, Chosen
from onboard.codec.tile import Steps as StepCodes
from onboard.errors import SkybookError, UsageError

_TILES_AT_ONCE = 64


@dataclass(frozen=True)
class BoundedTiles:
    """Tiles of one shape, as they came.

    Attributes:
        samples: (tiles, bands, rows, cols) in DN.
        present: bool (tiles, rows, cols), False where a pixel is nodata.
    """

    samples: NDArray[Any]
    present: NDArray[np.bool_]

    def take(self, tiles: NDArray[np.int64]) -> "BoundedTiles":
        """Return some tiles of the batch."""
        return BoundedTiles(self.samples[tiles], self.present[tiles])

    def join(self, others: Sequence["BoundedTiles"]) -> "BoundedTiles":
        """Return this batch and others of the same shape as one."""
        if not others:
            return self
        batches = (self, *others)
        return BoundedTiles(
            np.concatenate([batch.samples for batch in batches]),
            np.concatenate([batch.present for batch in batches]),
        )


@dataclass(frozen=True)
class Scanned:
    """Tiles, predicted and quantised.

    Attributes:
        tiles: as they came.
        scans: their bands.
        scales: of each band the scale of each tile.
    """

    tiles: BoundedTiles
    scans: list[BandScan]
    scales: list[list[Scale]]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a tile."""
        rows, cols = self.tiles.samples.shape[2:]
        return rows, cols

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(tiles, pixels), False where a pixel is nodata."""
        return np.ascontiguousarray(self.tiles.present.reshape(len(self.tiles.present), -1))

    def samples(self, band: int) -> NDArray[np.int64]:
        """Return (tiles, pixels) the samples of a band."""
        samples = self.tiles.samples[:, band]
        return samples.reshape(len(samples), -1).astype(np.int64)


class BoundedTileCoder:
    """Codes batches of tiles within a bound on the error of each sample; needs no engine."""

    engine = "numpy"
    fraction = 0
    tiles_at_once = _TILES_AT_ONCE
    state = BOUNDED

    def __init__(
        self, model: BoundedModel, bands: int, bound: Bound, nodata: int | None = None
    ) -> None:
        """Open.

        Raises:
            UsageError: there is not one bound for each band.
        """
        self.model = model
        self.bands = bands
        self.bound = bound
        self.nodata = nodata
        self._bounds = bound.of_bands(bands)

    @property
    def least_body(self) -> int:
        """Bytes of a tile's body: that of one whose samples are all equal."""
        return 1 + rans.STATE_BYTES + 3 * self.bands

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""
        return (self.model,)

    def prepare(
        self, tiles: NDArray[Any] | Cuts, present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> BoundedTiles:
        """Take what is inside the scene."""
        rows, cols = inside
        return BoundedTiles(np.asarray(tiles)[:, :, :rows, :cols], present[:, :rows, :cols])

    def finest(self, prepared: BoundedTiles) -> StepCodes:
        """Return step code 0 for each tile: there are no steps."""
        return np.zeros(len(prepared.samples), np.int64)

    def using(self, quantizer: str) -> "BoundedTileCoder":
        """Refuse: indices are not chosen here."""
        raise UsageError(f"quantizer {quantizer}: tiles within a bound are not quantised so")

    def of_group(self, _group: int) -> "BoundedTileCoder":
        """Return the same: all groups are alike."""
        return self

    def components(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return samples as they are."""
        return tiles

    def for_mosaic(self) -> "BoundedTileCoder":
        """Return the same: the planes of a Bayer mosaic are coded as they are."""
        return self

    def guess(self, prepared: BoundedTiles) -> NDArray[np.int64]:
        """Refuse: the rate is what comes of the bound."""
        raise UsageError(f"rate of {len(prepared.samples)} tiles: it follows from the bound")

    def blocks(self, prepared: BoundedTiles, side: int) -> Blocks:
        """Refuse, likewise."""
        raise UsageError(f"blocks of {side} pixels: there are no steps")

    def error(self, prepared: BoundedTiles, steps: StepCodes, side: int) -> NDArray[np.int64]:
        """Refuse: there are no steps."""
        raise UsageError(f"error at {len(steps)} steps of {len(prepared.samples)} bounded tiles")

    def guess_error(self, prepared: BoundedTiles, steps: StepCodes) -> NDArray[np.int64]:
        """Refuse: there are no steps."""
        raise UsageError(f"error at {len(steps)} steps of {len(prepared.samples)} bounded tiles")

    def golden(self) -> Agreement:
        """Return that a scene's coder has none: its codec has them."""
        return Agreement([], [], 1.0)

    def probe(self) -> int:
        """Return 0: no engine keeps anything."""
        return 0

    def plan(self, batch: Chosen[BoundedTiles], one_layer: bool) -> list[Plan]:
        """Quantise tiles and cut them to segments."""
        plans = self._plans(batch, one_layer)
        for tile, plan in enumerate(plans):
            if plan.largest_unit > batch.room:
                alone = Chosen(
                    batch.prepared.take(np.array([tile])),
                    batch.steps[[tile]],
                    [batch.states[tile]],
                    batch.room,
                )
                (plans[tile],) = self._plans(alone, one_layer, lean=True)
                if plans[tile].largest_unit > batch.room:
                    raise UsageError(
                        f"segments: one sample takes {plans[tile].largest_unit} bytes, "
                        f"room for {batch.room}"
                    )
        return plans

    def write(self, plans: Sequence[Plan]) -> list[list[Body]]:
        """Code tiles; all their segments go through the entropy coder side by side."""
        return self._written(plans, self.model.tables.alphabet)

    def _written(self, plans: Sequence[Plan], alphabet: rans.Alphabet | None) -> list[list[Body]]:
        coded = iter(rans.encode([lane for plan in plans for lane in plan.lanes()], alphabet))
        bodies = [plan.bodies(coded) for plan in plans]
        for number, plan in enumerate(plans):
            if max(len(body) for _, _, body in bodies[number]) > plan.room:
                (bodies[number],) = self._written([plan.with_margin()], alphabet)
        return bodies

    def _plans(
        self, batch: Chosen[BoundedTiles], one_layer: bool, lean: bool = False
    ) -> list[Plan]:
        scanned = self.scanned(batch.prepared, lean)
        found = symbols_of(self.model, scanned.scans, scanned.scales)
        return [
            Plan(symbols, state | self.state, batch.room, one_layer)
            for symbols, state in zip(found, batch.states, strict=True)
        ]

    def scanned(self, prepared: BoundedTiles, lean: bool) -> Scanned:
        """Predict and quantise tiles; `lean` so that little is sent beside samples."""
        found = Scanned(prepared, [], [])
        analyser = Analyser(self.model, found.shape, found.valid, lean)
        for band in range(self.bands):
            samples = found.samples(band)
            found.scales.append(self.scales(band, samples, analyser.valid, lean))
            found.scans.append(self._scan(analyser, samples, found.scales[-1], found.scans))
        return found

    def scales(
        self, band: int, samples: NDArray[np.int64], valid: NDArray[np.bool_], lean: bool
    ) -> list[Scale]:
        """Return the scale of a band of each tile."""
        return [
            choose(of_tile[here], self._bounds[band], self.bound.root, self.nodata, lean)
            for of_tile, here in zip(samples, valid, strict=True)
        ]

    def _scan(
        self,
        analyser: Analyser,
        samples: NDArray[np.int64],
        scales: Sequence[Scale],
        before: Sequence[BandScan],
    ) -> BandScan:
        """Predict and quantise a band; see that what the ground makes of it is within its bound."""
        most = np.array([scale.most for scale in scales])
        bound = np.array([scale.bound for scale in scales])
        values = np.stack([s.values(part) for s, part in zip(scales, samples, strict=True)])
        valid = analyser.valid
        # All samples of a band may stand in one cell, whose centre need not be the least of them.
        inside = np.clip(values, 0, most[:, None]).astype(np.int32)
        whole = filled(inside, valid, analyser.shape, most)
        scan = analyser.scan(whole, most, bound, before)
        decoded = scan.plane[:, :-1]
        back = np.stack([s.samples(part) for s, part in zip(scales, decoded, strict=True)])
        self.check(len(before), samples, back, valid)
        return scan

    def check(
        self,
        band: int,
        samples: NDArray[np.int64],
        decoded: NDArray[np.int64],
        valid: NDArray[np.bool_],
    ) -> None:
        """Refuse to send a sample that is farther off than asked for, or became nodata.

        Raises:
            SkybookError: one is, which only memory that changed can bring about.
        """
        bound = self.bound if self.bound.root else Bound((self._bounds[band],))
        wrong = np.abs(decoded - samples) > bound.at(samples)
        if self.nodata is not None:
            wrong |= (decoded == self.nodata) != (samples == self.nodata)
        if (wrong & valid).any():
            raise SkybookError(f"band {band}: a sample would be off by more than {self.bound}")
