"""Scenes that quality is asked of: four kinds of data, as the paper has them or nearly so."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products.geotiff import read
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import InputError

SIDE, QUICK_SIDE = 512, 192
"""Rows and columns of a scene, at most, and of one of a quick look."""
_LEAST = 192
_TWELVE_BITS = 4_095


@dataclass(frozen=True)
class Kind:
    """A kind of data.

    Attributes:
        name: name in results.
        files: patterns of files below a folder of data.
        psnr: quality asked for, dB of peak 65535.
        bits: significant bits of samples.
        shift: bits that samples are shifted right by.
        sensor: that of the modulated hyperprior; empty where it has none like it.
    """

    name: str
    files: tuple[str, ...]
    psnr: float
    bits: int = 16
    shift: int = 0
    sensor: str = ""


_S2, _PAN = ("s2/test/*.tif",), ("other/pan_uint16/*1channel*.tif", "other/pan_uint16/*_input.tif")
_LANDSAT = tuple(f"other/landsat8_sattestdata/l8_B{n}.tif" for n in range(1, 8))
KINDS = (
    Kind("sentinel-2", _S2, 66.0, sensor="sentinel2"),
    Kind("landsat-8", _LANDSAT, 62.0, sensor="landsat8"),
    Kind("pan", _PAN, 70.1, sensor="pan"),
    Kind("12-bit", (*_PAN, *_S2), 70.1, 12, 2),
)
"""62 dB is what the paper asks of Landsat-8; 70.1 dB is 46 dB of peak 4095: of pan it asks 40."""


def scenes(folder: Path | None, quick: bool) -> Iterator[tuple[Kind, str, Scene]]:
    """Yield kind, name and scene; procedural ones without a folder.

    Raises:
        InputError: the folder has no such files.
    """
    side, any_found = (QUICK_SIDE if quick else SIDE), False
    for kind in KINDS:
        for name, image in _images(folder, kind, quick):
            samples = _cut(image, side)
            if kind.shift:
                most = int(samples.max())
                shifted = samples >> (kind.shift if most > _TWELVE_BITS else 0)
                samples = np.minimum(shifted, _TWELVE_BITS).astype(np.uint16)
            any_found = True
            yield kind, name, Scene(samples, significant_bits=kind.bits)
    if not any_found:
        raise InputError(f"{folder}: expected files such as {KINDS[0].files[0]}, found none")


def _images(
    folder: Path | None, kind: Kind, quick: bool
) -> Iterator[tuple[str, NDArray[np.generic]]]:
    if folder is None:
        image = procedural(3, QUICK_SIDE, QUICK_SIDE, nodata=False).image
        yield "procedural", image if kind.name == "sentinel-2" else image[2:3]
        return
    found = [path for files in kind.files for path in sorted(folder.glob(files))]
    found = [path for path in found if not path.stem.endswith("__label")]
    for path in found[:: max(len(found) // 3, 1)] if quick else found:
        image = read(path).image
        if min(image.shape[1:]) >= _LEAST:
            yield path.stem, image


def _cut(image: NDArray[np.generic], side: int) -> NDArray[np.uint16]:
    """Return the middle of an image, whole blocks of 64 pixels."""
    rows, cols = (min(size, side) // 64 * 64 for size in image.shape[1:])
    top, left = (image.shape[1] - rows) // 2, (image.shape[2] - cols) // 2
    return image[:, top : top + rows, left : left + cols].astype(np.uint16)
