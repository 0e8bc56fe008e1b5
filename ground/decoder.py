"""Decoder: what arrived of a scene to digital numbers and a truthful mask. Needs no torch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ground.geotiff import Scene
from ground.reception import MISSING, Reception, TileReception
from onboard.bundle import Bundle, known, load
from onboard.errors import BundleError, StreamError, UsageError
from onboard.frontend import AffineSide
from onboard.layers import ALL_NODATA, SOME_NODATA
from onboard.sceneheader import SceneHeader
from onboard.segment import Segment, read_segments
from onboard.session import FloatSession, open_float_session
from onboard.tiling import DEFAULT_MAX_PIXELS, TileGrid

DECODERS = Path(__file__).parent / "decoders"
DTYPES = {"u8": np.uint8, "u16": np.uint16, "i16": np.int16}
_TILES_AT_ONCE = 64


class Mask(IntEnum):
    """What a pixel of the mask band says."""

    COMPLETE = 0
    INFLUENCED = 1
    FINE_MISSING = 2
    CONCEALED = 3
    NODATA = 4


@dataclass(frozen=True)
class Decoded:
    """A decoded scene.

    Attributes:
        scene: the image with nodata value, geotransform, CRS and band ids of the stream.
        mask: uint8 (rows, cols) of `Mask`.
        reception: what arrived.
        complete: a header and the end arrived, nothing was damaged, and no pixel misses anything.
        ring: pixels around a loss that the decoder network lets it reach.
    """

    scene: Scene
    mask: NDArray[np.uint8]
    reception: Reception
    complete: bool
    ring: int


def find_decoder(bundle: Bundle, path: Path) -> Path:
    """Return the decoder graph of a bundle: beside the bundle's file, else in the package.

    Raises:
        BundleError: there is none.
    """
    candidates = [path.with_suffix(".onnx"), DECODERS / f"{bundle.name}.onnx"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise BundleError(
        f"decoder of {bundle.name}: expected one of {', '.join(map(str, candidates))}"
    )


def find_bundle(stream: bytes) -> Path:
    """Return the known bundle of the first segment whose model is known.

    Raises:
        StreamError: there is no intact segment.
        BundleError: no known bundle fits; the message names the models.
    """
    paths = {load(str(path)).model_hash[:4]: path for path in known().values()}
    named = dict.fromkeys(s.model for s in read_segments(stream) if isinstance(s, Segment))
    if not named:
        raise StreamError("stream: no intact segment")
    for model in named:
        if model in paths:
            return paths[model]
    models = ", ".join(model.hex() for model in list(named)[:5])
    raise BundleError(f"stream: made by model {models}, expected a known bundle's, or --bundle")


def open_decoder(bundle: Bundle, path: Path) -> FloatSession:
    """Open the decoder graph of a bundle.

    Args:
        bundle: whose decoder.
        path: of the bundle's file.

    Raises:
        BundleError: there is none, it is damaged, or it is another model's.
    """
    found = find_decoder(bundle, path)
    session = open_float_session(found.read_bytes(), 1)
    wanted, named = bundle.model_hash.hex(), session.metadata.get("model_hash", "none")
    if named != wanted:
        raise BundleError(f"{found.name}: expected model {wanted[:8]}, found {named[:8]}")
    return session


class Decoder:
    """A bundle and its decoder graph; decodes any number of streams.

    Each tile goes through the graph alone and single-threaded, tiles in parallel, so the pixels do
    not hang on the number of threads.
    """

    def __init__(self, bundle_path: Path, threads: int = 1) -> None:
        if threads < 1:
            raise UsageError(f"threads: expected 1 or more, found {threads}")
        self.bundle: Bundle = load(str(bundle_path))
        self.threads = threads
        self.session = open_decoder(self.bundle, bundle_path)
        self.ring = int(self.session.metadata.get("radius", self.bundle.tile))

    def decode(
        self,
        stream: bytes,
        scene_id: int | None = None,
        width: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        report: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> Decoded:
        """Decode one scene of a stream.

        Args:
            stream: segments in any order, with gaps and damage.
            scene_id: which scene; None takes the first.
            width: columns, needed only when no scene header arrived.
            max_pixels: most pixels to make.
            report: called with the tiles done and their number.

        Raises:
            StreamError: nothing in the stream can be used.
            BundleError: the stream is another model's.
            LimitError: the scene is larger than `max_pixels`.
        """
        reception = Reception(self.bundle, scene_id)
        reception.add_all(read_segments(stream))
        grid = reception.grid(width, max_pixels)
        header = reception.header or SceneHeader(
            "u16", 16, self.bundle.bands, grid.width, grid.height
        )
        dtype = DTYPES[header.sample_type]
        image = np.zeros((self.bundle.bands, grid.height, grid.width), dtype)
        mask = np.zeros(image.shape[1:], np.uint8)
        means = _nearest_means(reception.sides(grid), grid, self.bundle.bands)

        def work(index: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
            pixels, flags = self._decode_tile(reception.tile(grid, index), means[index], header)
            return pixels.astype(dtype), flags

        with ThreadPoolExecutor(self.threads) as pool:
            for start in range(0, grid.count, _TILES_AT_ONCE):
                batch = range(start, min(start + _TILES_AT_ONCE, grid.count))
                for index, (pixels, flags) in zip(batch, pool.map(work, batch), strict=True):
                    row, col, rows, cols = grid.box(index)
                    image[:, row : row + rows, col : col + cols] = pixels
                    mask[row : row + rows, col : col + cols] = flags
                report(batch.stop, grid.count)
        scene = Scene(image, header.nodata, header.geotransform, header.crs, header.band_ids)
        whole = reception.end is not None and reception.header is not None
        lost = any((mask == m).any() for m in (Mask.INFLUENCED, Mask.FINE_MISSING, Mask.CONCEALED))
        complete = whole and not lost and not reception.counts["damaged"]
        return Decoded(scene, mask, reception, complete, self.ring)

    def _decode_tile(
        self, tile: TileReception, nearest_means: NDArray[np.int32], header: SceneHeader
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the samples and the mask of a tile's valid rows and columns."""
        shape = (self.bundle.bands, tile.rows, tile.cols)
        low, high = header.sample_range
        if tile.state == ALL_NODATA:
            return np.full(shape, header.nodata or 0), np.full(shape[1:], Mask.NODATA, np.uint8)
        if tile.side is None:
            pixels = np.broadcast_to(nearest_means[:, None, None], shape).astype(np.int64)
            mask = np.full(shape[1:], Mask.CONCEALED, np.uint8)
        else:
            samples = self._synthesise(tile)[:, : tile.rows, : tile.cols]
            found = np.rint(self.bundle.front_end.denormalise(samples, tile.side))
            pixels, mask = found.astype(np.int64), self._mask(tile)
        return _restore_nodata(np.clip(pixels, low, high), mask, tile, header, high)

    def _synthesise(self, tile: TileReception) -> NDArray[np.float32]:
        """Run the decoder graph; a codeword that did not arrive counts as zero, the mean one."""
        inputs = []
        for level, indices in zip(self.bundle.levels, tile.maps, strict=True):
            codewords = level.codebook.codewords[np.maximum(indices, 0)].astype(np.float32)
            codewords[indices == MISSING] = 0
            side = self.bundle.tile // level.reduction
            fill = [(0, side - indices.shape[0]), (0, side - indices.shape[1]), (0, 0)]
            whole = np.pad(codewords, fill, mode="symmetric")
            inputs.append(np.ascontiguousarray(whole.transpose(2, 0, 1))[None])
        samples: NDArray[np.float32] = self.session.run(inputs)[0]
        return samples

    def _mask(self, tile: TileReception) -> NDArray[np.uint8]:
        """Return the mask of a tile whose side information arrived, nodata left aside."""
        mask = np.zeros((tile.rows, tile.cols), np.uint8)
        for number, (level, indices) in enumerate(zip(self.bundle.levels, tile.maps, strict=True)):
            flag = Mask.FINE_MISSING if number else Mask.CONCEALED
            lost = np.repeat(indices == MISSING, level.reduction, 0).repeat(level.reduction, 1)
            mask = np.maximum(mask, np.where(lost[: tile.rows, : tile.cols], flag, 0))
        if mask.any():
            size = 2 * self.ring + 1
            near = ndimage.maximum_filter(mask > 0, size=size, mode="constant", cval=0)
            mask = np.maximum(mask, near.astype(np.uint8) * Mask.INFLUENCED)
        return mask.astype(np.uint8)


def _nearest_means(sides: dict[int, AffineSide], grid: TileGrid, bands: int) -> NDArray[np.int32]:
    """Return for each tile the band means of the nearest tile that has any, (tiles, bands) DN."""
    means = np.zeros((grid.count, bands), np.int32)
    if not sides:
        return means
    lost = np.ones(grid.count, np.bool_)
    for index, side in sides.items():
        means[index], lost[index] = side.means, False
    _, (rows, cols) = ndimage.distance_transform_edt(
        lost.reshape(grid.rows, grid.columns), return_indices=True
    )
    nearest: NDArray[np.int32] = means[(rows * grid.columns + cols).reshape(-1)]
    return nearest


def _restore_nodata(
    pixels: NDArray[np.int64],
    mask: NDArray[np.uint8],
    tile: TileReception,
    header: SceneHeader,
    highest: int,
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Put nodata back, keep valid samples off that value, mark what cannot be known.

    The value is 0 where no scene header told it.
    """
    if header.nodata is not None:
        step = -1 if header.nodata == highest else 1
        pixels = np.where(pixels == header.nodata, header.nodata + step, pixels)
    if tile.state == SOME_NODATA:
        mask = np.where(tile.mask_known, mask, np.maximum(mask, Mask.CONCEALED)).astype(np.uint8)
    pixels = np.where(tile.nodata, header.nodata or 0, pixels)
    return pixels, np.where(tile.nodata, Mask.NODATA, mask).astype(np.uint8)
