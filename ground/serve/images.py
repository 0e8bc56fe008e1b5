"""Images: tiles as files, PNG for the eye and GeoTIFF for digital numbers."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ground.api.windows import Window
from ground.products.geotiff import packed
from ground.products.legend import NODATA, hidden
from ground.serve.pyramid import SIDE, Pyramid

_TYPES = {"uint8": "Byte", "int8": "Int16", "uint16": "UInt16", "int16": "Int16"}


def gdal_type(dtype: np.dtype[Any]) -> str:
    """Return GDAL's name for the type that samples are sent as: not every GDAL has one of i8."""
    return _TYPES[dtype.name]


def samples(tile: Window, nodata: int | None) -> bytes:
    """Return a GeoTIFF of the digital numbers of all bands, full of nodata beyond the border."""
    image = tile[0].astype(np.int16) if tile[0].dtype == np.int8 else tile[0]
    return packed(_full(image, nodata or 0))


def worth(tile: Window) -> bytes:
    """Return a GeoTIFF of the mask, nodata beyond the border."""
    return packed(_full(tile[1][None], NODATA))


def shown(tile: Window, pyramid: Pyramid) -> bytes:
    """Return a PNG of red, green and blue; what is lost and what is nodata is transparent."""
    image, mask = tile
    low, high = pyramid.stretch
    bands = image[list(pyramid.picture.scene.rgb)].astype(np.float32)
    span = (high - low)[:, None, None]
    colour = np.clip((bands - low[:, None, None]) / span * 255, 0, 255).astype(np.uint8)
    opaque = np.where(hidden(mask), 0, 255).astype(np.uint8)
    return png(_full(np.concatenate([colour, opaque[None]]), 0))


def png(colours: NDArray[np.uint8]) -> bytes:
    """Return a PNG of (red, green, blue, alpha; rows, cols)."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0)), "RGBA").save(file, "PNG")
    return file.getvalue()


def _full(image: NDArray[Any], value: int) -> NDArray[Any]:
    """Return a tile of full size."""
    _, rows, cols = image.shape
    around = ((0, 0), (0, SIDE - rows), (0, SIDE - cols))
    return np.pad(image, around, constant_values=value)


BLANK = png(np.zeros((4, SIDE, SIDE), np.uint8))
"""A tile in which there is nothing."""
