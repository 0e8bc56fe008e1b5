"""A bundle's encoder and decoder, and what is measured of their images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard.encoder import Encoder
from onboard.image.nodata import has_data


@dataclass(frozen=True)
class Coders:
    """A bundle's encoder and decoder."""

    encoder: Encoder
    decoder: Decoder


def largest_error(scene: Scene, decoded: NDArray[Any]) -> int:
    """Return by how much a sample of a pixel that has data is off, at most."""
    off = np.abs(decoded.astype(np.int64) - scene.image)
    return int((off * has_data(scene.image, scene.nodata)).max())


def mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))
