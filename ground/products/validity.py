"""Validity: a mask or an alpha band of a file, told by a nodata value instead.

The datasets are rasterio's, opened by `ground.products.geotiff`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.origin import DOMAIN, is_product
from ground.scene import Scene
from onboard.errors import InputError

_ALPHA = 6
"""GDAL's number of the colour interpretation of an alpha band."""
_ALL_VALID, _OF_DATASET, _OF_NODATA = 1, 2, 8
"""GDAL's flags of where the mask of a band comes from."""


def nodata_value(dataset: Any, name: str) -> int | None:
    """Return the one nodata value; none where the dtype cannot hold what the file says.

    rasterio has already dropped NaN and what is out of range.

    Raises:
        InputError: bands have different ones; `name` begins the message.
    """
    whole = (value is not None and float(value).is_integer() for value in dataset.nodatavals)
    found = {int(v) if ok else None for v, ok in zip(dataset.nodatavals, whole, strict=True)}
    if len(found) > 1:
        values = ", ".join(str(value) for value in dataset.nodatavals)
        raise InputError(f"{name}: expected one nodata value for all bands, found {values}")
    return found.pop()


def alpha_bands(dataset: Any) -> list[int]:
    """Return the numbers, from 1, of the alpha bands of an open dataset that has others, too."""
    found = [i for i in dataset.indexes if int(dataset.colorinterp[i - 1]) == _ALPHA]
    return found if len(found) < dataset.count else []


def validated(dataset: Any, scene: Scene, alpha: Sequence[int]) -> Scene:
    """Return a scene whose nodata value says what mask and alpha band of its dataset say.

    Args:
        dataset: dataset open for reading.
        scene: bands of the dataset that are no alpha.
        alpha: numbers of its alpha bands.
    """
    if alpha:
        return _without_alpha(scene, dataset.read(alpha[0]))
    flags = [{int(flag) for flag in flags} for flags in dataset.mask_flag_enums]
    if all(flag == {_OF_DATASET} for flag in flags):
        if is_product(dataset.tags(ns=DOMAIN)):
            return scene  # it hides what was lost, too, which is not nodata
        return with_validity(scene, dataset.read_masks(1) > 0, "mask")
    if not all(flag & {_ALL_VALID, _OF_NODATA} for flag in flags):
        scene = replace(scene, remarks=(*scene.remarks, "masks of single bands"))
        return with_validity(scene, (dataset.read_masks() > 0).any(axis=0), "mask")
    return _with_word_of_single_bands(scene)


def _without_alpha(scene: Scene, opacity: NDArray[Any]) -> Scene:
    """Return a scene in which all that is wholly transparent is nodata."""
    remarks = list(scene.remarks)
    if opacity.all():
        remarks.append("alpha band")
    if ((opacity > 0) & (opacity < opacity.max())).any():
        remarks.append("alpha between transparent and opaque")
    scene = replace(scene, remarks=tuple(remarks))
    return with_validity(scene, (opacity > 0) & scene.valid, "alpha band")


def _with_word_of_single_bands(scene: Scene) -> Scene:
    """Return a scene with a remark on pixels of which some bands alone are nodata."""
    if scene.nodata is None:
        return scene
    some = np.logical_or.reduce([band == scene.nodata for band in scene.image])
    count = int(np.count_nonzero(some & scene.valid))
    if not count:
        return scene
    remark = f"nodata in single bands of {count} pixels: they come back as valid samples"
    return replace(scene, remarks=(*scene.remarks, remark))


def with_validity(scene: Scene, valid: NDArray[np.bool_], source: str) -> Scene:
    """Return a scene whose nodata value says what a mask said, and a remark on it.

    No valid pixel becomes nodata, nor does a valid sample get the value if any other will do. The
    value is the scene's own where it can be, else one of no valid sample, else that of the fewest.
    Where each value is that of all bands of a valid pixel, the mask is left behind.

    Args:
        scene: scene as its file has it.
        valid: mask (rows, cols), False where the file says there are no data.
        source: name of where the file says it, for the remark.
    """
    if valid.all():
        return scene
    counts, low = _counts(scene, valid)
    value = _chosen(scene, valid, counts, low)
    if value is None:
        remark = f"{source} left behind: expected a value for nodata, found all in valid pixels"
        return replace(scene, nodata=None, remarks=(*scene.remarks, remark))
    image = scene.image.copy()
    image[:, ~valid] = value
    remark = f"{source} as nodata {value}"
    taken = int(counts[value - low])
    if taken and value != scene.nodata:
        remark += f", which {taken} valid samples have, too: they change by 1"
    return replace(scene, image=image, nodata=value, remarks=(*scene.remarks, remark))


def _counts(scene: Scene, valid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Return how many valid samples have each value, and the value of the first count."""
    low, high = scene.header().sample_range
    counts = np.zeros(high - low + 1, np.int64)
    for band in scene.image:
        counts += np.bincount(band[valid].astype(np.int64) - low, minlength=len(counts))
    return counts, low


def _chosen(
    scene: Scene, valid: NDArray[np.bool_], counts: NDArray[np.int64], low: int
) -> int | None:
    """Return the nodata value, None if there is none."""
    first = scene.image[0]
    alike = np.logical_and.reduce([band == first for band in scene.image[1:]], initial=True)
    whole = np.zeros(len(counts), np.bool_)
    whole[first[valid & alike].astype(np.int64) - low] = True
    own = scene.nodata
    if own is not None and 0 <= own - low < len(counts) and not whole[own - low]:
        return own
    for value in _liked(scene, valid, low, len(counts)):
        if not counts[value - low]:
            return value
    rarest = np.where(whole, counts.sum() + 1, counts)
    return None if whole.all() else low + int(rarest.argmin())


def _liked(scene: Scene, valid: NDArray[np.bool_], low: int, number: int) -> Sequence[int]:
    """Return the values that are taken rather than others: what gaps have, 0, both ends."""
    gaps = np.unique(scene.image[:, ~valid])
    within = [int(value) for value in gaps[:1] if low <= value < low + number and len(gaps) == 1]
    return [*within, 0, low + number - 1, low]
