"""Frames: images, and their single bands, that learned codecs are trained and measured on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.modulated.layout import Sensor
from ground.scene import Scene
from ground.scenes.folders import Item, find_scenes, read_item, split_by_place
from ground.scenes.procedural import procedural
from onboard.errors import InputError

PAN, LANDSAT, REFLECTANCE, SENTINEL, TWELVE = (
    Sensor("pan", 250),
    Sensor("landsat8", 750),
    Sensor("landsat8-sr", 250),
    Sensor("sentinel2", 500),
    Sensor("sentinel2-12", 500),
)
SENSORS = {sensor.name: sensor for sensor in (PAN, LANDSAT, REFLECTANCE, SENTINEL, TWELVE)}
_BY_BANDS = {1: PAN, 4: SENTINEL, 7: REFLECTANCE, 12: TWELVE}
TRAIN, TEST = "train", "test"
_MOST_WITHOUT, _MOST_NEGATIVE = 0.1, 0.01
"""Shares of pixels without data, and of samples below 0, of a scene that is taken."""
_STANDIN_SIDE = 256


@dataclass(frozen=True)
class Taken:
    """An image, all bands of it.

    Attributes:
        sensor: that took it.
        place: where it was taken.
        name: of its file.
        samples: uint16 (bands, rows, cols), DN.
    """

    sensor: Sensor
    place: str
    name: str
    samples: NDArray[np.uint16]


@dataclass(frozen=True)
class Frame:
    """A band.

    Attributes:
        sensor: that took it.
        place: where it was taken.
        name: of its file, and its number.
        samples: uint16 (rows, cols), DN.
    """

    sensor: Sensor
    place: str
    name: str
    samples: NDArray[np.uint16]


@dataclass(frozen=True)
class _Source:
    """Files of the data that skybook is measured on.

    Attributes:
        sensor: of all its bands.
        split: to which they belong; empty where places are parted by number, one in five to test.
        pattern: of the paths.
        bands: how many of their bands, from the first.
    """

    sensor: Sensor
    split: str
    pattern: str
    bands: int


_SOURCES = (
    _Source(PAN, TRAIN, "other/pan_uint16/solaris_sample_geotiff.tif", 1),
    _Source(PAN, TEST, "other/pan_uint16/solaris_road_mask_input.tif", 1),
    _Source(PAN, TEST, "other/pan_uint16/torchsat_tiff_1channel_uint16.tif", 1),
    _Source(LANDSAT, TRAIN, "other/landsat8_rasterframes/L8-B[1-7]-Elkton-VA.tif", 1),
    _Source(LANDSAT, TEST, "other/landsat8_sattestdata/l8_B[1-7].tif", 1),
    _Source(REFLECTANCE, "", "other/l8_water/images/*.tif", 7),
    _Source(SENTINEL, TRAIN, "s2/train/*.tif", 4),
    _Source(SENTINEL, TEST, "s2/test/*.tif", 4),
    _Source(TWELVE, TRAIN, "other/barkbeetle/images/*.tif", 12),
    _Source(TWELVE, TEST, "other/s2_landcover_stolarinhoo/image_*.tif", 12),
)


def read_frames(
    folder: Path | None, split: str, leave: Callable[[str], None] = lambda _text: None
) -> list[Frame]:
    """Read the frames of a split: every band of `read_images`, for the same arguments."""
    return [
        Frame(image.sensor, image.place, f"{image.name} {number}", np.ascontiguousarray(band))
        for image in read_images(folder, split, leave)
        for number, band in enumerate(image.samples, 1)
    ]


def read_images(
    folder: Path | None,
    split: str,
    leave: Callable[[str], None] = lambda _text: None,
    wanted: Sensor | None = None,
) -> list[Taken]:
    """Read the images of a split.

    Of a folder that has files of `_SOURCES`, these; of another, every scene of 1, 4, 7 or 12 bands,
    by its manifest's split or parted by place. Without a folder, a procedural scene.

    Args:
        folder: folder of data; None without one.
        split: `TRAIN` or `TEST`.
        leave: called with what is left out, and why.
        wanted: of which sensor; None for all.

    Raises:
        InputError: no such folder, or no image of the split in it.
    """
    if folder is None:
        image = procedural(len(split), _STANDIN_SIDE, _STANDIN_SIDE, nodata=False).image
        return [Taken(SENTINEL, "procedural", split, image.astype(np.uint16))]
    found = [
        taken
        for sensor, item, bands in _chosen(folder, split)
        if wanted in (None, sensor) or sensor is None
        if (taken := _read(sensor, item, bands, leave)) and wanted in (None, taken.sensor)
    ]
    if not found:
        kinds = f"of {wanted.name}" if wanted else "of 1, 4, 7 or 12 bands"
        raise InputError(f"{folder}: expected {split} scenes {kinds}, found none")
    return found


def evenly(frames: Sequence[Frame], most: int) -> list[Frame]:
    """Return at most so many frames of each sensor, spread evenly over them."""
    found = []
    for sensor in SENSORS.values():
        of = [frame for frame in frames if frame.sensor == sensor]
        found += [of[i * len(of) // most] for i in range(most)] if len(of) > most else of
    return found


def _chosen(folder: Path, split: str) -> Iterator[tuple[Sensor | None, Item, int | None]]:
    """Yield the scenes of a split, with sensor and number of bands where they are known."""
    items = find_scenes(folder)
    known = [(item, source) for item in items if (source := _source_of(item, folder))]
    if known:
        for item, source in known:
            if split == (source.split or _drawn(item.path.stem)):
                yield source.sensor, item, source.bands
        return
    told = any(item.split for item in items)
    chosen: Iterable[Item] = (
        (item for item in items if item.split == split) if told else split_by_place(items)[split]
    )
    for item in chosen:
        yield None, item, None


def _source_of(item: Item, folder: Path) -> _Source | None:
    path = item.path.relative_to(folder).as_posix()
    return next((source for source in _SOURCES if fnmatch(path, source.pattern)), None)


def _drawn(stem: str) -> str:
    """Return the split of a numbered place."""
    return TEST if stem.isdigit() and int(stem) % 5 == 0 else TRAIN


def _read(
    sensor: Sensor | None, item: Item, bands: int | None, leave: Callable[[str], None]
) -> Taken | None:
    """Return the image of a scene, if it is one."""
    scene = read_item(item)
    sensor = sensor or _BY_BANDS.get(len(scene.image))
    reason = _reason(scene, sensor, bands)
    if sensor is None or reason:
        leave(f"{item.path.name}: {reason}")
        return None
    samples = scene.image[:bands].clip(0).astype(np.uint16)
    return Taken(sensor, item.place, item.path.stem, samples)


def _reason(scene: Scene, sensor: Sensor | None, bands: int | None) -> str:
    """Return why a scene is left out, empty where it is not."""
    image = scene.image[:bands]
    if sensor is None or len(image) < (bands or 1):
        return f"{len(scene.image)} bands"
    if image.dtype.itemsize < 2:
        return f"samples of {image.dtype}"
    if (image < 0).mean() > _MOST_NEGATIVE or (~image.any(axis=0)).mean() > _MOST_WITHOUT:
        return "no data in much of it"
    return ""
