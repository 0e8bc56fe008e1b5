"""GeoZarr: a decoded scene and its mask as a folder of Zarr v3, with overviews.

The groups `0`, `1`, ... hold the scene at full size, at half of it and so on, each a dataset as
`ground.products.cube` makes it. Attributes follow the conventions `multiscales`, `spatial` and
`proj` (github.com/zarr-conventions, v0.1). Every chunk is written, also of a single value, so one
that is missing is lost: a mask then reads 255, none of its values.
"""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.cube import IMAGE, MASK, cube_of
from ground.products.extra import library
from ground.products.legend import NOT_WRITTEN
from ground.products.origin import Origin
from ground.products.overview import halved
from ground.products.place import Place, placed
from ground.scene import Scene
from onboard.errors import UsageError
from onboard.outputs import telling_room

_CHUNK = 512
_SMALLEST = 256
"""Pixels of the longer side of the coarsest overview, at most, but for halving."""
_CONVENTIONS = {
    "multiscales": (
        "d35379db-88df-4056-af3a-620245f8e347",
        "Multiscale layout of zarr datasets",
    ),
    "spatial": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
    "proj": (
        "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "Coordinate reference system information for geospatial data",
    ),
}
"""UUID and description of each convention."""
_METADATA = "zarr.json"


def write_product(
    path: Path, scene: Scene, mask: NDArray[np.uint8], origin: Origin | None = None
) -> list[str]:
    """Write a decoded scene and its mask; a product that is there is replaced once it is whole.

    Returns:
        What was left out, and why.

    Raises:
        UsageError: the folder cannot be made, or there is not enough room for it.
        EngineError: a library is not installed.
    """
    library("zarr")
    scene, place, reasons = placed(scene)
    try:
        folder = Path(mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error
    try:
        with telling_room(path), warnings.catch_warnings():
            # Names of bands are strings, whose data type has no final specification yet.
            warnings.filterwarnings("ignore", ".*does not have a Zarr V3 spec.*")
            warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
            _write(folder, scene, mask, origin, place)
            folder.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            folder.rename(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return reasons


def check_place(path: Path) -> None:
    """Refuse a name at which something lies that is no Zarr.

    Raises:
        UsageError: there is such a thing.
    """
    if path.exists() and not (path / _METADATA).is_file():
        raise UsageError(f"-o {path}: is there and is no Zarr v3, expected another place")


def _write(
    folder: Path, scene: Scene, mask: NDArray[np.uint8], origin: Origin | None, place: Place
) -> None:
    """Write the levels, and what is said of all of them."""
    layout: list[dict[str, Any]] = []
    while True:
        level = len(layout)
        coarse = place.coarser(1 << level)
        _write_level(folder, str(level), cube_of(scene, mask, origin, coarse), coarse)
        layout.append({"asset": str(level), **(_derived(level - 1) if level else {})})
        if max(mask.shape) <= _SMALLEST:
            break
        image, mask = halved(scene.image, mask, scene.nodata)
        scene = replace(scene, image=image)
    attributes = _words(place)
    attributes["zarr_conventions"].insert(0, _convention("multiscales"))
    attributes["multiscales"] = {"layout": layout, "resampling_method": "average"}
    zarr = library("zarr")
    zarr.open_group(folder, mode="r+").update_attributes(attributes)
    zarr.consolidate_metadata(folder)


def _derived(finer: int) -> dict[str, Any]:
    """Return how a level is made of the one of so much a number, which is finer."""
    transform = {"scale": [2.0, 2.0], "translation": [0.0, 0.0]}
    return {"derived_from": str(finer), "transform": transform}


def _write_level(folder: Path, group: str, cube: Any, place: Place) -> None:
    """Write a dataset as a group."""
    fill = cube[IMAGE].attrs.get("_FillValue", 0)
    sides = tuple(min(_CHUNK, side) for side in place.shape)
    cube.attrs |= _words(place)
    encoding = {
        IMAGE: {"chunks": (1, *sides), "fill_value": int(fill)},
        MASK: {"chunks": sides, "fill_value": NOT_WRITTEN},
    }
    cube.to_zarr(
        folder,
        group=group,
        zarr_format=3,
        consolidated=True,
        encoding=encoding,
        write_empty_chunks=True,
    )


def _convention(name: str) -> dict[str, str]:
    """Return how a node says that it follows a convention."""
    uuid, description = _CONVENTIONS[name]
    home = f"zarr-conventions/{name}"
    return {
        "uuid": uuid,
        "schema_url": f"https://raw.githubusercontent.com/{home}/refs/tags/v0.1/schema.json",
        "spec_url": f"https://github.com/{home}/blob/v0.1/README.md",
        "name": name,
        "description": description,
    }


def _words(place: Place) -> dict[str, Any]:
    """Return what a group says of the place of its pixels."""
    found: dict[str, Any] = {
        "zarr_conventions": [_convention("spatial")],
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": list(place.shape),
        "spatial:registration": "pixel",
    }
    if place.transform is not None:
        found["spatial:transform_type"] = "affine"
        found["spatial:transform"] = place.affine
        found["spatial:bbox"] = place.box
    if place.crs is not None:
        found["zarr_conventions"].append(_convention("proj"))
        found |= {"proj:code": place.code} if place.code else {"proj:wkt2": place.wkt2}
    return found
