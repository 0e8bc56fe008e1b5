"""Patches of four Sentinel-2 bands: those to fit to, and those of other places to measure on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.scenes.folders import Item, find_scenes, read_item, split_by_place
from ground.scenes.patch import PATCH_BANDS
from ground.scenes.procedural import procedural
from onboard.errors import InputError

Patch = NDArray[np.uint16]
_DRAWN_SIDE = 4
"""Patches along a side of a procedural scene."""


@dataclass(frozen=True)
class Patches:
    """Patches (bands, side, side).

    Attributes:
        training: of places of the split `train`.
        test: place and patch, of other places.
        words: what they are.
    """

    training: Sequence[Patch]
    test: Sequence[tuple[str, Patch]]
    words: str


def read_patches(folder: Path | None, side: int, training: int, test: int) -> Patches:
    """Cut whole patches without nodata, spread evenly over what there is.

    Args:
        folder: of scenes, as `find_scenes` takes it; where nothing tells splits, places are drawn,
            and where none is called test, those of validation are. None for procedural scenes.
        side: rows and columns of a patch.
        training: most patches to fit to.
        test: most patches to measure on.

    Raises:
        InputError: no scenes of four bands for either.
    """
    if folder is None:
        drawn = [_drawn(seed, side) for seed in (1, 2)]
        named = [("procedural", patch) for patch in _even(drawn[1], test)]
        return Patches(_even(drawn[0], training), named, f"{len(named)} procedural patches")
    items = find_scenes(folder)
    told = any(item.split for item in items)
    splits = {s: [i for i in items if i.split == s] for s in ("train", "test")}
    if not splits["test"]:
        splits["test"] = [i for i in items if i.split == "val"]
    chosen = splits if told else split_by_place(items)
    fitted, measured = (
        [(item.place, patch) for item in chosen[split] for patch in _cut(item, side)]
        for split in ("train", "test")
    )
    for split, found in (("train", fitted), ("test", measured)):
        if not found:
            raise InputError(
                f"{folder}: expected {split} scenes of four bands and {side} pixels, found none"
            )
    picked = _even(measured, test)
    places = len({place for place, _ in picked})
    words = f"{len(picked)} patches of {places} places that nothing was trained on"
    return Patches(_even([patch for _, patch in fitted], training), picked, words)


def _drawn(seed: int, side: int) -> list[Patch]:
    image = procedural(seed, _DRAWN_SIDE * side, _DRAWN_SIDE * side, nodata=False).image
    return list(_grid(image.astype(np.uint16), side))


def _cut(item: Item, side: int) -> Iterator[Patch]:
    scene = read_item(item)
    image = scene.image
    if len(image) != len(PATCH_BANDS) or image.dtype == np.int8 or image.min(initial=0) < 0:
        return
    for patch in _grid(image.astype(np.uint16), side):
        if scene.nodata is None or not (patch == scene.nodata).any():
            yield patch


def _grid(image: Patch, side: int) -> Iterator[Patch]:
    """Yield the whole patches of an image, row by row."""
    for row in range(0, image.shape[1] - side + 1, side):
        for col in range(0, image.shape[2] - side + 1, side):
            yield np.ascontiguousarray(image[:, row : row + side, col : col + side])


def _even(found: list[Any], most: int) -> list[Any]:
    """Return `most` of them at most, spread evenly."""
    return [found[i * len(found) // most] for i in range(most)] if len(found) > most else found
