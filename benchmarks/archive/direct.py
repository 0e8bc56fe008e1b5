"""Direct: encoder and decoder of chunks without zarr, what its codec is measured against."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.chunks.chunk import decoder_of, encoder_of
from ground.chunks.quality import Quality
from onboard.link.header import SceneHeader

CHUNK = 512
"""Rows and columns of a chunk, which has all bands."""
Place = tuple[slice, slice]


def places(image: NDArray[Any]) -> Iterator[Place]:
    """Yield rows and columns of the chunks of an image (bands, rows, cols)."""
    _, rows, cols = image.shape
    for row in range(0, rows, CHUNK):
        for col in range(0, cols, CHUNK):
            yield slice(row, row + CHUNK), slice(col, col + CHUNK)


class Direct:
    """Encoder and decoder called chunk by chunk, 0 being no data, zarr's default."""

    def __init__(self, folder: Path, quality: Quality) -> None:
        """Take a folder for files, and what to keep."""
        self._folder, self._quality, self._options = folder, quality, quality.options()

    def encode(self, chunk: NDArray[np.uint16]) -> bytes:
        """Return the stream of a chunk."""
        with encoder_of(self._quality) as encoder:
            return b"".join(encoder.encode(chunk, SceneHeader.of(chunk, nodata=0), self._options))

    def decode(self, stream: bytes) -> NDArray[Any]:
        """Return the samples of a chunk."""
        with decoder_of(self._quality) as decoder:
            return decoder.decode(stream).scene.image

    def write(self, image: NDArray[np.uint16]) -> None:
        """Cut chunks from an image and write them to files, in as many threads as processors."""

        def write(place: Place) -> None:
            self._file(place).write_bytes(self.encode(np.ascontiguousarray(image[:, *place])))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(write, places(image)))

    def read(self, like: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Return the image that was written, whose shape is that of another one."""
        image = np.empty_like(like)

        def read(place: Place) -> None:
            image[:, *place] = self.decode(self._file(place).read_bytes())

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(read, places(image)))
        return image

    def _file(self, place: Place) -> Path:
        down, across = place
        return self._folder / f"{down.start}-{across.start}.sky"
