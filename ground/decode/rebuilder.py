"""Rebuilder: what each family of codecs offers the decoder and the inventory.

A family is one row of `ground.decode.kinds.REBUILDERS`: a class that takes a bundle. It alone knows
how layers of tiles are packed and what they stand for; `Reception` collects segments and knows no
family. A rebuilder
- makes of the segments that arrived of a tile what it needs of it (`tile`); a segment that makes
  no sense, or contradicts an earlier one, is counted as damaged in the reception and left out;
- says how much of tiles is whole (`complete`), what was sent (`dump`) and what that tells of each
  (`features`), without a network;
- fills a product (`rebuild`): every pixel of the image and of the mask, whatever is missing.
Where no segment contradicts another, neither depends on the order of segments. Of the mask it says
only what `ground.decode.mask` decides. It keeps nothing from one scene to the next, so one
rebuilder serves any number of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ground.decode.graphs.graph import Graph, NamedGraph
from ground.decode.reception import Reception
from ground.decode.tile import TileReception
from ground.decode.vectors import Vectors
from onboard.image.tiles import TileGrid
from onboard.link.header import SceneHeader

Tile = TypeVar("Tile", bound=TileReception[Any])


@dataclass(frozen=True)
class Product:
    """A scene that is being rebuilt.

    Attributes:
        image: (bands, rows, cols) of the header's sample type, to be filled.
        mask: uint8 (rows, cols) of `Mask`, to be filled.
        header: scene header, or what is assumed without one.
        grid: tiles of the scene.
        reached: of each tile in two parts that can be read whether its rest arrived whole, to be
            filled.
        errors: mean squared error to expect of the samples of tiles, DN^2, where something tells
            it; to be filled.
    """

    image: NDArray[Any]
    mask: NDArray[np.uint8]
    header: SceneHeader
    grid: TileGrid
    reached: dict[int, bool] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)

    @property
    def expected_error(self) -> float | None:
        """Mean squared error to expect of the tiles that tell one, DN^2; None if none does."""
        sizes = {index: np.prod(self.grid.box(index)[2:]) for index in self.errors}
        total = sum(error * sizes[index] for index, error in self.errors.items())
        return float(total / sum(sizes.values())) if sizes else None

    def area(self, index: int) -> tuple[slice, slice]:
        """Return the rows and the columns of a tile."""
        row, col, rows, cols = self.grid.box(index)
        return slice(row, row + rows), slice(col, col + cols)


@dataclass(frozen=True)
class Network:
    """The decoder network of a bundle.

    Attributes:
        session: graph of the network; each run has one thread, so pixels do not depend on threads.
        halo: pixels around a loss that the network lets it reach; 0 where there is none.
        threads: runs at once.
        best: whether a network that refines an image is to take its time: it sees each part
            mirrored and turned, too, eight times in all.
    """

    session: Graph
    halo: int
    threads: int
    best: bool = False


class Overviews(Protocol):
    """Makes overviews of scenes from the coarse layers of their tiles."""

    def of(
        self, reception: Reception, grid: TileGrid, header: SceneHeader, step: int
    ) -> tuple[NDArray[Any], NDArray[np.uint8], int]:
        """Return samples (bands, rows, cols) and mask of a scene, and the layers that they take.

        Args:
            reception: what arrived; problems are counted.
            grid: tiles of the scene, whose sides are multiples of `step`.
            header: header of the scene.
            step: pixels of a row or column that one is made of: 2, 4, 8 or 16.
        """


class Rebuilder(Protocol[Tile]):
    """Rebuilds scenes of one family of codecs; `Tile` is what it keeps of a tile."""

    @property
    def layers(self) -> int:
        """Layers of a tile, layer 0 included."""

    @property
    def refines(self) -> bool:
        """Whether the network only refines an image, which can be had without it."""

    @property
    def in_order(self) -> bool:
        """Whether rows of tiles are final once `rebuild` reports them, from the first one on."""

    def for_mosaic(self) -> "Rebuilder[Tile]":
        """Return what rebuilds the planes of a Bayer mosaic.

        Raises:
            StreamError: the family knows no mosaics.
            UsageError: the bundle has other bands.
            EngineError: the processor's floats do not give the format's matrices.
        """

    def graph(self, model: bytes) -> NamedGraph | None:
        """Return what runs a decoder graph (ONNX) in compiled code; None if nothing does."""

    def tile(self, reception: Reception, grid: TileGrid, index: int) -> Tile:
        """Return what arrived of a tile of the grid, as far as it makes sense."""

    def complete(self, tiles: Sequence[Tile]) -> list[int]:
        """Return how many layers of each tile are whole, from layer 0 on; all are of one shape."""

    def refined(self, tiles: Sequence[Tile]) -> list[bool]:
        """Return of which tiles in two parts the rest arrived whole; all are of one shape."""

    def dump(self, grid: TileGrid, tiles: Sequence[Tile]) -> dict[str, NDArray[Any]]:
        """Return what arrived of all tiles of a grid, before it becomes an image.

        Args:
            grid: tiles of the scene.
            tiles: what `tile` gave of each, in their order.

        Returns:
            Arrays by the names that `ground.decode.dump` documents; `whole` is one.
        """

    def features(self, tiles: Sequence[Tile]) -> Vectors:
        """Return a vector for each tile, see `ground.decode.features`."""

    def overviews(self) -> Overviews | None:
        """Return what makes overviews from coarse layers; None where nothing does."""

    def rebuild(
        self,
        reception: Reception,
        product: Product,
        network: Network,
        report: Callable[[int, int], None],
    ) -> None:
        """Fill a product.

        Args:
            reception: what arrived; segments that turn out damaged are counted.
            product: image and mask to fill.
            network: decoder network.
            report: called with the tiles done and their number.

        Raises:
            BundleError: the graph takes other inputs, or fails.
        """
