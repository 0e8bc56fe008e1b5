"""Classical codecs that spend a given number of bytes: JPEG 2000 per band and after a KLT, HTJ2K.

A karhunen-loeve transform (KLT) across bands decorrelates them before JPEG 2000. Its basis comes
either from the covariance of the scene's values or from that of its 2x2-averaged gradients, which
is the stronger one. The better of the two is the baseline that counts.
"""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.htj2k import htj2k_at_bytes, htj2k_decode
from benchmarks.codecs.klt import KLT_BYTES_PER_BAND, gradient_covariance, rotate, scene_covariance
from ground.products.geotiff import jpeg2000_at_bytes, jpeg2000_decode
from onboard.errors import LimitError
from onboard.image.files import Image

Coded = tuple[int, Image]
"""Bytes spent, all side information included, and the decoded image."""


def jpeg2000(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code all bands in one JPEG 2000 codestream of at most `budget` bytes, no band transform."""
    stream = jpeg2000_at_bytes(image, budget)
    return len(stream), jpeg2000_decode(stream)


def jpeg2000_scene_klt(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code after a KLT from the covariance of the scene's values."""
    return _jpeg2000_klt(image, budget, scene_covariance(image))


def jpeg2000_gradient_klt(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code after a KLT from the covariance of the gradients of the 2x2-averaged scene."""
    return _jpeg2000_klt(image, budget, gradient_covariance(image))


def _jpeg2000_klt(image: NDArray[np.uint16], budget: int, covariance: NDArray[np.float64]) -> Coded:
    """Rotate the bands, code, rotate back. The int16 basis and the means count as bytes."""
    bands = image.shape[0]
    side = KLT_BYTES_PER_BAND * bands * (bands + 1)
    if budget <= side:
        raise LimitError(f"KLT + JPEG 2000: expected more than {side} bytes, found {budget}")
    rotated = rotate(image, covariance)
    stream = jpeg2000_at_bytes(rotated.image, budget - side)
    return len(stream) + side, rotated.back(jpeg2000_decode(stream))


def htj2k(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code all bands in one HTJ2K codestream of at most `budget` bytes, no band transform."""
    stream = htj2k_at_bytes(image, budget)
    return len(stream), htj2k_decode(stream, image.shape)


BASELINES: dict[str, Callable[[NDArray[np.uint16], int], Coded]] = {
    "jp2": jpeg2000,
    "jp2_scene_klt": jpeg2000_scene_klt,
    "jp2_gradient_klt": jpeg2000_gradient_klt,
}
KLTS = ("jp2_scene_klt", "jp2_gradient_klt")
LEFT_OUT: dict[str, str] = {}
"""Baselines that cannot run here, and why."""
if find_spec("imagecodecs"):
    BASELINES["htj2k"] = htj2k
else:
    LEFT_OUT["htj2k"] = "imagecodecs is not installed; pip install 'skybook[bench]'"
LABELS = {
    "jp2": "JPEG 2000 per band",
    "jp2_scene_klt": "JPEG 2000 after scene KLT",
    "jp2_gradient_klt": "JPEG 2000 after gradient KLT",
    "jp2_klt": "JPEG 2000, better KLT",
    "htj2k": "HTJ2K per band",
}
