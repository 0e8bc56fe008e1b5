"""Karhunen-Loeve transform (KLT) across bands, before a codec that codes each alone.

Its basis comes either from the covariance of the scene's values or from that of its 2x2-averaged
gradients, which is the stronger one. The better of the two is the baseline that counts.
"""

import struct
from dataclasses import dataclass
from math import floor, isqrt, log2

import numpy as np
from numpy.typing import NDArray

from onboard.image.files import Image

NUMBER_BYTES = 2
"""Bytes of a number of the basis (int16), and of a mean (uint16)."""
OFFSET = 32_768
_MOST_SHIFT = 8
_ONE = 32_767
"""What stands for 1 in the basis."""


def side_bytes(bands: int) -> int:
    """Return the bytes of the basis and the means, as `Klt.pack` packs them."""
    return NUMBER_BYTES * bands * (bands + 1) + 1


@dataclass(frozen=True)
class Klt:
    """A KLT as it is sent.

    Attributes:
        basis: basis, float64 (bands, bands), rounded to what an int16 holds.
        means: means of the bands, float64 (bands, 1), whole DN.
        shift: rotated bands are coded in units of 2^-shift DN: as fine as 16 bits hold, so that to
            round them costs nothing, or coarser where they would not fit.
    """

    basis: NDArray[np.float64]
    means: NDArray[np.float64]
    shift: int = 0

    @classmethod
    def of(cls, image: NDArray[np.uint16], covariance: NDArray[np.float64]) -> "Klt":
        """Return the KLT of a covariance (bands, bands), about the means of an image."""
        basis = np.linalg.eigh(covariance)[1][:, ::-1].T
        basis = np.rint(basis * _ONE) / _ONE
        means = np.rint(image.mean(axis=(1, 2)))[:, None]
        most = np.abs(basis @ (image.reshape(len(image), -1) - means)).max()
        shift = min(floor(log2((OFFSET - 1) / max(most, 1))), _MOST_SHIFT)
        return cls(basis, means, shift)

    def rotate(self, image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Return the rotated bands (bands, rows, cols), offset by 32768."""
        away = image.reshape(len(image), -1).astype(np.float64) - self.means
        units = np.rint(self.basis @ away * 2.0**self.shift)
        rotated = np.clip(units + OFFSET, 0, 65_535)
        planes: NDArray[np.uint16] = rotated.astype(np.uint16).reshape(image.shape)
        return planes

    def rotate_back(self, decoded: Image) -> NDArray[np.uint16]:
        """Return the bands in DN of rotated bands that were coded and decoded."""
        flat = decoded.reshape(len(self.basis), -1).astype(np.float64) - OFFSET
        bands = np.linalg.inv(self.basis) @ flat / 2.0**self.shift + self.means
        return np.clip(np.rint(bands), 0, 65_535).astype(np.uint16).reshape(decoded.shape)

    def pack(self) -> bytes:
        """Return the side information: basis row by row, means, then the shift, big-endian."""
        basis = np.rint(self.basis * _ONE).astype(">i2").tobytes()
        return basis + self.means.astype(">u2").tobytes() + struct.pack("b", self.shift)

    @classmethod
    def unpack(cls, packed: bytes) -> "Klt":
        """Read the `side_bytes` that `pack` made."""
        bands = isqrt(len(packed) // NUMBER_BYTES)
        basis = np.frombuffer(packed, ">i2", bands * bands).reshape(bands, bands)
        means = np.frombuffer(packed, ">u2", bands, NUMBER_BYTES * bands * bands)
        (shift,) = struct.unpack("b", packed[-1:])
        return cls(basis / _ONE, means[:, None].astype(np.float64), shift)


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
