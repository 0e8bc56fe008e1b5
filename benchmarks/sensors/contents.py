"""Contents: kinds of images that are measured apart, and single scenes of them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.table import BETTER_KLT
from ground.scene import Scene
from onboard.codec.lapped.codec import MAX_SCENE_BANDS
from onboard.codec.lapped.part import MAX_BANDS
from onboard.image.files import Image

PER_BAND = "jp2"


@dataclass(frozen=True)
class Content:
    """A kind of images.

    Attributes:
        key: its name in results, and of a folder of such scenes.
        label: its name for people.
        reference: the rival that counts: `BETTER_KLT`, or `PER_BAND` of one band. Of a mosaic the
            KLT is that of its colours, demosaiced, and a band is a plane.
    """

    key: str
    label: str
    reference: str


CONTENTS = (
    Content("bands4", "4 bands", BETTER_KLT),
    Content("bands6_7", "6 and 7 bands", BETTER_KLT),
    Content("bands10_12", "10 to 12 bands", BETTER_KLT),
    Content("cube", "more than 16 bands", BETTER_KLT),
    Content("rgb8", "RGB, 8 bits", BETTER_KLT),
    Content("rgb11", "RGB, 11 to 16 bits", BETTER_KLT),
    Content("pan", "panchromatic", PER_BAND),
    Content("bayer", "Bayer mosaic", BETTER_KLT),
    Content("thermal_noisy", "thermal, noisy", PER_BAND),
    Content("thermal_smooth", "thermal, smooth", PER_BAND),
)
"""In the order of the table."""
KEYS = tuple(content.key for content in CONTENTS)


def content_of(scene: Scene) -> str:
    """Return the key of a scene's content by its bands and sample type; empty where it has none.

    Of one band it is taken to be panchromatic: nothing in an image tells it from thermal.
    """
    bands = len(scene.image)
    if bands == 3:
        return "rgb8" if scene.header().significant_bits <= 8 else "rgb11"
    ranges = {
        "pan": (1, 1),
        "bands4": (4, 4),
        "bands6_7": (5, 8),
        "bands10_12": (9, MAX_BANDS),
        "cube": (MAX_BANDS + 1, MAX_SCENE_BANDS),
    }
    return next((key for key, (low, high) in ranges.items() if low <= bands <= high), "")


@dataclass(frozen=True)
class Sample:
    """A scene to measure.

    Attributes:
        content: key of its content.
        name: name in results.
        place: what it is averaged with first, so that many scenes of one sensor count as one.
        scene: the scene as it is coded, of a mosaic the planes.
        earlier: images of the same sensor, none of them measured here, that a spectral profile is
            made of; only of more than 16 bands.
    """

    content: str
    name: str
    place: str
    scene: Scene
    earlier: tuple[Scene, ...] = ()

    @property
    def original(self) -> Scene:
        """What is decoded, if nothing is lost: of planes the mosaic."""
        return self.scene.joined() if self.scene.bayer else self.scene

    def within(self, side: int) -> "Sample":
        """Return the middle of the scene, of `side` rows and columns at most."""
        rows, cols = (_middle(length, side) for length in self.scene.image.shape[1:])
        image: Image = self.scene.image[:, rows, cols].copy()
        return replace(self, scene=replace(self.scene, image=image, transform=None))


def _middle(length: int, most: int) -> slice:
    first = max(length - most, 0) // 2
    return slice(first, first + min(length, most))


def for_rivals(scene: Scene) -> tuple[NDArray[np.uint16], int]:
    """Return a scene as rivals take it, uint16, and what was added to its samples.

    What has no data is filled with the mean of its band, so that it costs them nothing.
    """
    added = 1 << 15 if scene.image.dtype == np.int16 else 0
    image = scene.image.astype(np.int32) + added
    valid = scene.valid
    if valid.any() and not valid.all():
        image[:, ~valid] = np.rint(image[:, valid].mean(axis=1, keepdims=True))
    return image.astype(np.uint16), added
