"""CCSDS 121.0-B-3: lossless, band by band, an adaptive Rice coder after a unit-delay predictor."""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.codecs.codec import Coded, OnePass, refuse_budget, samples_of
from ground.scene import Scene
from onboard.image.files import Image

BLOCK_SAMPLES, REFERENCE_BLOCKS = 16, 64
"""J samples of a block, r blocks from one reference sample to the next."""


class Ccsds121:
    """CCSDS 121.0, by libaec. Each band is a part."""

    variable_rate = False

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code without loss, see `Codec`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        refuse_budget("CCSDS 121.0", budget)
        image, form = samples_of(scene), _form()
        return Coded(
            tuple(bytes(imagecodecs.aec_encode(band, **form)) for band in image), image.shape
        )

    def decode(self, coded: Coded) -> Image:
        """Return the very same samples, see `Codec`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        image, form = np.empty(coded.shape, np.uint16), _form()
        for band, packed in zip(image, coded.parts, strict=True):
            imagecodecs.aec_decode(packed, **form, out=band)
        return image

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Return the encode itself."""
        blocks = f"blocks of {BLOCK_SAMPLES}, reference every {REFERENCE_BLOCKS} blocks"
        return OnePass(f"per band, {blocks} (libaec)", partial(self.encode, scene))


def _form() -> dict[str, Any]:
    """Return libaec's words for the samples and blocks."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    predict = imagecodecs.AEC.FLAG.DATA_PREPROCESS
    form = {"bitspersample": 16, "blocksize": BLOCK_SAMPLES, "rsi": REFERENCE_BLOCKS}
    return form | {"flags": predict}
