"""The modulated hyperprior as a coder that a quality can be asked of, as the paper asks it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np

from benchmarks.codecs.modulated.codec import ModulatedCodec
from benchmarks.codecs.modulated.lambdas import BLOCKS
from benchmarks.codecs.modulated.model import load
from ground.metrics import PEAK_16_BIT
from ground.scene import Scene
from onboard.image.files import Image


@dataclass(frozen=True)
class Modulated:
    """The network with the regression of a sensor.

    Attributes:
        codec: the codec for the sensor.
    """

    codec: ModulatedCodec
    blocks: tuple[int, ...] = BLOCKS

    def code(self, scene: Scene, psnr: float, block: int) -> tuple[int, Image]:
        """Code each band as a frame and decode it, see `QualityCoder`."""
        image = scene.image.astype(np.uint16, copy=False)
        target = PEAK_16_BIT**2 / 10 ** (psnr / 10)
        coded = self.codec.encode_at(image, self.codec.lambdas_for(image, target, block))
        return coded.length, self.codec.decode(coded)

    def least_percents(self, _scene: Scene, _psnr: float) -> Mapping[int, float]:
        """Return nothing: a code length of a part of a band is not known."""
        return {}


@cache
def modulated(sensor: str) -> Modulated | None:
    """Return the network that skybook has for a sensor; None where it has none, or torch is not."""
    if not find_spec("torch"):
        return None
    model = load()
    return Modulated(model.codec(sensor)) if sensor in model.sensors else None
