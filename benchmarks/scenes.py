"""Scenes of the benchmarks: the spyndex scene, and every GeoTIFF below a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene
from ground.scenes.folders import find_scenes, read_item
from ground.scenes.spyndex import spyndex_scene

LEAST_SCENE = 224
"""Scenes with a shorter side count as patches and are reported apart."""


@dataclass(frozen=True)
class BenchmarkScene:
    """A scene, its place, and the group it is reported under: summary, patches or spyndex."""

    name: str
    place: str
    group: str
    scene: Scene


def benchmark_scenes(folder: Path | None, bands: int) -> Iterator[BenchmarkScene]:
    """Yield the spyndex scene, then the scenes below `folder` that have `bands` bands."""
    spyndex = spyndex_scene()
    if spyndex.image.shape[0] == bands:
        yield BenchmarkScene("spyndex", "spyndex", "spyndex", spyndex)
    for item in find_scenes(folder) if folder else ():
        scene = read_item(item)
        if scene.image.shape[0] == bands:
            group = "summary" if min(scene.image.shape[1:]) >= LEAST_SCENE else "patches"
            yield BenchmarkScene(item.path.stem, item.place, group, scene)


def mirrored(image: NDArray[Any], side: int) -> NDArray[Any]:
    """Return an image (bands, rows, cols) continued symmetrically to a square."""
    fill = ((0, 0), *((0, max(side - own, 0)) for own in image.shape[1:]))
    return np.pad(image, fill, mode="symmetric")[:, :side, :side]


def mosaic(rows: int, cols: int) -> NDArray[np.uint16]:
    """Return the spyndex scene mirrored at its borders to uint16 (4, rows, cols)."""
    image = spyndex_scene().image.astype(np.uint16)
    fill = [
        (0, 0),
        *(
            (0, max(want - have, 0))
            for want, have in zip((rows, cols), image.shape[1:], strict=True)
        ),
    ]
    mirrored: NDArray[np.uint16] = np.pad(image, fill, mode="symmetric")[:, :rows, :cols]
    return np.ascontiguousarray(mirrored)
