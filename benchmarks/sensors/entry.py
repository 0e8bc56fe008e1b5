"""Entry of the catalogue: a scene made of files of a data folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from benchmarks.sensors.bayer import PATTERN, planes_of
from benchmarks.sensors.contents import Sample
from ground.products.geotiff import read
from ground.scene import Scene
from onboard.errors import InputError


@dataclass(frozen=True)
class Entry:
    """A scene of the catalogue.

    Attributes:
        content: key of its content.
        name: name in results.
        place: see `Sample`.
        files: files of a data folder whose bands, one after the other, are the scene's.
        corner: row and column where it begins.
        shape: rows and columns.
        bands: bands that are taken; all where there are none.
        bits: bits of a sample in use; None where the file tells.
        white: DN that becomes 255 of 8 bits; None leaves samples as they are.
        shrink: pixels of a side that are averaged to one: undoes that a band was enlarged.
        noise: deviation, DN, of noise that is added.
        bayer: take the samples that a mosaic has, of red, green and blue.
        spectra: bands to make of those there are, between them; 0 leaves them. The lines above
            and below the scene are then the earlier images of its sensor.
    """

    content: str
    name: str
    place: str
    files: tuple[str, ...]
    corner: tuple[int, int]
    shape: tuple[int, int]
    bands: tuple[int, ...] = ()
    bits: int | None = None
    white: int | None = None
    shrink: int = 1
    noise: float = 0
    bayer: bool = False
    spectra: int = 0

    def read(self, folder: Path) -> Sample:
        """Read the scene.

        Raises:
            InputError: a file is missing or is no raster, or the part lies outside of it.
        """
        pattern = PATTERN if self.bayer else None
        image = self._image(folder, self.corner, self.shape)
        scene = Scene(image, significant_bits=self.bits, bayer=pattern)
        return Sample(self.content, self.name, self.place, scene, self._earlier(folder))

    def _earlier(self, folder: Path) -> tuple[Scene, ...]:
        """Return what lies above and below the scene, as the same camera would see it."""
        if not self.spectra:
            return ()
        rows, cols = read(folder / self.files[0]).image.shape[1:]
        first, stop = self.corner[0], self.corner[0] + self.shape[0]
        parts = [((0, 0), (first, cols)), ((stop, 0), (rows - stop, cols))]
        return tuple(
            Scene(self._image(folder, *part, seed), significant_bits=self.bits)
            for seed, part in enumerate(parts, 1)
        )

    def _image(
        self, folder: Path, corner: tuple[int, int], shape: tuple[int, int], seed: int = 0
    ) -> NDArray[Any]:
        """Read a part of the files; `seed` is that of its noise."""
        rows, cols = (slice(a, a + n) for a, n in zip(corner, shape, strict=True))
        parts = [read(folder / name).image[:, rows, cols] for name in self.files]
        image = np.concatenate(parts)
        if self.bands:
            image = image[list(self.bands)]
        if image.shape[1:] != shape:
            raise InputError(f"{self.name}: expected {shape} pixels, found {image.shape[1:]}")
        if self.spectra:
            at = np.linspace(0, len(image) - 1, self.spectra)
            image = interp1d(np.arange(len(image)), image, axis=0)(at)
        if self.shrink > 1 or self.noise:
            image = self._as_sensed(image, seed)
        if self.white is not None:
            levels = np.rint(image.astype(np.float64) * 255 / self.white)
            image = np.clip(levels, 1, 255).astype(np.uint8)
        if self.bayer:
            image = planes_of(image)
        return np.ascontiguousarray(image)

    def _as_sensed(self, image: NDArray[Any], seed: int) -> NDArray[np.uint16]:
        """Return an image shrunk, with noise that is the same every time."""
        bands, rows, cols = image.shape
        n = self.shrink
        small = image.reshape(bands, rows // n, n, cols // n, n).mean(axis=(2, 4))
        small += self.noise * np.random.default_rng(seed).standard_normal(small.shape)
        sensed: NDArray[np.uint16] = np.rint(small).clip(0, 65_535).astype(np.uint16)
        return sensed
