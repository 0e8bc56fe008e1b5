"""Cube: a decoded scene as an xarray dataset with the words of CF. The door to xarray."""

import json
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.extra import library
from ground.products.legend import LEGEND
from ground.products.origin import Origin
from ground.products.place import Place
from ground.products.utc import utc_of
from ground.scene import Scene

IMAGE, MASK, MAPPING = "image", "mask", "spatial_ref"
"""Names of the variables."""
CONVENTIONS = "CF-1.11"
TEXT_TAGS = "tags_of_bands_and_domains"


def cube_of(
    scene: Scene, mask: NDArray[np.uint8], origin: Origin | None = None, place: Place | None = None
) -> Any:
    """Return a scene and its mask as an xarray.Dataset.

    Samples are digital numbers as they are; scale, offset and nodata value are attributes
    (`scale_factor`, `add_offset`, `_FillValue`) or, where bands have their own, coordinates
    `band_scale` and `band_offset`. `mask` has `flag_values` and `flag_meanings`.

    Args:
        scene: decoded scene; of the image only shape and dtype are looked at.
        mask: uint8 (rows, cols), values of `LEGEND`.
        origin: what it was decoded from.
        place: where it lies, if not where the scene says.

    Raises:
        InputError: its reference system makes no sense.
        EngineError: xarray or pyproj is not installed.
    """
    xarray = library("xarray")
    place = place or Place.of(scene)
    told = {"grid_mapping": MAPPING} if place.crs is not None else {}
    image = {**_image_attributes(scene), **told, "ancillary_variables": MASK}
    return xarray.Dataset(
        {
            IMAGE: (("band", "y", "x"), scene.image, image),
            MASK: (("y", "x"), mask, {**mask_attributes(), **told}),
        },
        _coordinates(scene, place),
        _attributes(scene, mask, origin),
    )


def band_names(scene: Scene) -> tuple[str, ...]:
    """Return names of bands: their own where each has one that no other has, else 1, 2, ..."""
    own = scene.band_ids
    if own and all(own) and len(set(own)) == len(own):
        return own
    return tuple(str(number) for number in range(1, len(scene.image) + 1))


def mask_attributes() -> dict[str, Any]:
    """Return what a mask says of its values."""
    return {
        "long_name": "what each pixel is worth",
        "standard_name": "quality_flag",
        "flag_values": np.array([entry.value for entry in LEGEND], np.uint8),
        "flag_meanings": " ".join(entry.name for entry in LEGEND),
        "flag_colors": " ".join("#%02x%02x%02x" % entry.colour for entry in LEGEND),  # noqa: UP031
    }


def origin_attributes(origin: Origin, mask: NDArray[np.uint8] | None) -> dict[str, Any]:
    """Return what a dataset says of what it was decoded from, see `Origin.tags`."""
    tags = {key.lower(): text for key, text in origin.tags(mask).items()}
    return {"source": f"skybook stream, model {origin.bundle}", **tags}


def acquired(scene: Scene) -> datetime | None:
    """Return the time of line 0, UTC; None where nothing tells it."""
    return None if scene.start_time is None else utc_of(scene.start_time)


def _image_attributes(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = {"long_name": "digital numbers"}
    facts = scene.facts
    if len(facts.calibration) == 1:
        scale, offset = facts.calibration[0]
        found |= {"scale_factor": scale, "add_offset": offset}
    if len(facts.units) == 1 and facts.units[0]:
        found["units"] = facts.units[0]
    if scene.nodata is not None:
        found["_FillValue"] = scene.image.dtype.type(scene.nodata)
    if scene.significant_bits is not None:
        found["significant_bits"] = scene.significant_bits
    if scene.bayer is not None:
        found["bayer_pattern"] = scene.bayer
    return found


def _coordinates(scene: Scene, place: Place) -> dict[str, Any]:
    facts = scene.facts
    found: dict[str, Any] = {"band": ("band", np.array(band_names(scene)), {"long_name": "band"})}
    if len(facts.calibration) > 1:
        scales, offsets = np.array(facts.calibration, np.float64).T
        found |= {"band_scale": ("band", scales), "band_offset": ("band", offsets)}
    if len(facts.units) > 1:
        found["band_units"] = ("band", np.array(facts.units))
    axes = place.axes()
    if place.is_upright:
        a, _, c, _, e, f = place.affine
        rows, cols = place.shape
        found["y"] = ("y", f + e * (np.arange(rows) + 0.5), axes.get("y", {"axis": "Y"}))
        found["x"] = ("x", c + a * (np.arange(cols) + 0.5), axes.get("x", {"axis": "X"}))
    if place.crs is not None:
        found[MAPPING] = ((), np.int32(0), place.grid_mapping)
    if (time := acquired(scene)) is not None:
        words = {"standard_name": "time", "long_name": "time of the first line, UTC"}
        found["time"] = ((), np.datetime64(time, "us"), words)
    return found


def _attributes(scene: Scene, mask: NDArray[np.uint8], origin: Origin | None) -> dict[str, Any]:
    """Return what is said of all of it: tags of the original, time, origin."""
    found: dict[str, Any] = {"Conventions": CONVENTIONS}
    others = []
    for where, key, value in scene.facts.tags:
        if where or key in found or not key.replace("_", "").isalnum():
            others.append([where, key, value])
        else:
            found[key] = value
    if others:
        found[TEXT_TAGS] = json.dumps(others)
    if (time := acquired(scene)) is not None:
        found["time_coverage_start"] = f"{time.isoformat()}Z"
    return found | (origin_attributes(origin, mask) if origin is not None else {})
