"""Scene: an image with its place on Earth, as plain arrays and text."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.image.files import Image
from onboard.link.header import SceneHeader

RAW_SAMPLE_BYTES = 2
"""Bytes of a raw sample, also of uint8: sensors deliver 9 to 16 bits."""


def raw_bytes(image: NDArray[np.generic]) -> int:
    """Return the bytes of an image before compression, 2 a sample whatever its dtype."""
    return RAW_SAMPLE_BYTES * image.size


@dataclass(frozen=True)
class Scene:
    """An image and what a GeoTIFF says about it.

    Attributes:
        image: uint8, uint16 or int16 (bands, rows, cols), DN.
        nodata: value that marks a pixel without data where every band has it; None without one.
        transform: x0, dx, rx, y0, ry, dy in units of the CRS (GDAL's order); None without one.
        crs: 'EPSG:32633' where there is an EPSG code, else WKT; None without one.
        band_ids: one description a band, such as 'B02'; empty if there are none.
    """

    image: Image
    nodata: int | None = None
    transform: tuple[float, ...] | None = None
    crs: str | None = None
    band_ids: tuple[str, ...] = ()

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there is data, (rows, cols): nodata is a pixel all of whose bands are `nodata`."""
        if self.nodata is None:
            return np.ones(self.image.shape[1:], np.bool_)
        present: NDArray[np.bool_] = (self.image != self.nodata).any(axis=0)
        return present

    @property
    def raw_bytes(self) -> int:
        """Bytes of the image before compression, 2 a sample whatever its dtype."""
        return raw_bytes(self.image)

    def header(self) -> SceneHeader:
        """Return the scene header of a stream that says what this scene says."""
        return SceneHeader.of(
            self.image,
            nodata=self.nodata,
            geotransform=self.transform,
            crs=self.crs,
            band_ids=self.band_ids,
        )
