"""Decoded scenes as cloud-optimised GeoTIFFs: image, and its mask beside it."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from ground.products.geotiff import new_source, opened, profile_of, write, write_cog
from ground.products.legend import LEGEND, hidden
from ground.products.origin import Origin
from ground.scene import Scene
from onboard.errors import InputError, UsageError
from onboard.outputs import open_whole

MASK_NAME = "mask"
"""Description of the one band of a mask file."""
PALETTE = {"photometric": "palette"}
MASK_OPTIONS = {"OVERVIEW_RESAMPLING": "MODE"}
_NAMES = (
    '<PAMDataset><PAMRasterBand band="1"><CategoryNames>{}</CategoryNames></PAMRasterBand>'
    "</PAMDataset>\n"
)


def write_mask(path: Path, mask: NDArray[np.uint8], scene: Scene) -> None:
    """Write a mask (rows, cols) as one band beside a scene, with its georeference.

    Its values have colours, and names in a file beside it (`names_path`).

    Raises:
        InputError: the mask is not uint8 or not of the scene's size.
        UsageError: a file cannot be created.
    """
    if mask.dtype != np.uint8 or mask.shape != scene.image.shape[1:]:
        expected = f"uint8 {scene.image.shape[1:]}"
        raise InputError(f"mask: expected {expected}, found {mask.dtype} {mask.shape}")
    profile = profile_of(Scene(mask[None], None, scene.transform, scene.crs))
    with new_source(profile | PALETTE) as (source, dataset):
        dataset.write(mask, 1)
        name_values(dataset)
        write_cog(path, source, dataset, **MASK_OPTIONS)
    write_names(path)


def name_values(dataset: Any) -> None:
    """Say of a mask's dataset, open for writing, what it is, and give its values colours."""
    dataset.descriptions = (MASK_NAME,)
    dataset.write_colormap(1, {entry.value: (*entry.colour, 255) for entry in LEGEND})


def write_names(path: Path) -> None:
    """Write the names of a mask's values beside it."""
    names = "".join(f"<Category>{escape(entry.meaning)}</Category>" for entry in LEGEND)
    with open_whole(names_path(path)) as file:
        file.write(_NAMES.format(names).encode())


def write_product(
    path: Path, scene: Scene, mask: NDArray[np.uint8], origin: Origin | None = None
) -> list[str]:
    """Write a decoded scene, and its mask beside it (`mask_path`).

    What was lost and what has no data is hidden by the file's own mask, too; nodata alone has the
    nodata value. What a GeoTIFF cannot hold of what the stream says is left out.

    Returns:
        What was left out, and why.

    Raises:
        UsageError: a file cannot be created.
    """
    reasons = []
    tags = {} if origin is None else origin.tags(mask)
    try:
        write(path, scene, hidden(mask), tags)
    except InputError as error:
        reasons.append(f"written without CRS and band ids: {error}")
        scene = replace(scene, crs=None, band_ids=())
        write(path, scene, hidden(mask), tags)
    write_mask(mask_path(path), mask, scene)
    return reasons


def files_of(path: Path) -> dict[str, Path]:
    """Return the files that `write_product` writes beside a product, by what they are."""
    mask = mask_path(path)
    return {"mask": mask, "names of the mask": names_path(mask)}


def check_place(path: Path) -> None:
    """Refuse a place where something lies that a product must not replace.

    Raises:
        UsageError: the mask would replace a file that is none.
    """
    mask = mask_path(path)
    if mask.exists() and not is_mask(mask):
        raise UsageError(f"-o {path}: its mask {mask} is there and is none, expected no file")


def mask_path(path: Path) -> Path:
    """Return where the mask of a product lies."""
    return path.with_suffix(".mask.tif")


def names_path(path: Path) -> Path:
    """Return where GDAL looks for the names of the values of a raster."""
    return path.with_name(f"{path.name}.aux.xml")


def is_mask(path: Path) -> bool:
    """Return whether a file is a mask that `write_mask` wrote."""
    return _descriptions(path) == (MASK_NAME,)


def _descriptions(path: Path) -> tuple[str | None, ...]:
    """Return the descriptions of the bands of a raster; () where there is none."""
    try:
        with opened(path) as dataset:
            return tuple(dataset.descriptions)
    except InputError:
        return ()
