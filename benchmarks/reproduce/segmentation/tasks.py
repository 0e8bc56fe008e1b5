"""Tasks: images with a mask of what is to be found in them, and where each was taken."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.products.geotiff import opened, read
from ground.scenes.folders import MANIFEST
from ground.scenes.procedural import procedural
from onboard.errors import InputError

IMAGES, LABELS = "images", "labels"
UNKNOWN = 255
"""In a mask: not known; it is neither trained on nor scored."""


@dataclass(frozen=True)
class Sample:
    """An image and its mask.

    Attributes:
        name: of its file.
        place: where it was taken; samples of one place never part.
        image: uint16 (bands, rows, cols).
        mask: uint8 (rows, cols): 1 where there is what is to be found, 0, or UNKNOWN.
    """

    name: str
    place: str
    image: NDArray[np.uint16]
    mask: NDArray[np.uint8]

    def quarters(self) -> list["Sample"]:
        """Return the four quarters, each of a place of its own."""
        rows, cols = (side // 2 for side in self.mask.shape)
        return [
            Sample(
                f"{self.name} {row}{col}",
                f"{self.place} {row}{col}",
                np.ascontiguousarray(self.image[:, row * rows :, col * cols :][:, :rows, :cols]),
                self.mask[row * rows :, col * cols :][:rows, :cols],
            )
            for row, col in np.ndindex(2, 2)
        ]

    def within(self, side: int) -> "Sample":
        """Return the upper left corner, of `side` rows and columns at most."""
        image, mask = self.image[:, :side, :side], self.mask[:side, :side]
        return replace(self, image=np.ascontiguousarray(image), mask=mask)


@dataclass(frozen=True)
class Pair:
    """Files of one sample, below the folder of data.

    Attributes:
        image: pattern of one image.
        label: path of its classes, on the grid of the image or on one of pixels twice the size;
            empty where the last band of the image has them.
        place: where it was taken.
        bands: which bands of the image.
        positive: classes that are to be found.
        unknown: classes that tell nothing.
    """

    image: str
    label: str
    place: str
    bands: tuple[int, ...]
    positive: tuple[int, ...]
    unknown: tuple[int, ...] = (UNKNOWN,)


@dataclass(frozen=True)
class Task:
    """What is to be found, and where its samples are.

    Attributes:
        name: in results.
        folder: name of a folder with `images` and `labels`; a label goes with the image of its
            name or, of several that begin with it and `_`, with the last one.
        bands: which bands of its images; () for all.
        positive: classes that are to be found; () for all but 0.
        pairs: further samples.
        four: the bands are those of CORSA: B02 B03 B04 B08.
        quartered: places are few and unlike each other, so that quarters of a sample count as
            places: what is looked for is known from beside, as a service of a region knows it.
    """

    name: str
    folder: str
    bands: tuple[int, ...] = ()
    positive: tuple[int, ...] = ()
    pairs: tuple[Pair, ...] = ()
    four: bool = False
    quartered: bool = False

    def samples(self, root: Path, leave: Callable[[str], None]) -> list[Sample]:
        """Read all samples below a folder, sorted by name; `leave` is told what is left out."""
        found = [*_of_folders(self, root, leave), *_of_pairs(self, root, leave)]
        if self.quartered:
            found = [quarter for sample in found for quarter in sample.quarters()]
        return sorted(found, key=lambda sample: sample.name)


_LAND_COVER = ("282D_485L_3_3", "38D_378R_2_3", "433D_629L_3_1", "609U_541L_3_0", "637U_59R_1_3")
_CROPS, _FIELD, _BOUNDARY = 4, 1, 2
CULTIVATED = Task(
    "cultivated",
    "cultivated",
    pairs=(
        *(
            Pair(
                "other/ftw_fields/image.tif",
                "other/ftw_fields/field_mask.tif",
                "ftw-austria",
                bands,
                (_FIELD, _BOUNDARY),
            )
            for bands in ((2, 1, 0, 3), (6, 5, 4, 7))
        ),
        *(
            Pair(
                f"s2/*/majortom-{area}__{level}.tif",
                f"other/terramind_lulc/{area}.tif",
                f"majortom-{area}",
                (0, 1, 2, 3),
                (_CROPS,),
            )
            for area in _LAND_COVER
            for level in ("L1C", "L2A")
        ),
    ),
    four=True,
    quartered=True,
)
WATER = Task("water", "l8_water", bands=tuple(range(7)), positive=(1,))
BARK_BEETLE = Task("bark-beetle", "barkbeetle", bands=(1, 2, 3, 7), positive=(1,), four=True)
_CLOUDY, _NO_CLASS = (8, 9, 10), 0
"""Of the scene classification of Sentinel-2: clouds, surely or likely, and cirrus."""
_FMASK = tuple(value for value in range(256) if value & 2)
"""Of that of HLS, whose bits are apart."""
_NO_FMASK = -9999
CLOUDS = Task(
    "clouds",
    "clouds",
    pairs=(
        Pair(
            "other/s2_20m_scl_vrtility/*.tif",
            "",
            "vrtility-exeter",
            (0, 1, 2, 3),
            _CLOUDY,
            (_NO_CLASS,),
        ),
        Pair(
            "other/hls_vrtility/*.tif",
            "",
            "vrtility-exeter",
            (0, 1, 2, 3),
            _FMASK,
            (_NO_FMASK,),
        ),
    ),
    four=True,
    quartered=True,
)
BURNT = Task("burnt", "wildfire_s2_20m", bands=(3, 4), positive=(1,))
TASKS = (WATER, BARK_BEETLE, CULTIVATED, CLOUDS, BURNT)
"""Of the table of segmentation."""


def _of_folders(task: Task, root: Path, leave: Callable[[str], None]) -> Iterator[Sample]:
    for folder in sorted(path for path in root.rglob(task.folder) if (path / IMAGES).is_dir()):
        places = _places(root, folder)
        for label in sorted((folder / LABELS).glob("*.tif")):
            images = sorted((folder / IMAGES).glob(f"{label.stem}_*.tif"))
            image = folder / IMAGES / label.name
            image = image if image.is_file() else images[-1] if images else image
            place = places.get(image.resolve(), image.stem)
            pair = Pair(str(image), str(label), place, task.bands, task.positive)
            yield from _read(pair, image, label, leave)


def _of_pairs(task: Task, root: Path, leave: Callable[[str], None]) -> Iterator[Sample]:
    for pair in task.pairs:
        label = root / pair.label if pair.label else None
        for image in sorted(root.glob(pair.image)) if label is None or label.is_file() else ():
            yield from _read(pair, image, label or image, leave)


def _places(root: Path, folder: Path) -> dict[Path, str]:
    """Return the places that the manifests in a folder, and above it up to the root, tell."""
    found: dict[Path, str] = {}
    above = [path for path in (folder, *folder.parents) if path == root or root in path.parents]
    for manifest in (path / MANIFEST for path in above):
        if manifest.is_file():
            with manifest.open(newline="", encoding="utf-8-sig") as lines:
                for row in csv.DictReader(lines):
                    if row.get("path") and row.get("place"):
                        found.setdefault((manifest.parent / row["path"]).resolve(), row["place"])
    return found


def _read(pair: Pair, image: Path, label: Path, leave: Callable[[str], None]) -> Iterator[Sample]:
    """Yield the sample of two files, if it is one."""
    try:
        samples, classes = _integers(image), read(label).image[0 if pair.label else -1]
        chosen = samples[list(pair.bands)] if pair.bands else samples
    except (InputError, IndexError) as error:
        leave(f"{image.name}: {error}")
        return
    for times in (1, 2):
        mask = _mask(classes, pair).repeat(times, 0).repeat(times, 1)
        rows, cols = (min(a, b) for a, b in zip(mask.shape, chosen.shape[1:], strict=True))
        if max(abs(a - b) for a, b in zip(mask.shape, chosen.shape[1:], strict=True)) < 2:
            whole = np.ascontiguousarray(chosen[:, :rows, :cols]).clip(0).astype(np.uint16)
            yield Sample(image.stem, pair.place, whole, mask[:rows, :cols])
            return
    leave(f"{image.name}: expected classes of {chosen.shape[1:]}, found {classes.shape}")


def _integers(path: Path) -> NDArray[np.generic]:
    """Return the bands of an image; samples between two integers are rounded, none is 0."""
    with opened(path) as source:
        if np.dtype(source.dtypes[0]).kind == "f":
            samples = np.nan_to_num(np.rint(source.read()))
            return np.asarray(samples.clip(0, 65_535), np.uint16)
    return read(path).image


def _mask(classes: NDArray[np.generic], pair: Pair) -> NDArray[np.uint8]:
    found = np.isin(classes, pair.positive) if pair.positive else classes != 0
    return np.where(np.isin(classes, pair.unknown), UNKNOWN, found).astype(np.uint8)


def standin(count: int, side: int) -> list[Sample]:
    """Return procedural samples in which green vegetation is to be found: NDVI above 0.5."""
    found = []
    for seed in range(count):
        image = procedural(seed, side, side, nodata=False).image.astype(np.uint16)
        red, infrared = image[2].astype(np.float64), image[3].astype(np.float64)
        mask = (infrared - red > 0.5 * (infrared + red)).astype(np.uint8)
        found.append(Sample(f"procedural {seed}", f"place {seed}", image, mask))
    return found
