"""Samples: the scenes that are measured, of a folder of data or without one."""

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.sensors.bayer import PATTERN
from benchmarks.sensors.catalogue import CATALOGUE
from benchmarks.sensors.contents import KEYS, Sample, content_of
from benchmarks.sensors.standins import SIDE, standins
from ground.scenes.folders import find_scenes, read_item

MOST = 512
"""Rows and columns of a scene that is taken as it lies in a folder."""


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
    for item in find_scenes(folder):
        scene = read_item(item)
        top = item.path.relative_to(folder).parts[0]
        content = top if top in KEYS else content_of(scene)
        name = item.path.relative_to(folder).as_posix()
        if content == "bayer":
            scene = scene.split(PATTERN)
        if not content:
            leave(f"{name}: no content of {len(scene.image)} bands")
            continue
        yield Sample(content, name, item.place, scene).within(MOST)
