"""Karhunen-Loeve transform (KLT) across bands, before a codec that codes each alone.

Its basis comes either from the covariance of the scene's values or from that of its 2x2-averaged
gradients, which is the stronger one. The better of the two is the baseline that counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.image.files import Image

KLT_BYTES_PER_BAND = 2
OFFSET = 32_768


@dataclass(frozen=True)
class Rotated:
    """An image after a KLT, and what turns it back.

    Attributes:
        image: uint16 (bands, rows, cols), offset by 32768.
        basis: float64 (bands, bands), rounded to what an int16 holds.
        means: float64 (bands, 1), whole DN.
    """

    image: NDArray[np.uint16]
    basis: NDArray[np.float64]
    means: NDArray[np.float64]

    def back(self, decoded: Image) -> NDArray[np.uint16]:
        """Rotate decoded planes back to DN."""
        flat = decoded.reshape(len(self.basis), -1).astype(np.float64) - OFFSET
        bands = np.linalg.inv(self.basis) @ flat + self.means
        return np.clip(np.rint(bands), 0, 65_535).astype(np.uint16).reshape(decoded.shape)


def rotate(image: NDArray[np.uint16], covariance: NDArray[np.float64]) -> Rotated:
    """Apply the KLT of a covariance (bands, bands)."""
    basis = np.linalg.eigh(covariance)[1][:, ::-1].T
    basis = np.rint(basis * 32_767) / 32_767
    means = np.rint(image.mean(axis=(1, 2)))[:, None]
    flat = image.reshape(len(image), -1).astype(np.float64)
    rotated = np.clip(np.rint(basis @ (flat - means)) + OFFSET, 0, 65_535)
    return Rotated(rotated.astype(np.uint16).reshape(image.shape), basis, means)


def scene_covariance(image: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the covariance of the scene's values, (bands, bands)."""
    return np.atleast_2d(np.cov(image.reshape(image.shape[0], -1).astype(np.float64)))


def gradient_covariance(image: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the sum of squares of the gradients of the 2x2-averaged scene, (bands, bands)."""
    bands, rows, cols = image.shape
    even = image[:, : rows // 2 * 2, : cols // 2 * 2].astype(np.float64)
    small = even.reshape(bands, rows // 2, 2, cols // 2, 2).mean(axis=(2, 4))
    across = np.diff(small, axis=2).reshape(bands, -1)
    down = np.diff(small, axis=1).reshape(bands, -1)
    total: NDArray[np.float64] = across @ across.T + down @ down.T
    return total
