"""STAC: an item that says what a product is, and where its files are (STAC 1.1.0)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.cube import acquired, band_names
from ground.products.filefacts import TIME_TAG
from ground.products.legend import LEGEND
from ground.products.origin import Origin
from ground.products.place import Place
from ground.scene import Scene
from onboard.errors import InputError
from onboard.outputs import open_whole

EXTENSIONS = {
    "proj": "projection/v2.0.0",
    "raster": "raster/v2.0.0",
    "file": "file/v2.1.0",
    "classification": "classification/v2.0.0",
    "processing": "processing/v1.2.0",
}
"""Name and version by prefix of its fields; an item names those it has fields of."""
_MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".tiff": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".nc": "application/netcdf",
    ".zarr": "application/vnd.zarr; version=3",
}
_SHA256 = "1220"
"""What a multihash of SHA-256 begins with. Source: github.com/multiformats/multihash."""
_AT_ONCE = 1 << 20


def item_path(product: Path) -> Path:
    """Return where the item of a product lies."""
    return product.with_suffix(".stac.json")


def write_item(
    product: Path,
    beside: Mapping[str, Path],
    scene: Scene,
    origin: Origin,
    mask: NDArray[np.uint8],
) -> list[str]:
    """Write the item of a product that is written already.

    Args:
        product: path of the image.
        beside: files beside it, by what they are; `mask` is the mask's, where it has a file.
        scene: what was written.
        origin: what it was decoded from.
        mask: uint8 (rows, cols), values of `LEGEND`.

    Returns:
        Why it was not written, if so: an item has to tell a time.

    Raises:
        UsageError: the file cannot be created.
        EngineError: pyproj is not installed.
    """
    time = _time(scene)
    if time is None:
        return ["no STAC item: expected a time of the scene, found none in the stream"]
    try:
        place, reasons = Place.of(scene), []
    except InputError as error:
        place, reasons = Place(mask.shape, scene.transform, None), [f"STAC item: {error}"]
    item = item_of(product, beside, scene, origin, mask, place, time)
    with open_whole(item_path(product)) as file:
        file.write(json.dumps(item, indent=2).encode() + b"\n")
    return reasons


def item_of(
    product: Path,
    beside: Mapping[str, Path],
    scene: Scene,
    origin: Origin,
    mask: NDArray[np.uint8],
    place: Place,
    time: datetime,
) -> dict[str, Any]:
    """Return an item, see `write_item`."""
    geometry, box = place.footprint
    assets = {"image": _image_asset(product, scene)}
    if "mask" in beside:
        assets["mask"] = _mask_asset(beside["mask"])
    found: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": product.stem,
        "geometry": geometry,
        "properties": {
            "datetime": f"{time.isoformat()}Z",
            **_projection(place),
            "processing:software": {
                "skybook": _version(),
                f"bundle {origin.bundle}": origin.model_hash,
            },
            **{
                f"skybook:{key.lower().removeprefix('skybook_')}": text
                for key, text in origin.tags(mask).items()
            },
        },
        "links": [],
        "assets": assets,
    }
    used = {key.partition(":")[0] for key in _keys(found)}
    found["stac_extensions"] = [
        f"https://stac-extensions.github.io/{name}/schema.json"
        for prefix, name in EXTENSIONS.items()
        if prefix in used
    ]
    return found | ({"bbox": box} if box else {})


def _keys(node: Any) -> Iterator[str]:
    """Yield the name of every field of an item."""
    if isinstance(node, dict):
        yield from node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _keys(inner)


def _time(scene: Scene) -> datetime | None:
    """Return the time of line 0, UTC, or that of acquisition that the original's tags tell."""
    if (time := acquired(scene)) is not None:
        return time
    for place, key, value in scene.facts.tags:
        if (place, key) == TIME_TAG:
            try:
                told = datetime.fromisoformat(value)
            except ValueError:
                continue
            return told.replace(tzinfo=None) - (told.utcoffset() or timedelta())
    return None


def _projection(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"proj:shape": list(place.shape), "proj:code": place.code}
    if place.transform is not None:
        found |= {"proj:transform": place.affine, "proj:bbox": place.box}
    return found | ({"proj:wkt2": place.wkt2} if place.crs is not None and not place.code else {})


def _image_asset(path: Path, scene: Scene) -> dict[str, Any]:
    facts = scene.facts
    bands = []
    for index, name in enumerate(band_names(scene)):
        band: dict[str, Any] = {"name": name, "data_type": scene.image.dtype.name}
        if scene.nodata is not None:
            band["nodata"] = scene.nodata
        if facts.calibration:
            scale, offset = facts.calibration[index % len(facts.calibration)]
            band |= {"raster:scale": scale, "raster:offset": offset}
        if facts.units and (unit := facts.units[index % len(facts.units)]):
            band["unit"] = unit
        if scene.significant_bits is not None:
            band["raster:bits_per_sample"] = scene.significant_bits
        bands.append(band)
    return {**_file(path), "roles": ["data"], "bands": bands}


def _mask_asset(path: Path) -> dict[str, Any]:
    classes = [
        {
            "value": entry.value,
            "name": entry.name,
            "description": entry.meaning,
            "color_hint": "%02X%02X%02X" % entry.colour,  # noqa: UP031
        }
        for entry in LEGEND
    ]
    found = {"roles": ["data-mask"], "data_type": "uint8", "classification:classes": classes}
    return {**_file(path), "title": "what each pixel is worth", **found}


def _file(path: Path) -> dict[str, Any]:
    """Return what is said of each file: where it lies beside the item, and what it holds."""
    found: dict[str, Any] = {"href": f"./{path.name}", "type": _MEDIA_TYPES[path.suffix.lower()]}
    if path.is_file():
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(_AT_ONCE):
                digest.update(part)
        found["file:size"] = path.stat().st_size
        found["file:checksum"] = _SHA256 + digest.hexdigest()
    return found


def _version() -> str:
    """Return the version of skybook that is installed, 0 if it is not."""
    try:
        return version("skybook")
    except PackageNotFoundError:
        return "0"
