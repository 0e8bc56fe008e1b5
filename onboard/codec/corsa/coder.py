"""Tile coder of the CORSA models: fixed-length indices of a pyramid of codebooks."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.agreement import Agreement
from onboard.codec.blocks import Blocks
from onboard.codec.corsa.frontend import AffineFrontEnd
from onboard.codec.corsa.golden import GoldenVector
from onboard.codec.corsa.layers import split_layers
from onboard.codec.corsa.quantizer import Level, quantise
from onboard.codec.cuts import Cuts
from onboard.codec.tile import Body, Chosen, Piece, Steps
from onboard.engine.network import Session
from onboard.errors import BundleError, UsageError
from onboard.image.tiles import positions

LEAST_AGREEMENT = {"ort": 1.0, "litert": 1.0, "tflite": 0.9}
"""Share of golden indices by engine; tflite-runtime rounds in another way (SPEC.md, section 7)."""
_TILES_AT_ONCE = 32


class IndexMaps(NamedTuple):
    """A tile, quantised.

    Attributes:
        side: packed side information.
        maps: whole index map of each level, coarse to fine.
        inside: rows and columns of the tile inside the scene.
    """

    side: bytes
    maps: list[NDArray[np.uint16]]
    inside: tuple[int, int]


@dataclass(frozen=True)
class QuantisedTiles:
    """Tiles of one shape, quantised: no step changes that."""

    tiles: list[IndexMaps]

    def take(self, tiles: NDArray[np.int64]) -> "QuantisedTiles":
        """Return some tiles of the batch."""
        return QuantisedTiles([self.tiles[tile] for tile in tiles])

    def join(self, others: Sequence["QuantisedTiles"]) -> "QuantisedTiles":
        """Return this batch and others of the same shape as one."""
        return QuantisedTiles([tile for batch in (self, *others) for tile in batch.tiles])


@dataclass(frozen=True)
class FixedPlan:
    """A tile of fixed-length indices.

    Attributes:
        bodies: bodies of its segments.
    """

    bodies: list[Body]

    @property
    def pieces(self) -> list[Piece]:
        """Where each segment starts, and how long its body is."""
        return [(layer, first, len(body)) for layer, first, body in self.bodies]


class CorsaTileCoder:
    """Fixed-length indices of a pyramid of codebooks."""

    def __init__(
        self,
        front_end: AffineFrontEnd,
        levels: tuple[Level, ...],
        tile: int,
        session: Session,
        golden: Callable[[], Sequence[GoldenVector]] = tuple,
    ) -> None:
        """Open a coder.

        Args:
            front_end: samples to what the network takes.
            levels: levels of indices, coarse to fine.
            tile: rows and columns of a tile.
            session: runs the network.
            golden: gives the golden vectors of the bundle, which are read when they are needed.

        Raises:
            BundleError: the network's maps do not fit the levels.
        """
        self._front_end = front_end
        self._levels = levels
        self._tile = tile
        self._golden = golden
        self.bands, self.fraction = front_end.bands, 0
        self.least_body = 1 + front_end.side_bytes
        self.tiles_at_once = _TILES_AT_ONCE
        self.session = session
        self.engine = session.engine
        self._check_graph()

    def _check_graph(self) -> None:
        """Run the graph once: its maps must have the shapes that the levels of the bundle say."""
        tile = self._tile
        found = [m.shape for m in self.session.run(np.zeros((self.bands, tile, tile), np.int8))]
        wanted = [
            (level.codebook.codewords.shape[1], tile // level.reduction, tile // level.reduction)
            for level in self._levels
        ]
        if found != wanted:
            raise BundleError(f"encoder graph: expected maps of {wanted}, found {found}")

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""
        return self._levels, self._front_end

    def using(self, quantizer: str) -> "CorsaTileCoder":
        """Refuse: indices of fixed length are the nearest codewords'."""
        raise UsageError(f"quantizer {quantizer}: the codec has a fixed rate")

    def of_group(self, _group: int) -> "CorsaTileCoder":
        """Return the same: all groups are alike."""
        return self

    def components(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return samples as they are."""
        return tiles

    def for_mosaic(self) -> "CorsaTileCoder":
        """Refuse: the network knows no mosaics."""
        raise UsageError("Bayer: expected a bundle of coder rans, found one of coder fixed")

    def index_maps(
        self, tile: NDArray[Any], present: NDArray[np.bool_], rows: int, cols: int
    ) -> IndexMaps:
        """Quantise a tile.

        Args:
            tile: (bands, tile, tile) samples in DN, reflected beyond the scene's border.
            present: (tile, tile), False where a pixel is nodata.
            rows: rows of the tile inside the scene; statistics are taken over these.
            cols: columns of the tile inside the scene.
        """
        side = self._front_end.analyse(tile[:, :rows, :cols], present[:rows, :cols])
        latents = self.session.run(self._front_end.normalise(tile, present, side))
        return IndexMaps(side.pack(), quantise(self._levels, latents), (rows, cols))

    def prepare(
        self, tiles: NDArray[Any] | Cuts, present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> QuantisedTiles:
        """Quantise tiles, which no step changes."""
        pairs = zip(np.asarray(tiles), present, strict=True)
        return QuantisedTiles([self.index_maps(tile, here, *inside) for tile, here in pairs])

    def finest(self, prepared: QuantisedTiles) -> Steps:
        """Return step code 0 for each tile: steps have no meaning here."""
        return np.zeros(len(prepared.tiles), np.int64)

    def guess(self, prepared: QuantisedTiles) -> NDArray[np.int64]:
        """Refuse: a codec of fixed rate has nothing to guess."""
        raise UsageError(f"rate of {len(prepared.tiles)} tiles: the codec has a fixed rate")

    def blocks(self, prepared: QuantisedTiles, side: int) -> Blocks:
        """Refuse, likewise."""
        raise UsageError(f"blocks of {side} pixels: there are no steps")

    def error(self, prepared: QuantisedTiles, steps: Steps, side: int) -> NDArray[np.int64]:
        """Refuse: a codec of fixed rate has no error model."""
        raise UsageError(f"error of {len(prepared.tiles)} tiles: the codec has a fixed rate")

    def guess_error(self, prepared: QuantisedTiles, steps: Steps) -> NDArray[np.int64]:
        """Refuse, likewise."""
        raise UsageError(f"error of {len(prepared.tiles)} tiles: the codec has a fixed rate")

    def probe(self) -> int:
        """Return a checksum of the index maps of the first golden tile."""
        _, maps, _ = self._whole(self._golden()[0].samples)
        return zlib.crc32(b"".join(indices.tobytes() for indices in maps))

    def golden(self) -> Agreement:
        """Quantise the golden tiles; what agrees are indices."""
        agree, total = [0] * len(self._levels), [0] * len(self._levels)
        for vector in self._golden():
            maps = self._whole(vector.samples).maps
            for number, (found, wanted) in enumerate(zip(maps, vector.indices, strict=True)):
                agree[number] += int(np.count_nonzero(found == wanted))
                total[number] += found.size
        return Agreement(agree, total, LEAST_AGREEMENT[self.engine])

    def _whole(self, samples: NDArray[np.uint16]) -> IndexMaps:
        """Quantise a whole tile without nodata."""
        present = np.ones((self._tile, self._tile), np.bool_)
        return self.index_maps(samples, present, self._tile, self._tile)

    def plan(self, batch: Chosen[QuantisedTiles], one_layer: bool) -> list[FixedPlan]:
        """Pack indices and cut them to segments."""
        found = []
        for (side, maps, (rows, cols)), state in zip(
            batch.prepared.tiles, batch.states, strict=True
        ):
            levels = []
            for indices, level in zip(maps, self._levels, strict=True):
                coded_rows, coded_cols = positions(rows, cols, level.reduction)
                levels.append((indices[:coded_rows, :coded_cols], level.width))
            bodies = split_layers(bytes([state]) + side, levels, batch.room, one_layer)
            found.append(FixedPlan(bodies))
        return found

    def write(self, plans: Sequence[FixedPlan]) -> list[list[Body]]:
        """Return the bodies, packed when they were planned."""
        return [plan.bodies for plan in plans]
