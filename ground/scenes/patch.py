"""Patch: a folder with a file for each band, as BigEarthNet and MajorTOM-Core have them."""

import re
from pathlib import Path

import numpy as np

from ground.products.geotiff import read
from ground.scene import Scene
from onboard.errors import InputError

PATCH_BANDS = ("B02", "B03", "B04", "B08")


def band_file(folder: Path, band: str) -> Path:
    """Return the file of a band: `P/P_B02.tif` of BigEarthNet, else `B02.tif` of MajorTOM-Core."""
    named = folder / f"{folder.name}_{band}.tif"
    return named if named.is_file() else folder / f"{band}.tif"


def is_patch(folder: Path) -> bool:
    """Say whether a folder is a patch with its four 10 m bands."""
    return all(band_file(folder, band).is_file() for band in PATCH_BANDS)


def read_patch(folder: Path) -> Scene:
    """Read the four bands of 10 m.

    Raises:
        InputError: a file is missing or damaged, or the bands do not fit together.
    """
    bands = [read(band_file(folder, band)) for band in PATCH_BANDS]
    first = bands[0]
    for band, scene in zip(PATCH_BANDS, bands, strict=True):
        found, expected = (
            f"{s.image.dtype} {s.image.shape} nodata {s.nodata}" for s in (scene, first)
        )
        if len(scene.image) != 1 or found != expected:
            raise InputError(f"{folder} {band}: expected {expected}, found {found}")
    image = np.concatenate([scene.image for scene in bands])
    return Scene(image, first.nodata, first.transform, first.crs, PATCH_BANDS)


def place_of(folder: Path) -> str:
    """Return the place that the name of a patch gives.

    BigEarthNet v2 names hold the MGRS tile (S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57);
    v1 names end in the patch's column and row after the acquisition. MajorTOM-Core has products in
    the folder of their cell of its grid (922D/922D_250L/S2A_MSIL1C_...).
    """
    cell = re.fullmatch(r"\d+[UD]_\d+[LR]", folder.parent.name)
    if cell:
        return cell.group()
    tile = re.search(r"_(T\d{2}[A-Z]{3})_", folder.name)
    return tile.group(1) if tile else re.sub(r"(_\d+){2}$", "", folder.name)
