"""Picture: a stream or an array of a Zarr, of which windows are read where they are asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.source import Choice, Source
from ground.api.windows import Window, Windows
from ground.api.zarrs import open_zarr
from ground.decode.rows import Decoding
from ground.scene import Scene
from onboard.errors import UsageError

Block = tuple[slice, slice, NDArray[Any], NDArray[np.uint8]]
"""Rows and columns of a window, its image and its mask."""
ZARR = ".zarr"
RECORDINGS = (".sky", ".pkt", ".kiss")
"""Suffixes of what can be opened."""
_CELL = 256
"""Windows begin at multiples of it: a row of blocks of a GeoTIFF, and of tiles of any size."""
_SAMPLES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Picture:
    """An image and its mask, of which nothing is in memory but what was asked for last.

    Attributes:
        scene: what is said of it, with an image of its shape that takes no memory.
        origin: key and text of what is known of what it was decoded from, see `Origin.tags`.
        read: function that returns image (bands, rows, cols) and mask (rows, cols) of some rows and
            columns, each from a first one to before a last one.
        overview: function that returns all of it at 1/8 or 1/16 of its size from the coarse layers
            of its tiles alone; None where there is none.
        rows: function that returns all of it from the first row to the last, decoded on the way;
            None where windows do as well.
    """

    scene: Scene
    origin: Mapping[str, str]
    read: Callable[[slice, slice], Window]
    overview: Callable[[int], Window] | None = None
    rows: Callable[[], Iterable[Block]] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows and columns."""
        bands, rows, cols = self.scene.image.shape
        return bands, rows, cols

    @property
    def side(self) -> int:
        """Rows and columns of a window that is worth reading at once, a multiple of 256."""
        most = int((_SAMPLES_AT_ONCE / self.shape[0]) ** 0.5)
        return max(_CELL, most // _CELL * _CELL)

    def blocks(self) -> Iterator[Block]:
        """Yield rows and columns, image and mask of windows that make up all of it."""
        if self.rows is not None:
            yield from self.rows()
            return
        _, rows, cols = self.shape
        for top in range(0, rows, self.side):
            for left in range(0, cols, self.side):
                down = slice(top, min(top + self.side, rows))
                across = slice(left, min(left + self.side, cols))
                yield down, across, *self.read(down, across)


def open_picture(path: Path, choice: Choice, array: str | None = None) -> Picture:
    """Open a recording, or an array of a Zarr.

    Args:
        path: recording of a pass, or folder of a Zarr.
        choice: what is wanted of a recording.
        array: path of the array wanted in a Zarr; None where there is one alone.

    Raises:
        InputError: it cannot be read, or is no image.
        UsageError: there are several scenes or arrays, and none was chosen.
        StreamError, BundleError, LimitError: as `ground.open`.
    """
    if path.suffix.lower() == ZARR or path.is_dir():
        return Picture(*open_zarr(path, array, choice.max_pixels))
    if array is not None:
        raise UsageError(f"{path}: expected a Zarr to take the array {array!r} of")
    return picture_of(Source.open([path], choice))


def picture_of(source: Source) -> Picture:
    """Return the picture of an encoding; one without the size of its scene is decoded at once."""
    windows = Windows.of(source)
    if windows is not None:
        origin = source.origin(windows.header.run).tags(None)
        overview = _overview(windows) if windows.is_layered else None
        rows = partial(Decoding, source.decode, source.choice.threads > 1)
        return Picture(windows.unread(), origin, _lazily(windows), overview, rows)
    decoded = source.decode()
    origin = source.origin(decoded.reception.run, decoded).tags(None)
    return Picture(decoded.scene, origin, _of(decoded.scene.image, decoded.mask))


def _lazily(windows: Windows) -> Callable[[slice, slice], Window]:
    def read(rows: slice, cols: slice) -> Window:
        return windows.read(np.arange(rows.start, rows.stop), np.arange(cols.start, cols.stop))

    return read


def _overview(windows: Windows) -> Callable[[int], Window]:
    @cache
    def overview(step: int) -> Window:
        found = windows.overview(step)
        return found.image, found.mask

    return overview


def _of(image: NDArray[Any], mask: NDArray[np.uint8]) -> Callable[[slice, slice], Window]:
    def read(rows: slice, cols: slice) -> Window:
        return image[:, rows, cols], mask[rows, cols]

    return read
