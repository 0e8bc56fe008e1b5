"""Streams: tiles as they come down, features of them and pixels, and what either takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.reproduce.classification.samples import SIDE, Tiles
from ground.decode.decoder import Decoder
from ground.decode.features import features_of_scene
from onboard.bundle import find
from onboard.encoder.array import encode_array
from onboard.image.files import Image
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments

BUNDLE = "skybook"
_ROUNDS = 3
_ACROSS = 8


@dataclass(frozen=True)
class Streamed:
    """Labelled tiles as the ground has them.

    Attributes:
        features: float32 (tiles, features), without decoding.
        pixels: uint16 (tiles, bands, SIDE, SIDE), decoded.
        bytes: of a tile, headers of its scene included.
    """

    features: NDArray[np.float32]
    pixels: NDArray[np.uint16]
    bytes: float


def streamed(tiles: Tiles, ratio: float, decoder: Decoder) -> Streamed:
    """Encode the scenes of tiles at a ratio; take features of what comes down, and decode it."""
    vectors, pictures, length, count = [], [], 0, 0
    for scene in tiles.scenes:
        stream = _encoded(scene, ratio)
        found = features_of_scene(decoder.bundle, read_segments(stream)).arrays["vector"]
        vectors.append(found)
        pictures.append(decoder.decode(stream).scene.image.astype(np.uint16))
        length += len(stream)
        count += scene[0].size
    features = np.stack([vectors[scene][row, col] for scene, row, col in tiles.boxes.tolist()])
    return Streamed(features, tiles.cut(pictures), length * SIDE * SIDE / count)


@dataclass(frozen=True)
class Times:
    """CPU time of a tile, milliseconds.

    Attributes:
        features: from its stream to features.
        decoding: from its stream to pixels.
        backbone: from pixels to features of a network.
    """

    features: float
    decoding: float
    backbone: float

    @property
    def gain(self) -> float:
        """How many times faster features are than pixels and a network on them."""
        return (self.decoding + self.backbone) / self.features


def times(
    tiles: Tiles,
    ratio: float,
    decoder: Decoder,
    backbone: Callable[[NDArray[np.uint16]], object],
    most: int,
) -> Times:
    """Measure on one scene of tiles beside each other, the best of some rounds."""
    cut = tiles.cut(tiles.scenes)
    some = cut[np.arange(most) % len(cut)]
    grid = some.reshape(most // _ACROSS, _ACROSS, *cut.shape[1:]).transpose(2, 0, 3, 1, 4)
    image = grid.reshape(cut.shape[1], most // _ACROSS * SIDE, _ACROSS * SIDE)
    stream = _encoded(image, ratio)

    def of(work: Callable[[], object]) -> float:
        found = []
        for _ in range(_ROUNDS):
            begun = time.process_time()
            work()
            found.append(time.process_time() - begun)
        return 1e3 * min(found) / most

    return Times(
        of(lambda: features_of_scene(decoder.bundle, read_segments(stream))),
        of(lambda: decoder.decode(stream)),
        of(lambda: backbone(some)),
    )


def _encoded(image: Image, ratio: float) -> bytes:
    """Return the plain stream of an image in tiles that have a label each."""
    header = SceneHeader.of(image, tile=SIDE)
    return encode_array(image, BUNDLE, header=header, ratio=ratio, trellis=False)


def open_flagship() -> Decoder:
    """Open the bundle and its decoder network."""
    return Decoder(find(BUNDLE))
