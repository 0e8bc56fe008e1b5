"""Integer KLT: plane rotations in lifting steps, so that every sample comes back.

Source: P. Hao, Q. Shi, "Matrix factorizations for reversible integer mapping", IEEE Transactions on
Signal Processing 49(10), 2001: a rotation is three shears, each rounded.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.klt import OFFSET, gradient_covariance
from onboard.image.files import Image

_SWEEPS = 6
_ANGLE = np.dtype(">f4")


@dataclass(frozen=True)
class LiftedKlt:
    """Rotations of pairs of bands, one after the other.

    Attributes:
        angles: float32, of each pair of each sweep.
        bands: number of bands.
    """

    angles: NDArray[np.float32]
    bands: int

    @classmethod
    def of(cls, image: Image) -> "LiftedKlt":
        """Return the rotations that make the gradients of bands independent (Jacobi's method)."""
        covariance = gradient_covariance(image.astype(np.uint16, copy=False))
        angles = []
        for first, second in list(combinations(range(len(image)), 2)) * _SWEEPS:
            a, b, c = (
                covariance[pair] for pair in ((first, first), (second, second), (first, second))
            )
            angle = 0.5 * np.arctan2(2 * c, a - b)
            rotation = np.eye(len(image))
            rotation[[first, first, second, second], [first, second, first, second]] = (
                np.cos(angle),
                np.sin(angle),
                -np.sin(angle),
                np.cos(angle),
            )
            covariance = rotation @ covariance @ rotation.T
            angles.append(angle)
        return cls(np.array(angles, np.float32), len(image))

    def forward(self, image: Image) -> NDArray[np.uint16] | None:
        """Return the rotated bands about 32768; None where they do not fit 16 bits."""
        planes = image.astype(np.int64)
        for (first, second), angle in zip(self._pairs(), self.angles.tolist(), strict=True):
            for one, other, factor in _shears(first, second, angle):
                planes[one] += np.rint(factor * planes[other]).astype(np.int64)
        planes += OFFSET
        if planes.min() < 0 or planes.max() > 0xFFFF:
            return None
        return planes.astype(np.uint16)

    def backward(self, planes: NDArray[np.uint16]) -> NDArray[np.int64]:
        """Return the very same bands."""
        image = planes.astype(np.int64) - OFFSET
        for (first, second), angle in reversed(
            [*zip(self._pairs(), self.angles.tolist(), strict=True)]
        ):
            for one, other, factor in reversed(_shears(first, second, angle)):
                image[one] -= np.rint(factor * image[other]).astype(np.int64)
        return image

    def pack(self) -> bytes:
        """Return the angles, big-endian."""
        return self.angles.astype(_ANGLE).tobytes()

    @classmethod
    def unpack(cls, packed: bytes, bands: int) -> "LiftedKlt":
        """Read what `pack` made."""
        return cls(np.frombuffer(packed, _ANGLE).astype(np.float32), bands)

    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(self.bands), 2)) * _SWEEPS


def _shears(first: int, second: int, angle: float) -> list[tuple[int, int, float]]:
    """Return the lifting steps of a rotation by an angle within a quarter turn."""
    slope = float(np.tan(angle / 2))
    return [(first, second, slope), (second, first, -float(np.sin(angle))), (first, second, slope)]
