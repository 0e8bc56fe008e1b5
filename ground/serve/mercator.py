"""Mercator: tiles as web maps lay them out (EPSG:3857), of pictures in any reference system."""

from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.windows import Window
from ground.products.extra import library
from ground.products.legend import NODATA
from ground.scene import Scene
from ground.serve.pyramid import SIDE, Pyramid
from onboard.errors import UsageError

MOST_ZOOM = 24
_HALF = pi * 6378137.0
"""Half of a side of the map, metres. Source: EPSG:3857."""


def mercator_tile(pyramid: Pyramid, zoom: int, col: int, row: int) -> Window | None:
    """Return image and mask of a tile, each pixel that of the picture which is nearest.

    None where the tile is beside the picture.

    Raises:
        UsageError: the picture has no place on Earth, or there is no such tile.
    """
    scene = pyramid.picture.scene
    if scene.crs is None or scene.transform is None:
        raise UsageError("xyz: expected a georeferenced scene; its own tiles are under tiles/")
    if not (0 <= zoom <= MOST_ZOOM and 0 <= col < 1 << zoom and 0 <= row < 1 << zoom):
        found = f"{zoom}/{col}/{row}"
        raise UsageError(f"xyz: expected z 0..{MOST_ZOOM}, x and y below 2^z, found {found}")
    rows, cols = _pixels(scene, zoom, col, row)
    shape = scene.image.shape[1:]
    inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    if not inside.any():
        return None
    level = _level(pyramid, rows[inside], cols[inside])
    step = 1 << (pyramid.last - level)
    down, across = (np.floor(at[inside] / step).astype(np.intp) for at in (rows, cols))
    window = slice(down.min(), down.max() + 1), slice(across.min(), across.max() + 1)
    part, mask = pyramid.window(level, *window)
    at = down - window[0].start, across - window[1].start
    image = np.zeros((len(part), SIDE, SIDE), part.dtype)
    worth = np.full((SIDE, SIDE), NODATA, np.uint8)
    image[:, inside], worth[inside] = part[:, *at], mask[at]
    return image, worth


def _level(pyramid: Pyramid, rows: NDArray[Any], cols: NDArray[Any]) -> int:
    """Return the zoom of the pyramid of which a tile of the map is about as fine."""
    longer = max(np.ptp(rows), np.ptp(cols), 1.0)
    times = int(np.floor(np.log2(max(longer / SIDE, 1.0))))
    return max(0, pyramid.last - times)


def _pixels(scene: Scene, zoom: int, col: int, row: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return row and column in the picture of each pixel of a tile, (256, 256) each."""
    assert scene.transform is not None
    metres = 2 * _HALF / (SIDE << zoom)
    east = -_HALF + metres * (col * SIDE + np.arange(SIDE) + 0.5)
    north = _HALF - metres * (row * SIDE + np.arange(SIDE) + 0.5)
    x, y = _to_map(scene.crs).transform(*np.meshgrid(east, north))
    x0, dx, rx, y0, ry, dy = scene.transform
    area = dx * dy - rx * ry
    if not area:
        raise UsageError("xyz: expected a transform that can be inverted")
    with np.errstate(invalid="ignore"):
        cols = ((x - x0) * dy - (y - y0) * rx) / area
        rows = ((y - y0) * dx - (x - x0) * ry) / area
    return rows, cols


@lru_cache(16)
def _to_map(crs: str | None) -> Any:
    """Return what takes points of the web's map to those of a reference system."""
    pyproj = library("pyproj")
    try:
        return pyproj.Transformer.from_crs("EPSG:3857", crs, always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise UsageError(f"xyz: expected a reference system, found {crs!r:.80}") from error
