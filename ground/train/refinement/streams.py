"""Streams of a bundle as its decoder gives them to the network, beside what they were made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.decoder import Decoder
from ground.decode.lapped.synthesis import CELL
from ground.decode.rebuilder import Network
from ground.scene import Scene
from ground.scenes.folders import Item, read_item
from ground.train.refinement.cameras import present
from onboard.bundle import find, load
from onboard.encoder import Encoder, Options
from onboard.errors import InputError
from onboard.link.header import SceneHeader

LARGEST_SIDE = 512
"""Pixels; of a larger scene a window of so many rows and columns is coded."""
LOST = 0.05
"""Share of the segments that a stream loses, if it loses any."""
_LOST_COUNTS = 0.05
"""What the error counts where segments are missing: what they said cannot be rebuilt."""


@dataclass(frozen=True)
class Coding:
    """How a scene is coded.

    Attributes:
        ratio: raw bytes over bytes.
        trellis: whether indices are chosen along a trellis.
        fitted: whether tiles are as large as suits the scene, not the usual ones; those along a
            trellis always are.
        lost: share of the segments that do not arrive.
    """

    ratio: float
    trellis: bool
    fitted: bool = False
    lost: float = 0.0


@dataclass(frozen=True)
class Shown:
    """What the network is shown of a stream, and what that should have become.

    Attributes:
        maps: its inputs: image in DN, step, known and border of its cells, float32 (planes, rows,
            cols) each.
        original: float32 (bands, rows, cols) DN, of the size of the image.
        counts: float32 (1, rows, cols), what the error of each pixel counts.
        error: mean of what the squared error of the image counts, DN^2.
    """

    maps: tuple[NDArray[np.float32], ...]
    original: NDArray[np.float32]
    counts: NDArray[np.float32]
    error: float

    def crop(self, side: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
        """Return maps, original and counts of a square of whole cells at a place drawn."""
        rows, cols = (
            int(rng.integers((length - side) // CELL + 1)) for length in self.original.shape[1:]
        )
        cells = slice(rows, rows + side // CELL), slice(cols, cols + side // CELL)
        pixels = tuple(slice(CELL * part.start, CELL * part.stop) for part in cells)
        image, *of_cells = self.maps
        return (
            image[:, *pixels],
            *(part[:, *cells] for part in of_cells),
            self.original[:, *pixels],
            self.counts[:, *pixels],
        )


class _Witness:
    """Stands in for the network and keeps what it is shown."""

    def __init__(self) -> None:
        self.maps: tuple[NDArray[np.float32], ...] = ()

    def run(self, maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Keep copies, since what is returned is changed further on."""
        self.maps = tuple(part[0].copy() for part in maps)
        return maps[0]


class Streams:
    """Scenes, the encoder of a bundle and its decoder up to the network."""

    def __init__(self, bundle: str, border_weight: float = 1.0) -> None:
        """Open encoder and decoder.

        Args:
            bundle: name or path of a lapped bundle.
            border_weight: what an error within 4 pixels of a tile's border counts.
        """
        self._encoder = Encoder(load(bundle))
        self._decoder = Decoder(find(bundle), linear=True)
        self._witness = _Witness()
        self._decoder.network = Network(self._witness, 0, 1)
        self._border_weight = border_weight

    def shown(self, scene: Scene, coding: Coding, rng: np.random.Generator) -> Shown:
        """Return what the network is shown of a scene's stream.

        Args:
            scene: at most `LARGEST_SIDE` rows and columns, which are shown at once.
            coding: how it is coded.
            rng: draws the segments that are lost.
        """
        header = SceneHeader.of(scene.image, nodata=scene.nodata)
        if not (coding.fitted or coding.trellis):
            header = replace(header, tile=self._encoder.bundle.to_encode(header).tile)
        options = Options(ratio=coding.ratio, trellis=coding.trellis)
        first, *segments, end = self._encoder.encode(scene.image, header, options)
        arrived = (segment for segment in segments if rng.random() >= coding.lost)
        self._decoder.decode(b"".join((first, *arrived, end)), salvage=False)
        return self._compared(scene)

    def _compared(self, scene: Scene) -> Shown:
        image, _, known, border = self._witness.maps
        margin = [(0, a - b) for a, b in zip(image.shape, scene.image.shape, strict=True)]
        original = np.pad(scene.image, margin, "edge").astype(np.float32)
        near = (border != 0).any(0, keepdims=True)
        of_cells = np.where(near, self._border_weight, 1.0) * np.where(known < 1, _LOST_COUNTS, 1.0)
        counts = of_cells.repeat(CELL, 1).repeat(CELL, 2).astype(np.float32)
        counts *= np.pad(present(scene), margin[1:])
        error = float((np.square(image - original) * counts).mean())
        return Shown(self._witness.maps, original, counts, error)


def read_scenes(
    items: Sequence[Item], bundle: str, side: int, tell: Callable[[str], None]
) -> list[Scene]:
    """Return the scenes that the network of a bundle is for, smaller ones continued to `side`.

    That are scenes of u16 and of the bands that the bundle was trained on; others are left out.

    Raises:
        InputError: a scene cannot be read, or there is none of that kind.
    """
    bands, found = load(bundle).bands, []
    for item in items:
        scene = read_item(item)
        if len(scene.image) == bands and scene.image.dtype == np.uint16:
            margin = [(0, max(side - length, 0)) for length in scene.image.shape[1:]]
            image: NDArray[np.uint16] = np.pad(scene.image, [(0, 0), *margin], "symmetric")
            found.append(Scene(image, scene.nodata))
    if not found:
        raise InputError(f"training: expected scenes of {bands} bands of u16, found none")
    left = len(items) - len(found)
    tell(f"{len(found)} scenes" + (f"; left out: {left} of other bands or samples" if left else ""))
    return found


def window_of(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return a scene, or a window of it at a place drawn."""
    lengths = scene.image.shape[1:]
    starts = [int(rng.integers(max(length - LARGEST_SIDE, 0) + 1)) for length in lengths]
    rows, cols = (slice(start, start + LARGEST_SIDE) for start in starts)
    window: NDArray[Any] = np.ascontiguousarray(scene.image[:, rows, cols])
    return replace(scene, image=window)
