"""JPEG 2000 after a KLT across bands: the stronger of the classical codecs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded, OnePass, budget_of, ratio_of_samples, samples_of
from benchmarks.codecs.klt import Klt, side_bytes
from ground.products.jpeg2000 import jpeg2000_at_bytes, jpeg2000_decode, jpeg2000_encode
from ground.scene import Scene
from onboard.errors import LimitError
from onboard.image.files import Image


@dataclass(frozen=True)
class KltJpeg2000:
    """A KLT, and JPEG 2000 of the rotated bands. Basis and means are the first part sent.

    Attributes:
        covariance: function of an image (bands, rows, cols) that gives the covariance (bands,
            bands) whose KLT is taken.
        tile: side of the tiles, pixels, whose packets have markers around them; None for one tile
            without markers.
    """

    covariance: Callable[[NDArray[np.uint16]], NDArray[np.float64]]
    tile: int | None = None
    variable_rate = True

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code within a budget, see `Codec`."""
        image, budget = samples_of(scene), budget_of(scene, budget)
        side = side_bytes(len(image))
        if budget <= side:
            raise LimitError(f"KLT + JPEG 2000: expected more than {side} bytes, found {budget}")
        klt = Klt.of(image, self.covariance(image))
        stream = jpeg2000_at_bytes(klt.rotate(image), budget - side, self.tile)
        return Coded((klt.pack(), stream), image.shape)

    def decode(self, coded: Coded) -> Image:
        """Decode the codestream and rotate back, see `Codec`."""
        side, stream = coded.parts
        return Klt.unpack(side).rotate_back(jpeg2000_decode(stream))

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Leave the rate to OpenJPEG; the KLT is part of the pass, its side bytes come on top."""
        setting = f"9/7 wavelet, ratio {ratio}, KLT included"
        ratio = ratio_of_samples(scene, ratio)
        return OnePass(setting, partial(self._at_ratio, samples_of(scene), ratio))

    def _at_ratio(self, image: NDArray[np.uint16], ratio: float) -> Coded:
        klt = Klt.of(image, self.covariance(image))
        stream = jpeg2000_encode(klt.rotate(image), ratio, self.tile)
        return Coded((klt.pack(), stream), image.shape)
