"""Sentinel-2 as it is sensed in ten bands: four at 10 m and six at 20 m.

Files that hold all on the grid of 10 m repeat each pixel of 20 m; what was resampled otherwise is
no longer as it was sensed, and is refused.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products.geotiff import read
from ground.scene import Scene
from ground.scenes.folders import Item, find_scenes, read_item
from ground.scenes.patch import band_file
from ground.scenes.terramesh import is_sample, read_sample
from onboard.errors import InputError

FINE = ("B02", "B03", "B04", "B08")
COARSE = ("B05", "B06", "B07", "B8A", "B11", "B12")
BANDS = FINE + COARSE
BITS = 16 * len(FINE) + 16 * len(COARSE) // 4
"""Raw bits of a pixel of 10 m."""
_NUMBERED = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09")
_ORDERS = {
    10: BANDS,
    12: (*_NUMBERED, "B11", "B12"),
    13: (*_NUMBERED, "B10", "B11", "B12"),
}
"""Bands of a file by their number."""


@dataclass(frozen=True)
class TenBands:
    """A scene of ten bands.

    Attributes:
        fine: uint16 (4, 2 rows, 2 cols), the bands of `FINE`.
        coarse: uint16 (6, rows, cols), those of `COARSE`.
    """

    fine: NDArray[np.uint16]
    coarse: NDArray[np.uint16]

    @property
    def raw_bytes(self) -> int:
        """Bytes before compression."""
        return self.fine.nbytes + self.coarse.nbytes

    @property
    def on_fine_grid(self) -> NDArray[np.uint16]:
        """All bands at 10 m, (10, 2 rows, 2 cols), in the order of `BANDS`; pixels repeated."""
        return np.concatenate([self.fine, self.coarse.repeat(2, axis=1).repeat(2, axis=2)])

    def within(self, side: int) -> "TenBands":
        """Return the upper left corner, of `side` fine rows and columns at most."""
        half = side // 2
        corner = self.fine[:, : 2 * half, : 2 * half], self.coarse[:, :half, :half]
        return TenBands(*map(np.ascontiguousarray, corner))

    @classmethod
    def of(cls, scene: Scene) -> "TenBands":
        """Return the ten bands of a scene on the grid of 10 m.

        A first or last row or column that holds half a pixel of 20 m is left out.

        Args:
            scene: 10 bands in the order of `BANDS`; or 12 or 13 in that of their numbers, 12
                without B10.

        Raises:
            InputError: other bands or samples, or bands of 20 m that are not repeated.
        """
        image, order = scene.image, _ORDERS.get(len(scene.image))
        if order is None or image.dtype == np.int8 or image.min(initial=0) < 0:
            raise InputError(
                f"ten bands: expected 10, 12 or 13 bands of 0..65535, found {len(image)} of "
                f"{image.dtype}"
            )
        samples = image[[order.index(band) for band in BANDS]].astype(np.uint16)
        for row, col in np.ndindex(2, 2):
            part = samples[:, row:, col:]
            part = part[:, : part.shape[1] // 2 * 2, : part.shape[2] // 2 * 2]
            coarse = part[len(FINE) :, ::2, ::2]
            found = cls(np.ascontiguousarray(part[: len(FINE)]), np.ascontiguousarray(coarse))
            if coarse.size and np.array_equal(found.on_fine_grid[len(FINE) :], part[len(FINE) :]):
                return found
        raise InputError("ten bands: expected each pixel of 20 m repeated 2x2, found others")


def read_ten_bands(item: Item) -> Scene:
    """Read a scene; one of ten bands, a patch or sample included, comes in those of `BANDS`.

    So scenes of ten bands can be told from others by their number of bands.

    Raises:
        InputError: as of `read_item` and, of 10, 12 or 13 bands, of `TenBands.of`.
    """
    scene = read_sample(item.path) if is_sample(item.path) else read_item(item)
    if item.path.is_dir():
        files = [band_file(item.path, band) for band in COARSE]
        if all(path.is_file() for path in files):
            found = _pair(scene, [read(path) for path in files])
            return replace(scene, image=found.on_fine_grid, band_ids=BANDS)
    elif len(scene.image) in _ORDERS:
        try:
            return Scene(TenBands.of(scene).on_fine_grid, band_ids=BANDS)
        except InputError as error:
            raise InputError(f"{item.path}: {error}") from error
    return scene


def read_coarse_bands(item: Item) -> Scene:
    """Read a scene; one of ten bands or more comes in the six of `COARSE`, with pixels of 20 m.

    Others, those whose bands of 20 m were resampled otherwise included, come as they are.
    """
    try:
        scene = read_ten_bands(item)
    except InputError:
        return read_item(item)
    if len(scene.image) != len(BANDS):
        return scene
    return Scene(TenBands.of(scene).coarse, band_ids=COARSE)


def _pair(fine: Scene, coarse: Sequence[Scene]) -> TenBands:
    """Return a scene of bands at 10 m and of others at 20 m.

    Raises:
        InputError: their sizes or types do not fit.
    """
    bands = np.concatenate([scene.image for scene in coarse])
    half = tuple(length // 2 for length in fine.image.shape[1:])
    if bands.shape[1:] != half or len(bands) != len(COARSE) or bands.dtype != np.uint16:
        raise InputError(
            f"ten bands: expected {len(COARSE)} bands of {half} beside those of 10 m, found "
            f"{bands.dtype} {bands.shape}"
        )
    return TenBands(fine.image.astype(np.uint16), bands)


def held_out(
    root: Path, leave: Callable[[str], None] = lambda _text: None
) -> Iterator[tuple[Item, TenBands]]:
    """Yield the scenes of ten bands below a folder that a model trained on it never saw.

    That is those of a place of split `test` where a manifest tells splits, else all. A scene of
    the bands of `FINE` and one of those of `COARSE`, of one place and half the size, are one.

    Args:
        root: folder, as `find_scenes` takes it.
        leave: called with what is left out, and why.

    Raises:
        InputError: as of `find_scenes` and `read_item`.
    """
    items = find_scenes(root)
    splits = {item.place: item.split for item in items if item.split}
    chosen = [item for item in items if not splits or splits.get(item.place) == "test"]
    alone: dict[tuple[str, int], list[tuple[Item, Scene]]] = {}
    for item in chosen:
        try:
            scene = read_ten_bands(item)
        except InputError as error:
            leave(str(error))
            continue
        if len(scene.image) == len(BANDS):
            yield item, TenBands.of(scene)
        else:
            alone.setdefault((item.place, len(scene.image)), []).append((item, scene))
    for (place, bands), found in alone.items():
        if bands == len(FINE):
            for item, fine in found:
                for _, coarse in alone.get((place, len(COARSE)), []):
                    try:
                        yield item, _pair(fine, [coarse])
                    except InputError as error:
                        leave(f"{item.path.name}: {error}")
