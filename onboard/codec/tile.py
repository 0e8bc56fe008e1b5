"""Tile: what every codec offers the encoder, whatever its family.

A codec is made of the wire description and the parts of a bundle; it knows no bundle file and no
scene. Opened in an engine it is a tile coder: batches of tiles of one shape to bodies of segments.

1. `prepare` does once what no step changes.
2. `finest`, `guess` and `error` tell what steps would do, coding nothing; so does `guess_error`.
3. `plan` quantises tiles at their steps and cuts them to segments; `write` codes what was planned.

A tile's bytes depend on its samples, step, thrift, room of a body and kind of quantizer, never on
tiles that it is batched with. Steps are codes 0..255, the finest first; a codec of fixed rate
heeds none. The first body begins with tile state and side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.agreement import Agreement
from onboard.codec.blocks import Blocks
from onboard.codec.cuts import Cuts
from onboard.codec.profile import Profile
from onboard.codec.tiling import USUAL, Size, Tiling

ALL_VALID, SOME_NODATA, ALL_NODATA = 0, 1, 2
"""Tile states."""
DEPENDENT = 4
"""Added to the state of a tile, not all nodata, whose indices were chosen along a trellis."""
FULL = 8
"""Added to the state of a tile, not all nodata, of which every symbol is coded."""
EMPTY = 64
"""Added to the state of a tile of components, not all nodata, all of which are 0."""
SIGN_HIDING = 128
"""Added to the state of a plain tile that hides signs, not all nodata."""
STEPS = 256
"""Step codes."""
THRIFTIEST = 1536
"""Largest thrift: how much a tile is quantised nearer to 0 than best, to take fewer bytes."""
MAX_BODY = 65_535
"""Most bytes of a body, whatever its room."""
Steps = NDArray[np.int64]
"""Step code of each tile."""
Body = tuple[int, int, bytes]
"""Starting layer, starting place in it, body."""
Piece = tuple[int, int, int]
"""Starting layer, starting place in it, most bytes of the body."""


class Prepared(Protocol):
    """Tiles of one shape, analysed."""

    def take(self, tiles: NDArray[np.int64]) -> Self:
        """Return some tiles of the batch."""

    def join(self, others: Sequence[Self]) -> Self:
        """Return this batch and others of the same shape as one."""


class TilePlan(Protocol):
    """A tile quantised and cut to segments, not coded yet."""

    @property
    def pieces(self) -> list[Piece]:
        """Where each segment starts, and how long its body will be, as a rule at most."""


P = TypeVar("P", bound=Prepared)
Q = TypeVar("Q", bound=TilePlan)


@dataclass(frozen=True)
class Chosen(Generic[P]):
    """A batch with all that its bytes depend on.

    Attributes:
        prepared: the tiles, analysed.
        steps: step code of each tile, or (tiles, rows, cols) of each position.
        states: `ALL_VALID` or `SOME_NODATA`, of each tile.
        room: most bytes of a body.
        thrift: of each tile, 0 to `THRIFTIEST`; None is 0 for all. A codec of fixed rate has none.
    """

    prepared: P
    steps: Steps
    states: Sequence[int]
    room: int
    thrift: NDArray[np.int64] | None = None


class TileCoder(Protocol[P, Q]):
    """Codes batches of tiles of one shape."""

    @property
    def engine(self) -> str:
        """Name of the engine that runs the encoder graph."""

    @property
    def bands(self) -> int:
        """Bands of a tile."""

    @property
    def fraction(self) -> int:
        """Fraction bits of samples: what is told in DN here is `2^fraction` times as much."""

    @property
    def least_body(self) -> int:
        """Bytes of a tile's body at the coarsest step, as a rule."""

    @property
    def tiles_at_once(self) -> int:
        """Tiles to plan together, for speed; no byte depends on it."""

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes: what a flipped bit of would spoil an image."""

    def using(self, quantizer: str) -> Self:
        """Return the coder that chooses indices by another quantizer.

        UsageError: there is no such kind; BundleError: the bundle's tables do not allow it.
        """

    def for_mosaic(self) -> Self:
        """Return the coder for planes of a Bayer mosaic; UsageError, EngineError: it cannot be."""

    def of_group(self, group: int) -> Self:
        """Return the coder of a group of the scene's bands, by its number."""

    def components(self, tiles: NDArray[Any]) -> NDArray[Any]:
        """Return samples (tiles, bands, tile, tile) of a scene, or components with a profile."""

    def prepare(
        self, tiles: NDArray[Any] | Cuts, present: NDArray[np.bool_], inside: tuple[int, int]
    ) -> P:
        """Do once what no step changes.

        Args:
            tiles: (tiles, bands, tile, tile) of its group, reflected beyond the scene's border.
            present: (tiles, tile, tile), False where a pixel is nodata.
            inside: rows and columns of each tile inside the scene.
        """

    def finest(self, prepared: P) -> Steps:
        """Return the finest step code that each tile allows."""

    def guess(self, prepared: P) -> NDArray[np.int64]:
        """Return (tiles, 256) roughly the bits of each tile at each step code, without a look.

        This and all that follow up to `plan`: UsageError, if the codec has a fixed rate.
        """

    def blocks(self, prepared: P, side: int) -> Blocks:
        """Return the blocks of so many pixels a side of tiles."""

    def error(self, prepared: P, steps: Steps, side: int) -> NDArray[np.int64]:
        """Return what errors steps, as of `Chosen`, will make in these, as `Blocks` counts."""

    def guess_error(self, prepared: P, steps: Steps) -> NDArray[np.int64]:
        """Return roughly the squared error of each tile, in DN^2, quickly."""

    def plan(self, batch: Chosen[P], one_layer: bool) -> Sequence[Q]:
        """Quantise tiles and cut what is to be coded to segments.

        Args:
            batch: tiles with their steps, states and room.
            one_layer: begin a new body at every layer.

        Raises:
            UsageError: something that cannot be cut takes more than the room.
        """

    def write(self, plans: Sequence[Q]) -> list[list[Body]]:
        """Return the bodies of each of the tiles that `plan` gave."""

    def golden(self) -> Agreement:
        """Run the bundle's golden vectors."""

    def probe(self) -> int:
        """Return a checksum of what the engine makes of the first golden tile."""


class Side(Protocol):
    """Side information of one tile."""

    @property
    def means(self) -> tuple[int, ...]:
        """Mean of each band, DN."""

    @property
    def step(self) -> float:
        """Step of the quantizer, DN."""


class Codec(Protocol):
    """What a bundle's wire description and parts make; opens tile coders.

    A capability may be asked (`variable_rate`); which family it is may not, outside of it. One for
    any number of bands is at first that of scenes of as many as its classes, 16 bits deep.
    """

    def for_scene(
        self,
        bands: int,
        significant_bits: int,
        profile: Profile | None = None,
        tile: int | None = None,
    ) -> Self:
        """Return the codec for scenes of so many bands and bits, perhaps with a spectral profile.

        `tile` is the rows and columns of tiles, None those usual for so many bands.

        Raises:
            InputError: it takes no so many bands, no such profile, or no such tiles.
        """

    def best_tile(self, bands: int, size: Size, tiling: Tiling = USUAL) -> int | None:
        """Return the `tile` that a scene is given where nobody asks for one.

        Args:
            bands: bands of the scene, which is no Bayer mosaic.
            size: rows and columns of the scene.
            tiling: what tiles are good for it.
        """

    def sides(self, bands: int) -> range:
        """Return the rows and columns that tiles of scenes of so many bands may have."""

    @property
    def golden_views(self) -> Sequence[Self]:
        """The codec of each kind of scene that there are golden vectors of."""

    @property
    def bands(self) -> int:
        """Bands of an image."""

    @property
    def tile(self) -> int:
        """Rows and columns of a tile, in pixels."""

    @property
    def groups(self) -> int:
        """Groups that the bands of a scene are coded in, each of as many as a tile has."""

    @property
    def fraction(self) -> int:
        """Fraction bits that samples get on board."""

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 left aside."""

    @property
    def side_bytes(self) -> int:
        """Length of the packed side information, the tile state left aside."""

    @property
    def variable_rate(self) -> bool:
        """Whether a stream can have any rate."""

    @property
    def golden(self) -> Sequence[object]:
        """The golden vectors.

        Raises:
            BundleError: the part `golden` does not hold what it promises.
        """

    def is_compiled(self, engine: str | None = None) -> bool:
        """Return whether compiled code codes the tiles of such scenes, opened in this engine."""

    def open(self, engine: str | None = None, threads: int = 1) -> TileCoder[Any, Any]:
        """Open the encoder in an engine.

        Raises:
            UsageError: there is no such engine, or `threads` is less than 1.
            EngineError: the engine is not installed or cannot run here.
            BundleError: the engine refuses the graph.
        """

    def unpack_side(self, packed: bytes, signed: bool) -> Side:
        """Unpack side information; `signed` says that samples are i16.

        Raises:
            StreamError: the length is wrong.
        """

    def payload_bytes(self, rows: int, cols: int) -> list[int]:
        """Return the bytes of the packed indices of a tile, layer by layer.

        UsageError: the rate is variable, so nobody knows.
        """

    def golden_again(self) -> bytes:
        """Return the part `golden` of the same tiles, coded by numpy with this codec.

        BundleError: the codec needs an engine for that.
        """
