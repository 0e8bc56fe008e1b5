"""Tiles in two parts: within a coarse bound first, the rest of a finer one apart (SPEC.md, 20)."""

from collections.abc import Sequence
from dataclasses import dataclass

from onboard.codec.bound import TWO_PARTS, Bound
from onboard.codec.bounded.coder import BoundedTileCoder, BoundedTiles
from onboard.codec.bounded.model import BoundedModel
from onboard.codec.bounded.plan import Plan
from onboard.codec.bounded.rest import RestCoder
from onboard.codec.bounded.symbols import symbols_of
from onboard.codec.tile import Body, Chosen, Piece


@dataclass(frozen=True)
class TwoPlans:
    """Both parts of a tile, cut to segments."""

    first: Plan
    rest: Plan

    @property
    def pieces(self) -> list[Piece]:
        """Where each segment starts, and its body's length, as a rule at most."""
        return self.first.pieces + self.rest.pieces

    @property
    def largest_unit(self) -> int:
        """Bytes of the largest segment of one unit, as a rule at most."""
        return max(self.first.largest_unit, self.rest.largest_unit)


class TwoPartTileCoder(BoundedTileCoder):
    """Codes tiles within a bound, and what is needed to come within a finer one."""

    state = TWO_PARTS

    def __init__(
        self,
        model: BoundedModel,
        bands: int,
        bounds: tuple[Bound, Bound],
        nodata: int | None = None,
    ) -> None:
        """Open.

        Args:
            model: predictors, contexts and tables.
            bands: bands of a tile.
            bounds: of the first part, and of both.
            nodata: sample that stands for nodata.

        Raises:
            UsageError: there is not one bound for each band.
        """
        super().__init__(model, bands, bounds[0], nodata)
        self._both = BoundedTileCoder(model, bands, bounds[1], nodata)

    def _plans(  # type: ignore[override]
        self, batch: Chosen[BoundedTiles], one_layer: bool, lean: bool = False
    ) -> list[TwoPlans]:
        scanned = self.scanned(batch.prepared, lean)
        scales = [
            self._both.scales(band, scanned.samples(band), scanned.valid, lean)
            for band in range(self.bands)
        ]
        rests, decoded = RestCoder(self.model, scanned).code(scales)
        for band, samples in enumerate(decoded):
            self._both.check(band, scanned.samples(band), samples, scanned.valid)
        firsts = symbols_of(self.model, scanned.scans, scanned.scales)
        return [
            TwoPlans(
                Plan(first, state | self.state, batch.room, one_layer),
                Plan(rest, None, batch.room, one_layer),
            )
            for first, rest, state in zip(firsts, rests, batch.states, strict=True)
        ]

    def write(self, plans: Sequence[TwoPlans]) -> list[list[Body]]:  # type: ignore[override]
        """Code tiles: the bodies of the first part of each, then those of its rest."""
        firsts = super().write([plan.first for plan in plans])
        rests = self._written([plan.rest for plan in plans], None)
        return [first + rest for first, rest in zip(firsts, rests, strict=True)]
