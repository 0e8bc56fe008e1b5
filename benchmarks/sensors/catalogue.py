"""Catalogue: which files of a data folder are measured, and which part of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from benchmarks.sensors.bayer import PATTERN, planes_of
from benchmarks.sensors.contents import KEYS, Sample, content_of
from benchmarks.sensors.standins import SIDE, standins
from ground.products.geotiff import read
from ground.scene import Scene
from ground.scenes.folders import find_scenes, read_item
from onboard.errors import InputError

MOST = 512
"""Rows and columns of a scene that is taken as it lies in a folder."""


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
        spectra: bands to make of those there are, between them; 0 leaves them.
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
        rows, cols = (slice(a, a + n) for a, n in zip(self.corner, self.shape, strict=True))
        parts = [read(folder / name).image[:, rows, cols] for name in self.files]
        image = np.concatenate(parts)
        if self.bands:
            image = image[list(self.bands)]
        if image.shape[1:] != self.shape:
            raise InputError(f"{self.name}: expected {self.shape} pixels, found {image.shape[1:]}")
        if self.spectra:
            at = np.linspace(0, len(image) - 1, self.spectra)
            image = interp1d(np.arange(len(image)), image, axis=0)(at)
        if self.shrink > 1 or self.noise:
            image = self._as_sensed(image)
        if self.white is not None:
            levels = np.rint(image.astype(np.float64) * 255 / self.white)
            image = np.clip(levels, 1, 255).astype(np.uint8)
        if self.bayer:
            image = planes_of(image)
        pattern = PATTERN if self.bayer else None
        scene = Scene(np.ascontiguousarray(image), significant_bits=self.bits, bayer=pattern)
        return Sample(self.content, self.name, self.place, scene)

    def _as_sensed(self, image: NDArray[Any]) -> NDArray[np.uint16]:
        """Return an image shrunk, with noise that is the same every time."""
        bands, rows, cols = image.shape
        n = self.shrink
        small = image.reshape(bands, rows // n, n, cols // n, n).mean(axis=(2, 4))
        small += self.noise * np.random.default_rng(0).standard_normal(small.shape)
        sensed: NDArray[np.uint16] = np.rint(small).clip(0, 65_535).astype(np.uint16)
        return sensed


_L8 = "other/landsat8_sattestdata/l8_B{}.tif"
_S2_20M = "other/s2_20m60m_sattestdata/s2_{}.tif"
_HLS = "other/hls_vrtility/hls_exe_{}.tif"
_PATCH = "other/l8_water/images/{}.tif"
_PAN = "other/pan_uint16/{}.tif"
_STOLARINHOO = "other/s2_landcover_stolarinhoo/image_699.tif"


def _landsat(*numbers: int) -> tuple[str, ...]:
    return tuple(_L8.format(number) for number in numbers)


def _sentinel(*names: str) -> tuple[str, ...]:
    return tuple(_S2_20M.format(name) for name in names)


def _patches(content: str, label: str, bands: range) -> list[Entry]:
    """Return patches of Landsat-8 surface reflectance (the other bands are no spectral ones)."""
    return [
        Entry(
            content,
            f"Landsat-8 SR {label} {number}",
            "Landsat-8 SR",
            (_PATCH.format(number),),
            (0, 0),
            (128, 128),
            tuple(bands),
        )
        for number in (0, 101, 107, 109, 112, 114)
    ]


_MIDDLE = ((64, 64), (448, 448))
_HLS_PART = ((16, 24), (192, 192))
CATALOGUE = (
    Entry("bands4", "Landsat-8 DN B2-5", "Landsat-8 DN", _landsat(2, 3, 4, 5), *_MIDDLE),
    Entry(
        "bands4",
        "Sentinel-2 20 m B05 B07 B8A B11",
        "Sentinel-2 20 m",
        _sentinel("B05", "B07", "B8A", "B11"),
        *_MIDDLE,
    ),
    *(
        Entry("bands4", f"HLS {day[:10]}", "HLS", (_HLS.format(day),), *_HLS_PART, (0, 1, 2, 3))
        for day in ("2021-06-08_12-27-08", "2021-07-18_12-27-09")
    ),
    *_patches("bands4", "B2-5", range(1, 5)),
    Entry(
        "bands6_7",
        "Sentinel-2 20 m, 6 bands",
        "Sentinel-2 20 m",
        _sentinel("B05", "B06", "B07", "B8A", "B11", "B12"),
        *_MIDDLE,
    ),
    Entry("bands6_7", "Landsat-8 DN B1-7", "Landsat-8 DN", _landsat(*range(1, 8)), *_MIDDLE),
    *_patches("bands6_7", "B1-7", range(7)),
    Entry(
        "bands10_12",
        "Sentinel-2 12 bands on 10 m",
        "Sentinel-2",
        (_STOLARINHOO,),
        (0, 0),
        (256, 256),
    ),
    Entry(
        "bands10_12",
        "Sentinel-2 10 bands on 10 m",
        "Sentinel-2",
        (_STOLARINHOO,),
        (0, 0),
        (256, 256),
        (1, 2, 3, 4, 5, 6, 7, 8, 10, 11),
    ),
    Entry(
        "bands10_12",
        "Landsat-8 DN B1-7 B9-11",
        "Landsat-8 DN",
        _landsat(*range(1, 8), 9, 10, 11),
        *_MIDDLE,
    ),
    Entry(
        "cube",
        "Sentinel-2 12 bands made 48, noise of 10 DN",
        "Sentinel-2",
        (_STOLARINHOO,),
        (64, 64),
        (128, 128),
        spectra=48,
        noise=10,
    ),
    *(
        Entry(
            "rgb8",
            f"true colour {name}",
            name,
            (f"s2/test/{name}.tif",),
            (0, 0),
            shape,
            (2, 1, 0),
            white=white,
        )
        for name, shape, white in (
            ("dsen2-T33UUB__S2A_MSIL1C_20170527_T33UUB", (576, 576), 3558),
            ("ftw-austria__winA", (320, 576), 3558),
            ("ssl4eo-0181476__season2", (256, 256), 3558),
        )
    ),
    Entry(
        "rgb8",
        "WorldView RGB in 8 bits",
        "WorldView",
        (_PAN.format("torchsat_tiff_3channel_uint16"),),
        (0, 0),
        (640, 448),
        white=1_200,
    ),
    Entry(
        "rgb11",
        "WorldView RGB",
        "WorldView",
        (_PAN.format("torchsat_tiff_3channel_uint16"),),
        (0, 0),
        (640, 448),
        bits=11,
    ),
    Entry(
        "rgb11",
        "Landsat RGB",
        "Landsat",
        (_PAN.format("solaris_sample_geotiff_custom_proj"),),
        (0, 0),
        (512, 512),
    ),
    Entry(
        "bayer",
        "WorldView RGB, mosaic",
        "WorldView",
        (_PAN.format("torchsat_tiff_3channel_uint16"),),
        (0, 0),
        (640, 448),
        bits=11,
        bayer=True,
    ),
    Entry(
        "bayer",
        "Landsat RGB, mosaic",
        "Landsat",
        (_PAN.format("solaris_sample_geotiff_custom_proj"),),
        (0, 0),
        (512, 512),
        bayer=True,
    ),
    Entry(
        "bayer",
        "Sentinel-2 RGB, mosaic",
        "Sentinel-2",
        ("s2/test/dsen2-T33UUB__S2A_MSIL1C_20170527_T33UUB.tif",),
        (0, 0),
        (512, 512),
        (2, 1, 0),
        bayer=True,
    ),
    *(
        Entry("pan", f"WorldView pan {name}", "WorldView", (_PAN.format(name),), (0, 0), shape)
        for name, shape in (
            ("torchsat_tiff_1channel_uint16", (640, 384)),
            ("solaris_road_mask_input", (640, 640)),
            ("solaris_sample_geotiff", (640, 640)),
        )
    ),
    Entry("pan", "Landsat-8 pan", "Landsat-8", _landsat(8), (128, 128), (768, 768)),
    *(
        Entry(
            "thermal_noisy",
            f"Landsat-8 B{band} at 90 m, noise of 20 DN",
            "Landsat-8",
            _landsat(band),
            (0, 0),
            (576, 576),
            shrink=3,
            noise=20,
        )
        for band in (10, 11)
    ),
    Entry("thermal_smooth", "Landsat-8 B10", "Landsat-8", _landsat(10), *_MIDDLE),
    Entry("thermal_smooth", "Landsat-8 B11", "Landsat-8", _landsat(11), *_MIDDLE),
)


def samples(
    folder: Path | None, quick: bool = False, leave: Callable[[str], None] = lambda _text: None
) -> Iterator[Sample]:
    """Yield what is measured.

    Of a folder that has files of the catalogue, its scenes; of another, every scene in it, by the
    name of the folder at its top where that is a content, else by `content_of`. Without a folder,
    procedural scenes.

    Args:
        folder: folder of data; None without one.
        quick: the first scene of each content alone, and no more than 192 pixels of its sides.
        leave: called with what is left out, and why.

    Raises:
        InputError: no such folder, no scene in it, or one that cannot be read.
    """
    seen: set[str] = set()
    for sample in _all(folder, leave):
        if not (quick and sample.content in seen):
            seen.add(sample.content)
            yield sample.within(192) if quick else sample


def _all(folder: Path | None, leave: Callable[[str], None]) -> Iterator[Sample]:
    if folder is None:
        yield from standins(SIDE)
        return
    found = [e for e in CATALOGUE if all((folder / name).is_file() for name in e.files)]
    if found:
        for entry in CATALOGUE:
            if entry not in found:
                leave(f"{entry.name}: not below {folder}")
        yield from (entry.read(folder) for entry in found)
        return
    for item in find_scenes(folder):
        scene = read_item(item)
        top = item.path.relative_to(folder).parts[0]
        content = top if top in KEYS else content_of(scene)
        name = item.path.relative_to(folder).as_posix()
        if content == "bayer":
            scene = scene.split(PATTERN)
        if not content:
            leave(f"{name}: no content of {len(scene.image)} bands")
            continue
        yield Sample(content, name, item.place, scene).within(MOST)
