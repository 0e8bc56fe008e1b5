"""Folders of scenes: what is in them, where each was taken, and training tiles cut from them."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ground.products.geotiff import read
from ground.scene import Scene
from ground.scenes.patch import PATCH_BANDS, is_patch, place_of, read_patch
from ground.scenes.terramesh import find_samples, is_sample, place_and_split, read_sample
from onboard.errors import InputError, UsageError

MANIFEST = "manifest.csv"
MASK_SUFFIX = ".mask.tif"
DEFAULT_FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
MOST_NODATA = 0.5
_OF_SAMPLE = (1, 2, 3, 7)
"""Where `PATCH_BANDS` are among all bands."""


@dataclass(frozen=True)
class Item:
    """One scene of a data set.

    Attributes:
        path: path of a GeoTIFF, of the folder of a patch (one file a band), or of a sample of
            TerraMesh, `SHARD.tar/NAME.zarr.zip` in a shard.
        place: name of where it was taken; scenes of one place never part in a split.
        split: 'train', 'val' or 'test' where a manifest says so, else ''.
    """

    path: Path
    place: str
    split: str


Manifest = dict[str, tuple[str, str]]


def find_scenes(root: Path) -> list[Item]:
    """Return every scene (`*.tif`) and sample of TerraMesh below a folder, sorted by path.

    A folder P with `P_B02.tif`, `P_B03.tif`, `P_B04.tif` and `P_B08.tif` is one BigEarthNet patch,
    one with `B02.tif` and so on a product of MajorTOM-Core; its other bands and files are not
    scenes of their own. Masks of decoded products (`*.mask.tif`) are left out. Place and split come
    from the row of the nearest `manifest.csv` in the item's folder or one above it (columns path,
    relative to the manifest's folder, place and, where there is one, split); else the place is the
    file name up to the first `__` or, failing that, `_`, and for a patch its cell of MajorTOM's
    grid, its MGRS tile or acquisition. Samples of TerraMesh have the split of their folder.

    Raises:
        InputError: no such folder, no scene in it, or a manifest that cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: expected a folder of scenes, found none")
    files = sorted(path for path in root.rglob("*.tif") if not path.name.endswith(MASK_SUFFIX))
    patches = {folder for folder in {path.parent for path in files} if is_patch(folder)}
    loose = {path for path in files if path.parent not in patches}
    scenes = sorted(patches | loose | set(find_samples(root)))
    if not scenes:
        raise InputError(f"{root}: expected at least one *.tif, found none")
    manifests: dict[Path, Manifest | None] = {}
    return [_item(path, manifests) for path in scenes]


def _item(path: Path, manifests: dict[Path, Manifest | None]) -> Item:
    """Return the item of a scene; `manifests` remembers those already read, by folder."""
    absolute = Path(os.path.abspath(path))
    for folder in absolute.parents:
        if folder not in manifests:
            manifests[folder] = _read_manifest(folder / MANIFEST)
        rows = manifests[folder]
        if rows is not None:
            row = rows.get(absolute.relative_to(folder).as_posix())
            if row:
                return Item(path, *row)
            break
    return Item(path, *(place_and_split(path) if is_sample(path) else (_place(path), "")))


def _read_manifest(path: Path) -> Manifest | None:
    """Return place and split by path; None without a file, or if it is a table of something else.

    Raises:
        InputError: the file is there but cannot be read.
    """
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines)
            if not {"path", "place"} <= set(table.fieldnames or ()):
                return None
            return {
                row["path"]: (row["place"], row.get("split") or "")
                for row in table
                if row["path"] and row["place"]
            }
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: expected a table with path and place: {error}") from error


def _place(path: Path) -> str:
    """Return the place that a scene's name gives."""
    if path.is_dir():
        return place_of(path)
    stem = path.name.removesuffix(".tif")
    return stem.split("__" if "__" in stem else "_")[0]


def read_item(item: Item) -> Scene:
    """Read a scene, whichever layout it has; of patches and samples the bands of `PATCH_BANDS`.

    Raises:
        InputError: a file is missing or damaged, or a patch's bands do not fit together.
    """
    if is_sample(item.path):
        return Scene(read_sample(item.path).image[list(_OF_SAMPLE)], band_ids=PATCH_BANDS)
    return read_patch(item.path) if item.path.is_dir() else read(item.path)


def split_by_place(
    items: Sequence[Item], fractions: Mapping[str, float] = DEFAULT_FRACTIONS, seed: int = 0
) -> dict[str, list[Item]]:
    """Part items into splits, whole places at a time.

    Places are taken in the order of SHA-256 of seed and name, first one for each split in turn,
    then each to the split that is furthest below its share of the places. So every split has a
    place while there are enough, and the outcome depends on the set of places and the seed alone.

    Args:
        items: scenes to part; their own `split` is not looked at.
        fractions: share of the places per split, each 0 or more, 1 in all.
        seed: seed of the split; another seed, another split.

    Returns:
        For each split its items, in the order given.

    Raises:
        UsageError: the fractions are negative or do not add up to 1.
    """
    total = sum(fractions.values())
    if abs(total - 1) > 1e-6 or min(fractions.values()) < 0:
        raise UsageError(f"fractions: expected 0 or more and 1 in all, found {dict(fractions)}")
    places = sorted({item.place for item in items}, key=lambda place: _rank(place, seed))
    members: dict[str, set[str]] = {split: set() for split in fractions}
    for place in places:
        lacks = {s: fractions[s] * len(places) - len(members[s]) for s in fractions}
        empty = [s for s in fractions if not members[s] and fractions[s] > 0]
        members[empty[0] if empty else max(lacks, key=lacks.__getitem__)].add(place)
    return {s: [item for item in items if item.place in members[s]] for s in fractions}


def _rank(place: str, seed: int) -> bytes:
    """Return the key that puts places in an order of chance."""
    return hashlib.sha256(f"{seed}:{place}".encode()).digest()


def read_tiles(
    items: Sequence[Item],
    size: int,
    stride: int,
    bands: int = 4,
    tell: Callable[[str], None] = lambda _text: None,
    read_scene: Callable[[Item], Scene] = read_item,
) -> NDArray[np.uint16]:
    """Cut scenes into tiles for training.

    A scene smaller than a tile is continued symmetrically at its lower and right border; the last
    tile of a row or column ends at the border of the scene. Tiles with more than half nodata are
    left out, and so are scenes with another number of bands. Where a scene declares no nodata
    value, pixels that are 0 in every band count as nodata.

    Args:
        items: scenes of uint8 or uint16.
        size: side of a tile, pixels, at least 1.
        stride: step from tile to tile, pixels, at least 1; below `size` tiles overlap.
        bands: number of bands wanted.
        tell: called with the number of tiles and scenes, and with what was left out.
        read_scene: reads an item.

    Returns:
        uint16 (n, bands, size, size), in the order of the items, row by row.

    Raises:
        UsageError: size or stride below 1.
        InputError: a scene cannot be read or is signed, or not one tile is left.
    """
    if min(size, stride) < 1:
        raise UsageError(f"tiles: expected size and stride from 1, found {size} and {stride}")
    tiles: list[NDArray[np.uint16]] = []
    others: Counter[int] = Counter()
    for item in items:
        scene = read_scene(item)
        if len(scene.image) != bands:
            others[len(scene.image)] += 1
            continue
        if scene.image.dtype == np.int16:
            raise InputError(f"{item.path}: expected uint8 or uint16, found int16")
        tiles.append(_cut(scene, size, stride))
    count = sum(map(len, tiles))
    left = ", ".join(f"{number} of {found} bands" for found, number in sorted(others.items()))
    if not count:
        expected = f"at least one tile of {bands} bands"
        scenes = f"{len(items)} scenes" + (f" ({left})" if left else "")
        raise InputError(f"tiles: expected {expected}, found none in {scenes}")
    text = f"{count} tiles of {size} x {size} pixels and {bands} bands, of {len(tiles)} scenes"
    tell(f"{text}; left out: {left}" if left else text)
    return np.concatenate(tiles)


def _cut(scene: Scene, size: int, stride: int) -> NDArray[np.uint16]:
    """Return the tiles of a scene, uint16 (n, bands, size, size), those mostly nodata left out."""
    rows, cols = scene.image.shape[1:]
    margin = ((0, max(size - rows, 0)), (0, max(size - cols, 0)))
    image = np.pad(scene.image, ((0, 0), *margin), "symmetric")
    valid = scene.valid if scene.nodata is not None else (scene.image != 0).any(axis=0)
    valid = np.pad(valid, margin, "symmetric")
    corners = np.ix_(*(_starts(length, size, stride) for length in valid.shape))
    share = sliding_window_view(valid, (size, size))[corners].mean(axis=(2, 3))
    windows = sliding_window_view(image, (size, size), (1, 2)).transpose(1, 2, 0, 3, 4)
    return np.ascontiguousarray(windows[corners][share >= 1 - MOST_NODATA], np.uint16)


def _starts(length: int, size: int, stride: int) -> list[int]:
    """Return where tiles begin along one axis, the last one ending at the border."""
    return sorted({*range(0, length - size, stride), length - size})


def train_items(root: Path) -> tuple[list[Item], list[Item]]:
    """Return training and validation scenes, split by place; a `test` split is never read.

    The manifest's split is used where there is one, else places are drawn by their name.

    Raises:
        InputError: a split has no scenes.
    """
    parts, text = splits_of(root)
    for split in ("train", "val"):
        if not parts[split]:
            raise InputError(
                f"{root}: expected scenes of a {split!r} split, found none; {text} (a place is a "
                f"column of {MANIFEST}, else the file name up to '__' or '_'; 2 are the least)"
            )
    return parts["train"], parts["val"]


def splits_of(root: Path) -> tuple[dict[str, list[Item]], str]:
    """Return the scenes of each split, and in words how many of how many places each has."""
    items = find_scenes(root)
    told = any(item.split for item in items)
    if told:
        parts = {s: [i for i in items if i.split == s] for s in DEFAULT_FRACTIONS}
    else:
        parts = split_by_place(items)
    how = f"split by {MANIFEST}" if told else "split by place"
    counts = (
        f"{split} {len(part)} scenes of {len({item.place for item in part})} places"
        for split, part in parts.items()
    )
    return parts, f"{len(items)} scenes, {how}: {', '.join(counts)}"
