"""Samples: the scenes that are measured, of a folder of data or without one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from benchmarks.sensors.bayer import PATTERN
from benchmarks.sensors.catalogue import CATALOGUE
from benchmarks.sensors.contents import KEYS, Sample, content_of
from benchmarks.sensors.standins import SIDE, standins
from ground.scene import Scene
from ground.scenes.folders import Item, find_scenes, read_item

MOST = 512
"""Rows and columns of a scene that is taken as it lies in a folder."""
_MOST_OF_CUBE = 256
_MOST_EARLIER = 4
"""Images of a folder that a spectral profile is made of."""


def samples(
    folder: Path | None, quick: bool = False, leave: Callable[[str], None] = lambda _text: None
) -> Iterator[Sample]:
    """Yield what is measured.

    Of a folder that has files of the catalogue, its scenes; of another, every scene in it, by the
    name of the folder at its top where that is a content, else by `content_of`. Without a folder,
    procedural scenes.

    Args:
        folder: folder of data; None without one.
        quick: the first scene of each content alone, and no more than 192 pixels of its sides.
        leave: called with what is left out, and why.

    Raises:
        InputError: no such folder, no scene in it, or one that cannot be read.
    """
    seen: set[str] = set()
    for sample in _all(folder, leave):
        if not (quick and sample.content in seen):
            seen.add(sample.content)
            yield sample.within(192) if quick else sample


def _all(folder: Path | None, leave: Callable[[str], None]) -> Iterator[Sample]:
    if folder is None:
        yield from standins(SIDE)
        return
    found = [e for e in CATALOGUE if all((folder / name).is_file() for name in e.files)]
    if found:
        for entry in CATALOGUE:
            if entry not in found:
                leave(f"{entry.name}: not below {folder}")
        yield from (entry.read(folder) for entry in found)
        return
    items = find_scenes(folder)
    for item in items:
        scene = read_item(item)
        top = item.path.relative_to(folder).parts[0]
        content = top if top in KEYS else content_of(scene)
        name = item.path.relative_to(folder).as_posix()
        if content == "bayer":
            scene = scene.split(PATTERN)
        if not content:
            leave(f"{name}: no content of {len(scene.image)} bands")
            continue
        if content == "cube":
            scene, earlier = _with_earlier(item, scene, items)
            yield Sample(content, name, item.place, scene, earlier).within(_MOST_OF_CUBE)
        else:
            yield Sample(content, name, item.place, scene).within(MOST)


def _with_earlier(
    item: Item, scene: Scene, items: Sequence[Item]
) -> tuple[Scene, tuple[Scene, ...]]:
    """Return what is measured of a cube, and what its profile is made of.

    That is others of its sensor in its folder; where there are none, the scene's upper two thirds,
    and its lower third alone is measured.
    """
    beside = [i for i in items if i.path.parent == item.path.parent and i.path != item.path]
    form = len(scene.image), scene.image.dtype
    found = (read_item(other) for other in beside)
    alike = (other for other in found if (len(other.image), other.image.dtype) == form)
    if earlier := tuple(islice(alike, _MOST_EARLIER)):
        return scene, earlier
    lines = scene.image.shape[1]
    cut = lines - lines // 3
    upper, lower = (
        replace(scene, image=part, transform=None)
        for part in (scene.image[:, :cut], scene.image[:, cut:])
    )
    return lower, (upper,)
