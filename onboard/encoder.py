"""Encoder: an image to segments, tile by tile, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import Bundle
from onboard.errors import BundleError, InputError, UsageError
from onboard.layers import ALL_NODATA, ALL_VALID, SOME_NODATA, split_layers
from onboard.nodatamask import pack_mask
from onboard.quantizer import quantise
from onboard.rawimage import check_image
from onboard.sceneheader import EndOfScene, SceneHeader
from onboard.segment import (
    DEFAULT_SEGMENT_BYTES,
    MAX_SEGMENT_BYTES,
    MIN_SEGMENT_BYTES,
    SEGMENT_OVERHEAD,
    Kind,
    Segment,
)
from onboard.session import open_session
from onboard.tiling import TileGrid, positions

HEADER_EVERY = 64
EDGE_BYTES = 4


@dataclass(frozen=True)
class Options:
    """What the caller chooses.

    Attributes:
        scene_id: u16, told apart by the receiver.
        segment_bytes: most bytes of a segment, header and CRC included.
        one_layer: begin a new segment at every layer, so that layers can be scheduled apart.
    """

    scene_id: int = 0
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    one_layer: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.scene_id <= 65_535:
            raise UsageError(f"scene id: expected 0..65535, found {self.scene_id}")
        if not MIN_SEGMENT_BYTES <= self.segment_bytes <= MAX_SEGMENT_BYTES:
            raise UsageError(
                f"segment bytes: expected {MIN_SEGMENT_BYTES}..{MAX_SEGMENT_BYTES}, "
                f"found {self.segment_bytes}"
            )


class Encoder:
    """A bundle and the engine that runs its encoder graph; encodes any number of scenes."""

    def __init__(self, bundle: Bundle, engine: str | None = None, threads: int = 1) -> None:
        self.bundle = bundle
        self.session = open_session(
            bundle.parts["encoder.onnx"],
            bundle.parts["encoder.tflite"],
            len(bundle.levels),
            engine,
            threads,
        )
        self._check_graph()

    def _check_graph(self) -> None:
        """Run the graph once: its maps must have the shapes that the levels of the bundle say."""
        tile = self.bundle.tile
        found = [
            m.shape for m in self.session.run(np.zeros((self.bundle.bands, tile, tile), np.int8))
        ]
        wanted = [
            (level.codebook.codewords.shape[1], tile // level.reduction, tile // level.reduction)
            for level in self.bundle.levels
        ]
        if found != wanted:
            raise BundleError(f"encoder graph: expected maps of {wanted}, found {found}")

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
        front_end = self.bundle.front_end
        side = front_end.analyse(tile[:, :rows, :cols], present[:rows, :cols])
        latents = self.session.run(front_end.normalise(tile, present, side))
        return side.pack(), quantise(self.bundle.levels, latents)

    def encode(
        self, image: NDArray[Any], header: SceneHeader | None = None, options: Options | None = None
    ) -> Iterator[bytes]:
        """Yield the segments of a scene: header, tiles in row-major order, end.

        Args:
            image: (bands, rows, cols), uint8, uint16 or int16; may be memory-mapped.
            header: what to say of the scene; size, bands and sample type are filled in here.
            options: see `Options`.

        Raises:
            InputError: wrong dtype, bands or shape, or values beyond the significant bits.
        """
        options = options or Options()
        header = self._scene_header(image, header)
        grid = TileGrid(image.shape[2], image.shape[1], self.bundle.tile)
        head = self._segment(Kind.SCENE, options, body=header.pack())
        if len(head) > options.segment_bytes:
            raise UsageError(
                f"scene header: takes {len(head)} bytes, segments may have {options.segment_bytes}"
            )
        written = 0
        for index in range(grid.count):
            for segment in self._encode_tile(image, header, grid, index, options):
                if written % HEADER_EVERY == 0:
                    yield head
                    written += 1
                yield segment
                written += 1
        yield self._segment(Kind.END, options, body=EndOfScene(grid.height, written).pack())

    def _scene_header(self, image: NDArray[Any], header: SceneHeader | None) -> SceneHeader:
        """Complete the header from the image, refusing what does not fit."""
        kind = check_image(image, self.bundle.bands)
        header = header or SceneHeader.of(image)
        if header.sample_type != kind:
            raise InputError(f"image: header says {header.sample_type}, found {kind}")
        return replace(header, bands=image.shape[0], width=image.shape[2], height=image.shape[1])

    def _encode_tile(
        self,
        image: NDArray[Any],
        header: SceneHeader,
        grid: TileGrid,
        index: int,
        options: Options,
    ) -> Iterator[bytes]:
        """Yield the segments of one tile."""
        _, _, rows, cols = grid.box(index)
        tile = grid.cut(image, index)
        edge = None if rows == cols == grid.tile else (rows, cols)
        room = options.segment_bytes - SEGMENT_OVERHEAD - (EDGE_BYTES if edge else 0)
        present = np.ones(tile.shape[1:], np.bool_)
        if header.nodata is not None:
            present = (tile != header.nodata).any(axis=0)
        nodata = ~present[:rows, :cols]
        if nodata.all():
            yield self._segment(Kind.TILE, options, index, edge, body=bytes([ALL_NODATA]))
            return
        _check_range(tile[:, present], header)
        side, maps = self.index_maps(tile, present, rows, cols)
        state = SOME_NODATA if nodata.any() else ALL_VALID
        levels = []
        for indices, level in zip(maps, self.bundle.levels, strict=True):
            coded_rows, coded_cols = positions(rows, cols, level.reduction)
            levels.append((indices[:coded_rows, :coded_cols], level.width))
        for layer, first, body in split_layers(
            bytes([state]) + side, levels, room, options.one_layer
        ):
            yield self._segment(Kind.TILE, options, index, edge, layer, first, body)
        for first, body in pack_mask(nodata, room) if state == SOME_NODATA else ():
            yield self._segment(Kind.MASK, options, index, edge, 0, first, body)

    def _segment(
        self,
        kind: Kind,
        options: Options,
        tile: int = 0,
        edge: tuple[int, int] | None = None,
        layer: int = 0,
        first: int = 0,
        body: bytes = b"",
    ) -> bytes:
        model = self.bundle.model_hash[:4]
        return Segment(kind, options.scene_id, model, tile, layer, first, edge, body).pack()


def _check_range(samples: NDArray[Any], header: SceneHeader) -> None:
    """Refuse samples that the significant bits of the header cannot hold."""
    low, high = header.sample_range
    if int(samples.min()) < low or int(samples.max()) > high:
        raise InputError(
            f"samples: expected {low}..{high} ({header.significant_bits} significant bits), "
            f"found {samples.min()}..{samples.max()}"
        )
