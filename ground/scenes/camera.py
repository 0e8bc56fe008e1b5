"""Images of one camera: a folder of them, what they have in common, and which are held back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ground.products.geotiff import read
from ground.scene import Scene
from ground.scenes.folders import MASK_SUFFIX
from onboard.errors import InputError
from onboard.image.files import Image

MOST_IMAGES = 40
"""That are read, evenly over those there are."""
MOST_SIDE = 1024
"""Rows and columns of an image that are taken, from its middle."""
_HELD_BACK = 5
"""One image of so many."""


@dataclass(frozen=True)
class Camera:
    """What all images of a camera have in common.

    Attributes:
        bands: bands.
        bits: significant bits of a sample.
    """

    bands: int
    bits: int

    @classmethod
    def of(cls, scene: Scene) -> "Camera":
        """Return the camera of a scene."""
        return cls(len(scene.image), scene.header().significant_bits)

    def __str__(self) -> str:
        return f"{self.bands} {'band' if self.bands == 1 else 'bands'} of {self.bits} bits"


@dataclass(frozen=True)
class CameraImages:
    """Images of a camera, in two parts that share no pixel.

    Attributes:
        camera: what they have in common.
        training: images to fit to.
        held_back: images to try on.
        told: how they were parted and what was left out, in words.
    """

    camera: Camera
    training: list[Scene]
    held_back: list[Scene]
    told: str


def find_images(folder: Path) -> list[Path]:
    """Return GeoTIFFs and raw files with an ENVI header below a folder, sorted; no masks.

    Raises:
        InputError: no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none")
    files = {p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(MASK_SUFFIX)}
    images = {path for path in files if path.suffix.lower() in (".tif", ".tiff")}
    for header in (path for path in files if path.suffix.lower() == ".hdr"):
        images |= {
            p for p in files - {header} if header in (Path(f"{p}.hdr"), p.with_suffix(".hdr"))
        }
    if not images:
        raise InputError(f"{folder}: expected *.tif, or raw files with an ENVI *.hdr, found none")
    return sorted(images)


def read_camera(
    folder: Path, tile: Callable[[Camera], int], significant_bits: int | None = None
) -> CameraImages:
    """Read the images of a camera: those of a folder that most others are like.

    One of five is held back; of a single image, its right half.

    Args:
        folder: folder of images.
        tile: function that gives the side of a tile of a camera's scenes.
        significant_bits: bits of a sample in use; None takes what the files tell.

    Raises:
        InputError: see `find_images`; a file cannot be read; the only image is too narrow.
    """
    paths = find_images(folder)
    chosen = paths[:: -(-len(paths) // MOST_IMAGES)]
    scenes = [_middle(read(path)) for path in chosen]
    if significant_bits is not None:
        scenes = [replace(scene, significant_bits=significant_bits) for scene in scenes]
    counts = Counter(Camera.of(scene) for scene in scenes)
    camera, count = counts.most_common(1)[0]
    own = [scene for scene in scenes if Camera.of(scene) == camera]
    told = f"{len(paths)} images, {count} of {camera} read"
    others = ", ".join(f"{n} of {other}" for other, n in counts.items() if other != camera)
    if others:
        told += f"; left out: {others}"
    if len(own) == 1:
        left, right = _halves(own[0], tile(camera), chosen[0])
        return CameraImages(camera, [left], [right], f"{told}; its right half is held back")
    held = own[1::_HELD_BACK]
    training = [scene for number, scene in enumerate(own) if number % _HELD_BACK != 1]
    return CameraImages(camera, training, held, f"{told}; {len(held)} held back")


def _middle(scene: Scene) -> Scene:
    rows, cols = scene.image.shape[1:]
    row, col = max(rows - MOST_SIDE, 0) // 2, max(cols - MOST_SIDE, 0) // 2
    return _cut(scene, slice(row, row + MOST_SIDE), slice(col, col + MOST_SIDE))


def _halves(scene: Scene, tile: int, path: Path) -> tuple[Scene, Scene]:
    cols = scene.image.shape[2]
    cut = cols // 2 // tile * tile
    if not cut:
        raise InputError(
            f"{path}: expected several images, or one of at least {2 * tile} columns, found {cols}"
        )
    everything = slice(None)
    return _cut(scene, everything, slice(cut)), _cut(scene, everything, slice(cut, None))


def _cut(scene: Scene, rows: slice, cols: slice) -> Scene:
    """Return a part of a scene; where it lies on the map is not told."""
    image: Image = scene.image[:, rows, cols].copy()
    return replace(scene, image=image, transform=None, crs=None)
