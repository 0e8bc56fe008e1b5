"""Tile coder of the CORSA models: fixed-length indices of a pyramid of codebooks."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.corsa.layers import split_layers
from onboard.codec.corsa.quantizer import quantise
from onboard.codec.tile import Body, Chosen, Piece, TileCoder
from onboard.engine.network import open_session
from onboard.errors import BundleError, UsageError
from onboard.image.tiles import positions

if TYPE_CHECKING:
    from onboard.bundle import Bundle

LEAST_AGREEMENT = 0.9
"""int8 kernels of different runtimes and processors round differently in rare cases (SPEC.md 7)."""

_TILES_AT_ONCE = 32


@dataclass(frozen=True)
class FixedPlan:
    """A tile of fixed-length indices.

    Attributes:
        bodies: of its segments.
    """

    bodies: list[Body]

    @property
    def pieces(self) -> list[Piece]:
        """See `TilePlan.pieces`."""
        return [(layer, first, len(body)) for layer, first, body in self.bodies]


class PyramidTileCoder:
    """Fixed-length indices of a pyramid of codebooks: the CORSA models."""

    def __init__(self, bundle: "Bundle", engine: str | None, threads: int) -> None:
        self._bundle = bundle
        self.bands = bundle.bands
        self.least_body = 1 + bundle.front_end.side_bytes
        self.tiles_at_once = _TILES_AT_ONCE
        self.session = open_session(
            bundle.parts["encoder.onnx"],
            bundle.parts["encoder.tflite"],
            len(bundle.levels),
            engine,
            threads,
        )
        self.engine = self.session.engine
        self._check_graph()

    def _check_graph(self) -> None:
        """Run the graph once: its maps must have the shapes that the levels of the bundle say."""
        tile = self._bundle.tile
        zeros = np.zeros((self._bundle.bands, tile, tile), np.int8)
        found = [m.shape for m in self.session.run(zeros)]
        wanted = [
            (level.codebook.codewords.shape[1], tile // level.reduction, tile // level.reduction)
            for level in self._bundle.levels
        ]
        if found != wanted:
            raise BundleError(f"encoder graph: expected maps of {wanted}, found {found}")

    def along_trellis(self) -> TileCoder:
        """See `TileCoder.along_trellis`; indices of fixed length have none."""
        raise UsageError(f"trellis: bundle {self._bundle.name} has a fixed rate")

    def index_maps(
        self, tile: NDArray[Any], present: NDArray[np.bool_], rows: int, cols: int
    ) -> tuple[bytes, list[NDArray[np.uint16]]]:
        """Return the side information and one whole index map per level, coarse to fine.

        Args:
            tile: (bands, tile, tile) samples in DN, reflected beyond the scene's border.
            present: (tile, tile), False where a pixel is nodata.
            rows: rows of the tile inside the scene; statistics are taken over these.
            cols: columns of the tile inside the scene.
        """
        front_end = self._bundle.affine
        side = front_end.analyse(tile[:, :rows, :cols], present[:rows, :cols])
        latents = self.session.run(front_end.normalise(tile, present, side))
        return side.pack(), quantise(self._bundle.levels, latents)

    def prepare(
        self, tiles: NDArray[Any], present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> Any:
        """See `TileCoder.prepare`."""
        return [
            (self.index_maps(tile, here, *inside), inside)
            for tile, here in zip(tiles, present, strict=True)
        ]

    def finest(self, prepared: Any) -> NDArray[np.int64]:
        """See `TileCoder.finest`."""
        return np.zeros(len(prepared), np.int64)

    def guess(self, prepared: Any) -> NDArray[np.int64]:
        """See `TileCoder.guess`; a fixed-length codec has nothing to guess."""
        raise UsageError(f"rate: bundle {self._bundle.name} has a fixed rate")

    def take(self, prepared: Any, tiles: NDArray[np.int64]) -> Any:
        """See `TileCoder.take`."""
        return [prepared[tile] for tile in tiles]

    def join(self, parts: Sequence[Any]) -> Any:
        """See `TileCoder.join`."""
        return [tile for part in parts for tile in part]

    def error(self, prepared: Any, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """See `TileCoder.error`; a fixed-length codec has none."""
        raise UsageError(f"rate: bundle {self._bundle.name} has a fixed rate")

    def probe(self) -> int:
        """See `TileCoder.probe`."""
        size = self._bundle.tile
        present = np.ones((size, size), np.bool_)
        _, maps = self.index_maps(self._bundle.golden[0].samples, present, size, size)
        return zlib.crc32(b"".join(indices.tobytes() for indices in maps))

    def golden(self) -> tuple[list[int], list[int], float]:
        """See `TileCoder.golden`; what agrees are indices."""
        size = self._bundle.tile
        present = np.ones((size, size), np.bool_)
        agree, total = [0] * len(self._bundle.levels), [0] * len(self._bundle.levels)
        for vector in self._bundle.golden:
            _, maps = self.index_maps(vector.samples, present, size, size)
            for number, (found, wanted) in enumerate(zip(maps, vector.indices, strict=True)):
                agree[number] += int(np.count_nonzero(found == wanted))
                total[number] += found.size
        return agree, total, LEAST_AGREEMENT

    def plan(self, batch: Chosen, one_layer: bool) -> list[FixedPlan]:
        """See `TileCoder.plan`."""
        prepared: Any = batch.prepared
        found = []
        for ((side, maps), (rows, cols)), state in zip(prepared, batch.states, strict=True):
            levels = []
            for indices, level in zip(maps, self._bundle.levels, strict=True):
                coded_rows, coded_cols = positions(rows, cols, level.reduction)
                levels.append((indices[:coded_rows, :coded_cols], level.width))
            bodies = split_layers(bytes([state]) + side, levels, batch.room, one_layer)
            found.append(FixedPlan(bodies))
        return found

    def write(self, plans: Sequence[FixedPlan]) -> list[list[Body]]:
        """See `TileCoder.write`."""
        return [plan.bodies for plan in plans]
