"""Regions: what codes which tiles of a scene; some or all may be within a bound on their error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from onboard.codec.bound import Bound, BoundedCodec
from onboard.codec.tile import TileCoder
from onboard.encoder.batches import Batches
from onboard.encoder.boundedplace import BoundedPlace
from onboard.encoder.options import Options
from onboard.encoder.windows import RateWindows
from onboard.image.tiles import TileGrid
from onboard.link.framing import Framing
from onboard.link.header import SceneHeader


@dataclass(frozen=True)
class Coding:
    """What codes the tiles of a scene.

    Attributes:
        coder: of tiles of a rate.
        bounded: makes coders of tiles within a bound; None where there are none.
        header: header of the scene.
        options: what the caller chose.
        framing: what all segments have in common.
        grid: tiles of a row.
    """

    coder: TileCoder[Any, Any]
    bounded: BoundedCodec | None
    header: SceneHeader
    options: Options
    framing: Framing
    grid: TileGrid

    def windows(self, lines: Sequence[NDArray[Any]], first_row: int) -> RateWindows:
        """Return windows of lines, analysed; `first_row` rows of tiles are before them."""
        options = self.options
        if self.bounded and options.max_error is not None:
            bounds = options.max_error, options.max_error_first
            first, *more = self._within(self.bounded, lines, first_row, *bounds)
            return replace(first, others=more)
        others: list[RateWindows] = []
        free = (lambda index: self._place(index) is None) if options.places else None
        every = self._analyse(self.coder, lines, first_row, free)
        if self.bounded is not None:
            for place in options.places:
                wanted = partial(self._touches_first, place)
                others += self._within(self.bounded, lines, first_row, place.bound, None, wanted)
        return RateWindows(self.coder, self.framing, every, others)

    def _within(
        self,
        bounded: BoundedCodec,
        lines: Sequence[NDArray[Any]],
        first_row: int,
        bound: Bound,
        first: Bound | None,
        wanted: Callable[[int], bool] = lambda _index: True,
    ) -> list[RateWindows]:
        """Return tiles within a bound, or within a first one and then that, by groups of bands."""
        header, groups, found = self.header, self.grid.groups, []
        for group in range(groups):
            of_group = group, groups, header.bands
            own = bound.of_group(*of_group), header.nodata, first and first.of_group(*of_group)
            coder = bounded.open(-(-header.bands // groups), *own)
            mine = partial(self._is_of, group, wanted)
            analysed = self._analyse(coder, lines, first_row, mine)
            found.append(RateWindows(coder, self.framing, analysed))
        return found

    def _analyse(
        self,
        coder: TileCoder[Any, Any],
        lines: Sequence[NDArray[Any]],
        first_row: int,
        wanted: Callable[[int], bool] | None,
    ) -> Batches:
        place = self.header, self.grid.tile, first_row, self.grid.groups
        return Batches.analyse(coder, lines, *place, wanted)

    def _is_of(self, group: int, wanted: Callable[[int], bool], index: int) -> bool:
        return self.grid.group(index) == group and wanted(index)

    def _place(self, index: int) -> BoundedPlace | None:
        """Return which region, if any, a tile touches first."""
        shape = self.grid.across, self.grid.tile, self.grid.groups
        return next((p for p in self.options.places if p.touches(index, *shape)), None)

    def _touches_first(self, place: BoundedPlace, index: int) -> bool:
        return self._place(index) is place
