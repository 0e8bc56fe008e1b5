"""JPEG-LS (ISO/IEC 14495-1): lossless, band by band."""

from functools import partial

import numpy as np

from benchmarks.codecs.codec import Coded, OnePass, refuse_budget, samples_of
from ground.scene import Scene
from onboard.image.files import Image


class JpegLs:
    """Lossless JPEG-LS, by CharLS. Each band is a part."""

    variable_rate = False

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code without loss, see `Codec`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        refuse_budget("JPEG-LS", budget)
        image = samples_of(scene)
        return Coded(tuple(bytes(imagecodecs.jpegls_encode(band)) for band in image), image.shape)

    def decode(self, coded: Coded) -> Image:
        """Return the very same samples, see `Codec`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        bands = [imagecodecs.jpegls_decode(band) for band in coded.parts]
        return np.stack(bands).reshape(coded.shape)

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Return the encode itself."""
        return OnePass("per band, NEAR 0 (CharLS)", partial(self.encode, scene))
