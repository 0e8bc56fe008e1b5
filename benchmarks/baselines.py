"""Classical codecs that spend a given number of bytes: JPEG 2000 per band and after a KLT.

A karhunen-loeve transform (KLT) across bands decorrelates them before JPEG 2000. Its basis comes
either from the covariance of the scene's values or from that of its 2x2-averaged gradients, which
is the stronger one. The better of the two is the baseline that counts.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ground.geotiff import jpeg2000_at_bytes, jpeg2000_decode
from onboard.errors import InputError
from onboard.rawimage import Image

KLT_BYTES_PER_BAND = 2
OFFSET = 32_768

Coded = tuple[int, Image]
"""Bytes spent, all side information included, and the decoded image."""


def jpeg2000(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code all bands in one JPEG 2000 codestream of at most `budget` bytes, no band transform."""
    stream = jpeg2000_at_bytes(image, budget)
    return len(stream), jpeg2000_decode(stream)


def jpeg2000_scene_klt(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code after a KLT from the covariance of the scene's values."""
    flat = image.reshape(image.shape[0], -1).astype(np.float64)
    return _jpeg2000_klt(image, budget, np.atleast_2d(np.cov(flat)))


def jpeg2000_gradient_klt(image: NDArray[np.uint16], budget: int) -> Coded:
    """Code after a KLT from the covariance of the gradients of the 2x2-averaged scene."""
    bands, rows, cols = image.shape
    even = image[:, : rows // 2 * 2, : cols // 2 * 2].astype(np.float64)
    small = even.reshape(bands, rows // 2, 2, cols // 2, 2).mean(axis=(2, 4))
    across = np.diff(small, axis=2).reshape(bands, -1)
    down = np.diff(small, axis=1).reshape(bands, -1)
    return _jpeg2000_klt(image, budget, across @ across.T + down @ down.T)


def _jpeg2000_klt(image: NDArray[np.uint16], budget: int, covariance: NDArray[np.float64]) -> Coded:
    """Rotate the bands, code, rotate back. The int16 basis and the means count as bytes."""
    bands = image.shape[0]
    basis = np.linalg.eigh(covariance)[1][:, ::-1].T
    basis = np.rint(basis * 32_767) / 32_767
    means = np.rint(image.mean(axis=(1, 2)))[:, None]
    flat = image.reshape(bands, -1).astype(np.float64)
    rotated = np.clip(np.rint(basis @ (flat - means)) + OFFSET, 0, 65_535)
    side = KLT_BYTES_PER_BAND * bands * (bands + 1)
    if budget <= side:
        raise InputError(f"KLT + JPEG 2000: expected more than {side} bytes, found {budget}")
    stream = jpeg2000_at_bytes(rotated.astype(np.uint16).reshape(image.shape), budget - side)
    decoded = jpeg2000_decode(stream).reshape(bands, -1).astype(np.float64) - OFFSET
    back = np.linalg.inv(basis) @ decoded + means
    clipped = np.clip(np.rint(back), 0, 65_535).astype(np.uint16)
    return len(stream) + side, clipped.reshape(image.shape)


BASELINES: dict[str, Callable[[NDArray[np.uint16], int], Coded]] = {
    "jp2": jpeg2000,
    "jp2_scene_klt": jpeg2000_scene_klt,
    "jp2_gradient_klt": jpeg2000_gradient_klt,
}
LABELS = {
    "jp2": "JPEG 2000 per band",
    "jp2_scene_klt": "JPEG 2000 after scene KLT",
    "jp2_gradient_klt": "JPEG 2000 after gradient KLT",
}
