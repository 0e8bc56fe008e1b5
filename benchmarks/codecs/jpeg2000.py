"""JPEG 2000: all bands in one codestream, without a band transform."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded, OnePass, budget_of, ratio_of_samples, samples_of
from ground.products.jpeg2000 import jpeg2000_at_bytes, jpeg2000_decode, jpeg2000_encode
from ground.scene import Scene
from onboard.image.files import Image


class Jpeg2000:
    """JPEG 2000 with the 9/7 wavelet, by OpenJPEG."""

    variable_rate = True

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code within a budget, see `Codec`."""
        image = samples_of(scene)
        return Coded((jpeg2000_at_bytes(image, budget_of(scene, budget)),), image.shape)

    def decode(self, coded: Coded) -> Image:
        """Decode the codestream, see `Codec`."""
        return jpeg2000_decode(coded.parts[0])

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Leave the rate to OpenJPEG, which meets a ratio within about 0.5 % either way."""
        encode = partial(_at_ratio, samples_of(scene), ratio_of_samples(scene, ratio))
        return OnePass(f"9/7 wavelet, ratio {ratio}", encode)


def _at_ratio(image: NDArray[np.uint16], ratio: float) -> Coded:
    return Coded((jpeg2000_encode(image, ratio),), image.shape)
