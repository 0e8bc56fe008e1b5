"""Scenes as latents of tiles: what any code of them takes as a stream, and what they decode to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.synthesis import LinearTiles, linear_bands
from ground.scene import Scene
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.image.tiles import TileGrid
from onboard.link.end import EndOfScene
from onboard.link.framing import EDGE_BYTES, HEADER_EVERY
from onboard.link.segment import (
    DEFAULT_SEGMENT_BYTES,
    LEAST_OVERHEAD,
    SEGMENT_OVERHEAD,
    TAG_BYTES,
)


@dataclass(frozen=True)
class Part:
    """Tiles of one shape.

    Attributes:
        places: first row and column of each tile, pixels.
        inside: valid rows and columns of a tile.
        prepared: tiles as the coder prepared them.
        around: bytes of a segment that are not its body, unless it is the first of its tile.
    """

    places: list[tuple[int, int]]
    inside: tuple[int, int]
    prepared: PreparedTiles
    around: int

    def segments(self, bodies: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the segments of the default length that tiles of so many bytes are cut to."""
        return -(-bodies // (DEFAULT_SEGMENT_BYTES - self.around))


class LatentScene:
    """A scene cut to tiles and analysed; nodata counts as samples."""

    def __init__(self, coder: LappedModel, tile: int, scene: Scene, lane: int = 0) -> None:
        """Cut a scene.

        Args:
            coder: coder that analyses the tiles.
            tile: side of a tile, pixels.
            scene: scene to cut.
            lane: bytes that the entropy coder adds to every segment.
        """
        self.coder = coder
        self._shape = scene.image.shape
        self._head = LEAST_OVERHEAD + TAG_BYTES + len(replace(scene.header(), run=1).pack())
        self._end = LEAST_OVERHEAD + TAG_BYTES + len(EndOfScene(1, 0, run=1).pack())
        grid = TileGrid(scene.image.shape[2], scene.image.shape[1], tile)
        boxes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index in range(grid.count):
            row, col, rows, cols = grid.box(index)
            boxes.setdefault((rows, cols), []).append((row, col))
        self.parts = []
        for (rows, cols), places in boxes.items():
            tiles = np.stack([scene.image[:, r : r + rows, c : c + cols] for r, c in places])
            present = np.ones((len(tiles), rows, cols), np.bool_)
            prepared = PreparedTiles.of(coder, tiles, present)
            around = SEGMENT_OVERHEAD + lane + (0 if rows == cols == tile else EDGE_BYTES)
            self.parts.append(Part(places, (rows, cols), prepared, around))

    def stream_bytes(self, bodies: Sequence[NDArray[np.int64]]) -> int:
        """Return the bytes of a stream of the bodies of each part's tiles, headers and all."""
        total, segments = self._end, 0
        for part, lengths in zip(self.parts, bodies, strict=True):
            cut = part.segments(lengths)
            segments += int(cut.sum())
            starts = len(lengths) * (SEGMENT_OVERHEAD - LEAST_OVERHEAD)
            total += int((lengths + cut * part.around).sum()) - starts
        return total + -(-segments // (HEADER_EVERY - 1)) * self._head

    def image(
        self, values: Sequence[NDArray[np.float32]], steps: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.uint16]:
        """Return the image (bands, rows, cols) of each part's latents.

        Args:
            values: latents (tiles, rows, cols, channels) of each part, in steps.
            steps: step (tiles,) of each part, DN.
        """
        image = np.zeros(self._shape, np.uint16)
        for part, latents, step in zip(self.parts, values, steps, strict=True):
            prepared = part.prepared
            each = step[:, None, None, None]
            tiles = LinearTiles(latents, each, prepared.angles, prepared.means)
            pixels = linear_bands(self.coder, tiles)
            whole = np.clip(np.rint(pixels), 0, 65_535).astype(np.uint16)
            rows, cols = part.inside
            for (row, col), tile in zip(part.places, whole, strict=True):
                image[:, row : row + rows, col : col + cols] = tile[:, :rows, :cols]
        return image
