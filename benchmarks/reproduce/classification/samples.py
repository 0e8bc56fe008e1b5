"""Labelled tiles: as many that show what is looked for as ones that show none of it."""

from collections.abc import Callable, Sequence
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
    """

    task: str
    scenes: Sequence[NDArray[np.uint16]]
    boxes: NDArray[np.int64]
    labels: NDArray[np.bool_]
    places: Sequence[str]

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
    found = []
    for task in TASKS:
        tiles = _balanced(task.name, task.samples(root, leave), most)
        if len(set(tiles.places)) < 2:
            leave(f"{task.name}: expected tiles of both labels and two places")
        else:
            found.append(tiles)
    if not found:
        raise UsageError(f"{root}: expected tiles of a task, found none")
    return found


def _balanced(task: str, samples: Sequence[Sample], most: int, of_median: bool = False) -> Tiles:
    """Return as many tiles of each label, spread evenly over what there is."""
    rows = []
    for number, sample in enumerate(samples):
        tall, wide = (side // SIDE for side in sample.mask.shape)
        for row, col in np.ndindex(tall, wide):
            mask = sample.mask[row * SIDE :, col * SIDE :][:SIDE, :SIDE]
            known = mask != UNKNOWN
            if known.mean() > 1 / 2:
                # Few places are far apart: what is above is told from what is below.
                half = f"{sample.place} {2 * row // max(tall, 1)}"
                place = sample.place if len(samples) > 100 else half
                rows.append((number, row, col, float(mask[known].mean()), place))
    shares = np.array([row[3] for row in rows])
    least = float(np.median(shares)) if of_median else LEAST
    some = np.flatnonzero(shares > least)
    none = np.flatnonzero(shares <= least if of_median else shares == 0)
    count = min(len(some), len(none), most)
    chosen = [part[np.arange(count) * len(part) // max(count, 1)] for part in (none, some)]
    picked = np.concatenate(chosen)
    boxes = np.array([rows[i][:3] for i in picked.tolist()], np.int64).reshape(-1, 3)
    labels = np.repeat([False, True], count)
    places = [rows[i][4] for i in picked.tolist()]
    used = sorted(set(boxes[:, 0].tolist()))
    boxes[:, 0] = np.searchsorted(used, boxes[:, 0])
    return Tiles(task, [samples[i].image for i in used], boxes, labels, places)
