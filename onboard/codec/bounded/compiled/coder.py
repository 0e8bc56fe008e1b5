"""Compiled tile coder of the bounded codec: the same as `coder`, in the C encoder of the bundle."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from onboard.codec.bounded.coder import BoundedTileCoder, BoundedTiles
from onboard.codec.bounded.plan import Plan
from onboard.codec.tile import Body, Chosen
from onboard.engine.library import Coded, Library, Tiles, in_threads, tile_for
from onboard.errors import InputError, LimitError, UsageError

_EDGE_BYTES = 4
_DEPTH = 16


class CompiledBoundedCoder(BoundedTileCoder):
    """Codes tiles within a bound in compiled code; what that does not take goes to numpy."""

    engine = "c"

    def __init__(self, reference: BoundedTileCoder, library: Library, threads: int = 1) -> None:
        """Open a coder.

        Args:
            reference: the same in numpy.
            library: of its bundle.
            threads: that code tiles at once.
        """
        super().__init__(reference.model, reference.bands, reference.bound, reference.nodata)
        self._library = library
        self._threads = threads

    def plan(self, batch: Chosen[BoundedTiles], one_layer: bool) -> list[Any]:
        """Quantise tiles, cut them to segments and code them."""
        tiles = batch.prepared
        if self._as_marked(tiles):
            try:
                return self._coded(batch, one_layer)
            except (InputError, LimitError, UsageError):
                pass  # numpy says what is wrong, or takes it
        return list(super().plan(batch, one_layer))

    def _as_marked(self, tiles: BoundedTiles) -> bool:
        """Return whether pixels without data are those of which all bands here are nodata."""
        if self.nodata is None:
            return bool(tiles.present.all())
        return bool(((tiles.samples == self.nodata).all(axis=1) != tiles.present).all())

    def _coded(self, batch: Chosen[BoundedTiles], one_layer: bool) -> list[Coded]:
        samples = batch.prepared.samples
        count, bands, rows, cols = samples.shape
        side = tile_for(bands, rows, cols)
        like = Tiles(bands, side, _DEPTH, samples.dtype.kind == "i", False, rows, cols)
        if self.nodata is not None:
            like.has_nodata, like.nodata = 1, self.nodata & 0xFFFF
        like.edge = 0 if (rows, cols) == (side, side) else _EDGE_BYTES
        like.one_layer, like.body = one_layer, batch.room
        whole = np.zeros((count, bands, side, side), np.uint16)
        whole[:, :, :rows, :cols] = samples.astype(np.uint16, copy=False)
        bounds = np.array(self._bounds, np.uint16)

        def code(part: slice) -> list[Coded]:
            given = whole[part], (bounds,), (self.bound.root,)
            return list(self._library.code("bounded", like, part.stop - part.start, *given))

        parts = in_threads(code, count, self._threads)
        return [Coded([(*b[:2], len(b[2])) for b in c.bodies], c.bodies) for p in parts for c in p]

    def write(self, plans: Sequence[Any]) -> list[list[Body]]:
        """Return the bodies of tiles; those of numpy are coded."""
        in_numpy = [plan for plan in plans if isinstance(plan, Plan)]
        coded = iter(super().write(in_numpy) if in_numpy else ())
        return [next(coded) if isinstance(plan, Plan) else plan.bodies for plan in plans]
