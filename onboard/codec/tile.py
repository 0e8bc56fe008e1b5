"""Tile: what every codec offers the encoder, whatever its family."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

MAX_BODY = 65_535
ALL_VALID, SOME_NODATA, ALL_NODATA = 0, 1, 2
"""Tile states."""
DEPENDENT = 4
"""Added to the state of a tile, not all nodata, whose indices were chosen along a trellis."""

Body = tuple[int, int, bytes]
"""Starting layer, starting place in it, body."""
Piece = tuple[int, int, int]
"""Starting layer, starting place in it, most bytes of the body."""


@dataclass(frozen=True)
class Chosen:
    """A batch with all that its bytes depend on.

    Attributes:
        prepared: the tiles.
        codes: step code of each.
        states: tile state of each, first byte of its first body; all are dependent or none is.
        room: most bytes of a body.
    """

    prepared: Any
    codes: NDArray[np.int64]
    states: Sequence[int]
    room: int


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
        """Tiles to plan together, for speed; no byte depends on it."""

    def along_trellis(self) -> "TileCoder":
        """Return the coder that chooses indices along a trellis.

        Raises:
            UsageError: the bundle has a fixed rate.
            BundleError: its tables make paths cost too much.
        """

    def prepare(
        self, tiles: NDArray[Any], present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> Any:
        """Do once what no step depends on.

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
