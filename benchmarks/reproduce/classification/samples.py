"""Labelled tiles: as many that show what is looked for as ones that show none of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.segmentation.tasks import (
    CULTIVATED,
    UNKNOWN,
    WATER,
    Sample,
    Task,
    standin,
)
from onboard.errors import UsageError

SIDE = 64
"""Rows and columns of a tile, those of the flagship."""
LEAST = 0.1
"""Share of a tile that shows what is looked for, at least; others show none of it."""
_TREES, _BUILT = 2, 5
_LANDSAT = (1, 2, 3, 4)

_WHOLE = replace(CULTIVATED, quartered=False)


def _cover(name: str, value: int) -> Task:
    """Return the task of a class of land cover."""
    pairs = [p for p in CULTIVATED.pairs if "terramind_lulc" in p.label]
    return replace(_WHOLE, name=name, pairs=tuple(replace(p, positive=(value,)) for p in pairs))


TASKS = (
    replace(WATER, bands=_LANDSAT),
    _WHOLE,
    _cover("trees", _TREES),
    _cover("built", _BUILT),
)
"""Stand-ins for sea, forest, urban fabric and waterbodies of BigEarthNet: blue, green, red, NIR."""


@dataclass(frozen=True)
class Tiles:
    """Labelled tiles of a task.

    Attributes:
        task: name.
        scenes: images that they are tiles of, (bands, rows, cols).
        boxes: int64 (tiles, 3): number of the scene, tile row, tile column.
        labels: bool (tiles,).
        places: of each tile; those of one place never part.
        sites: where each lies, as a whole: of few sites the halves are places of their own.
    """

    task: str
    scenes: Sequence[NDArray[np.uint16]]
    boxes: NDArray[np.int64]
    labels: NDArray[np.bool_]
    places: Sequence[str]
    sites: Sequence[str]

    @property
    def mixed(self) -> int:
        """Sites with tiles of both labels: of others the site alone tells the label."""
        with_label = [
            {site for site, label in zip(self.sites, self.labels, strict=True) if label == wanted}
            for wanted in (False, True)
        ]
        return len(with_label[0] & with_label[1])

    def cut(self, images: Sequence[NDArray[np.uint16]]) -> NDArray[np.uint16]:
        """Return the tiles (tiles, bands, SIDE, SIDE) of the scenes or of what is left of them."""
        return np.stack(
            [
                images[scene][:, row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE]
                for scene, row, col in self.boxes.tolist()
            ]
        )


def labelled(root: Path | None, most: int, leave: Callable[[str], None]) -> list[Tiles]:
    """Return the tiles of all tasks of which there are any.

    Args:
        root: folder of data; None for procedural scenes, with one task.
        most: most tiles of each label.
        leave: told what is left out.

    Raises:
        UsageError: there are none.
    """
    if root is None:
        return [_balanced("vegetation", standin(8, 2 * SIDE), most, of_median=True)]
    found = _of_tasks(root, _balanced, most, leave, "tiles of both labels and two places")
    if not found:
        raise UsageError(f"{root}: expected tiles of a task, found none")
    return found


def within_sites(root: Path | None, most: int, leave: Callable[[str], None]) -> list[Tiles]:
    """Return tiles of the tasks that show more and less of it than others of their site.

    Of each site there are as many of both labels, so that no site tells a label, and sites never
    part. Arguments as of `labelled`.
    """
    if root is None:
        return [_contrasted("vegetation", standin(8, 2 * SIDE), most)]
    return _of_tasks(root, _contrasted, most, leave, "two sites with more and less of it")


def _of_tasks(
    root: Path,
    choose: Callable[[str, Sequence[Sample], int], Tiles],
    most: int,
    leave: Callable[[str], None],
    expected: str,
) -> list[Tiles]:
    """Return the tiles chosen of each task, but for those of fewer than two places."""
    found = []
    for task in TASKS:
        tiles = choose(task.name, task.samples(root, leave), most)
        if len(set(tiles.places)) < 2:
            leave(f"{task.name}: expected {expected}")
        else:
            found.append(tiles)
    return found


def _contrasted(task: str, samples: Sequence[Sample], most: int) -> Tiles:
    """Return the tiles of each site that differ most, as pairs of one with more and one with less.

    The labels of a pair differ by a share of `LEAST` at least; sites have as many pairs as fit.
    """
    by_site: dict[str, list[_Found]] = {}
    for found in sorted(_known(samples), key=lambda found: found.share):
        by_site.setdefault(found.site, []).append(found)
    room = max(most // max(len(by_site), 1), 1)
    pairs: list[tuple[_Found, _Found]] = []
    for _, found_here in sorted(by_site.items()):
        outermost = zip(found_here, reversed(found_here), strict=True)
        some = list(outermost)[: min(room, len(found_here) // 2)]
        pairs += [(less, more) for less, more in some if more.share - less.share >= LEAST]
    pairs = pairs[:most]
    chosen = [*(less for less, _ in pairs), *(more for _, more in pairs)]
    return _tiles(task, samples, chosen, [found.site for found in chosen])


def _balanced(task: str, samples: Sequence[Sample], most: int, of_median: bool = False) -> Tiles:
    """Return as many tiles of each label, spread evenly over what there is."""
    found = list(_known(samples))
    shares = np.array([one.share for one in found])
    least = float(np.median(shares)) if of_median else LEAST
    some = np.flatnonzero(shares > least)
    none = np.flatnonzero(shares <= least if of_median else shares == 0)
    count = min(len(some), len(none), most)
    picked = [part[np.arange(count) * len(part) // max(count, 1)] for part in (none, some)]
    chosen = [found[i] for i in np.concatenate(picked).tolist()]
    # Few sites are far apart: what is above is told from what is below.
    of_site = len(samples) > 100
    return _tiles(task, samples, chosen, [one.site if of_site else one.half for one in chosen])


@dataclass(frozen=True)
class _Found:
    """A tile of a sample.

    Attributes:
        box: number of the sample, tile row, tile column.
        share: how much of what is known of it shows what is looked for.
        site: where it lies.
        half: the same, the upper half or the lower one.
    """

    box: tuple[int, int, int]
    share: float
    site: str
    half: str


def _known(samples: Sequence[Sample]) -> Iterator[_Found]:
    """Yield the tiles of which more than half is known."""
    for number, sample in enumerate(samples):
        tall, wide = (side // SIDE for side in sample.mask.shape)
        for row, col in np.ndindex(tall, wide):
            mask = sample.mask[row * SIDE :, col * SIDE :][:SIDE, :SIDE]
            known = mask != UNKNOWN
            if known.mean() > 1 / 2:
                half = f"{sample.place} {2 * row // max(tall, 1)}"
                yield _Found((number, row, col), float(mask[known].mean()), sample.place, half)


def _tiles(
    task: str, samples: Sequence[Sample], chosen: Sequence[_Found], places: Sequence[str]
) -> Tiles:
    """Return tiles, the first half of which shows none, or less."""
    boxes = np.array([found.box for found in chosen], np.int64).reshape(-1, 3)
    used = sorted(set(boxes[:, 0].tolist()))
    boxes[:, 0] = np.searchsorted(used, boxes[:, 0])
    labels = np.repeat([False, True], len(chosen) // 2)
    sites = [found.site for found in chosen]
    return Tiles(task, [samples[i].image for i in used], boxes, labels, places, sites)
