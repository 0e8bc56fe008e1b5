"""Tile coders: how the codec that a bundle names turns tiles into bodies of segments.

One class per kind of coder; the encoder knows none of them by name.
"""

import zlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import Bundle
from onboard.contexts import BLOCK
from onboard.errors import BundleError, UsageError
from onboard.lappedcoder import Chosen, LappedCoder, Prepared
from onboard.lappedplan import Body, Piece, Plan
from onboard.layers import DEPENDENT, split_layers
from onboard.quantizer import quantise
from onboard.rans import STATE_BYTES
from onboard.session import open_plane_session, open_session
from onboard.tiling import positions

LEAST_AGREEMENT = 0.9
"""int8 kernels of different runtimes and processors round differently in rare cases (SPEC.md 7)."""
MAX_BODY = 65_535
_TILES_AT_ONCE, _TILES_ALONG_TRELLIS = 32, 80


class TilePlan(Protocol):
    """A tile quantised and cut to segments, not coded yet."""

    @property
    def pieces(self) -> list[Piece]:
        """Where each segment starts, and how long its body will be, as a rule at most."""


class TileCoder(Protocol):
    """Codes batches of tiles of one shape."""

    @property
    def engine(self) -> str:
        """Name of the engine that runs the encoder graph."""

    @property
    def bands(self) -> int:
        """Bands of a tile."""

    @property
    def least_body(self) -> int:
        """Bytes of a tile's body at the coarsest step, as a rule."""

    @property
    def tiles_at_once(self) -> int:
        """Tiles to plan together, for speed; no byte hangs on it."""

    def along_trellis(self) -> "TileCoder":
        """Return the coder that chooses indices along a trellis.

        Raises:
            UsageError: the bundle has a fixed rate.
            BundleError: its tables make paths cost too much.
        """

    def prepare(
        self, tiles: NDArray[Any], present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> Any:
        """Do once what no step hangs on.

        Args:
            tiles: (tiles, bands, tile, tile) in DN, reflected beyond the scene's border.
            present: (tiles, tile, tile), False where a pixel is nodata.
            inside: rows and columns of each tile inside the scene.
        """

    def finest(self, prepared: Any) -> NDArray[np.int64]:
        """Return the finest step code that each tile allows."""

    def guess(self, prepared: Any) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile at each step code, without a look."""

    def take(self, prepared: Any, tiles: NDArray[np.int64]) -> Any:
        """Return some tiles of a batch."""

    def join(self, parts: Sequence[Any]) -> Any:
        """Return batches of tiles of one shape as one."""

    def error(self, prepared: Any, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what the ground's squared error of each tile will be, in DN, from a model."""

    def probe(self) -> int:
        """Return a checksum of what the engine makes of the first golden tile."""

    def golden(self) -> tuple[list[int], list[int], float]:
        """Run the bundle's golden vectors.

        Returns:
            What agrees and how many there are, layer by layer, and the least share that passes.
        """

    def plan(self, batch: Chosen, one_layer: bool) -> Sequence[TilePlan]:
        """Quantise tiles and cut what is to be coded to segments.

        Args:
            batch: tiles, step codes, states and room; its `prepared` is what `prepare` gave.
            one_layer: begin a new body at every layer.
        """

    def write(self, plans: Sequence[Any]) -> list[list[Body]]:
        """Return the bodies of each of the tiles that `plan` gave."""


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

    def __init__(self, bundle: Bundle, engine: str | None, threads: int) -> None:
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


class LappedTileCoder:
    """Entropy-coded symbols of a lapped transform: any rate from one bundle."""

    def __init__(self, bundle: Bundle, engine: str | None, threads: int) -> None:
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


KINDS: dict[str, type[PyramidTileCoder] | type[LappedTileCoder]] = {
    "fixed": PyramidTileCoder,
    "rans": LappedTileCoder,
}


def open_tile_coder(bundle: Bundle, engine: str | None, threads: int) -> TileCoder:
    """Open the tile coder of the kind that a bundle names.

    Raises:
        EngineError: the engine is not installed or cannot run here.
        BundleError: the engine refuses the graph.
    """
    return KINDS[bundle.coder_kind](bundle, engine, threads)
