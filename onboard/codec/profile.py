"""Spectral profile: the bands of a scene as the components of a sensor's own transform.

(SPEC.md, section 21.) An orthonormal matrix made on the ground of earlier images of the sensor, so
that an error in components is one in samples. Both directions are here; all that decides a byte is
integers, or floating point that is exact.
"""

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError, InputError

LEAST_BANDS, MOST_BANDS = 17, 1_024
"""Bands of a profile: fewer are one group of a band transform of their own."""
SHIFT = 14
"""Fraction bits of the matrix: 1 is 2^14."""
DIGEST_BYTES = 8
"""Of the SHA-256 of a profile, which a scene header tells."""
MOST_FRACTION = 4
_COMPONENT_BITS = 19
"""So many bits hold the magnitude of any component, with its fraction."""
_NEAR = 1 << (2 * SHIFT - 4)
"""Magnitudes in a row of `matrix matrix' - 2^28` add up to this, 1/16, at most."""
_HEAD = struct.Struct(">HB")
_OFFSET_LIMIT = 1 << 16


@dataclass(frozen=True, eq=False)
class Profile:
    """A spectral profile.

    Attributes:
        offsets: int64 (bands,), DN that are taken off each band.
        matrix: int64 (components, bands), in 1/2^14; rows are orthonormal but for rounding.
    """

    offsets: NDArray[np.int64]
    matrix: NDArray[np.int64]

    def __post_init__(self) -> None:
        bands = len(self.offsets)
        if not LEAST_BANDS <= bands <= MOST_BANDS or self.matrix.shape != (bands, bands):
            raise BundleError(
                f"profile: expected a square matrix of {LEAST_BANDS}..{MOST_BANDS} bands, found "
                f"{self.matrix.shape} and {bands} offsets"
            )
        if np.abs(self.offsets).max() >= _OFFSET_LIMIT:
            raise BundleError(f"profile: expected offsets below {_OFFSET_LIMIT} in magnitude")
        if np.abs(self.matrix).max() >= 1 << 15:
            raise BundleError("profile: expected a matrix of 16-bit numbers")
        exact = self.matrix.astype(np.float64)
        away = np.abs(exact @ exact.T - np.eye(bands) * (1 << 2 * SHIFT)).sum(axis=1).max()
        if away > _NEAR:
            raise BundleError(
                f"profile: expected rows that are orthonormal within {_NEAR / 2**28:g}, found "
                f"{away / 2**28:.3g}"
            )

    @property
    def bands(self) -> int:
        """Bands of a scene, and components."""
        return len(self.offsets)

    def pack(self) -> bytes:
        """Return what the hash of a profile is of: size, offsets, matrix."""
        head = _HEAD.pack(self.bands, SHIFT)
        return head + self.offsets.astype(">i4").tobytes() + self.matrix.astype(">i2").tobytes()

    @classmethod
    def unpack(cls, packed: bytes) -> "Profile":
        """Read what `pack` returned.

        Raises:
            BundleError: another length, fraction or number of bands, or rows not orthonormal.
        """
        if len(packed) < _HEAD.size:
            raise BundleError(f"profile: expected {_HEAD.size} bytes or more, found {len(packed)}")
        bands, shift = _HEAD.unpack_from(packed)
        expected = _HEAD.size + bands * (4 + 2 * bands)
        if not LEAST_BANDS <= bands <= MOST_BANDS or shift != SHIFT or len(packed) != expected:
            raise BundleError(
                f"profile: expected {LEAST_BANDS}..{MOST_BANDS} bands, {SHIFT} fraction bits and "
                f"{expected} bytes for {bands} bands, found {shift} and {len(packed)}"
            )
        offsets = np.frombuffer(packed, ">i4", bands, _HEAD.size)
        matrix = np.frombuffer(packed, ">i2", bands * bands, _HEAD.size + 4 * bands)
        return cls(offsets.astype(np.int64), matrix.reshape(bands, bands).astype(np.int64))

    @cached_property
    def sha256(self) -> bytes:
        """SHA-256 of the profile, 32 bytes."""
        return hashlib.sha256(self.pack()).digest()

    @property
    def digest(self) -> bytes:
        """What a scene header names it by."""
        return self.sha256[:DIGEST_BYTES]

    def fraction(self, significant_bits: int) -> int:
        """Return the fraction bits of components, below 0 where parts of a DN do not fit.

        As many as keep the magnitude of any component below 2^19: it is at most the root of 17/16
        bands times that of a sample.
        """
        growth = 0
        while 16 << 2 * growth < 17 * self.bands:
            growth += 1
        return min(MOST_FRACTION, _COMPONENT_BITS - significant_bits - growth)

    def check(self, bands: int, low: int, high: int) -> None:
        """Refuse scenes that it was not made for.

        Raises:
            InputError: there are other bands, or its offsets are no samples of theirs.
        """
        if bands != self.bands:
            raise InputError(f"profile: made for {self.bands} bands, found {bands}")
        least, most = int(self.offsets.min()), int(self.offsets.max())
        if least < low or most > high:
            raise InputError(
                f"profile: its means are {least}..{most} DN, samples of this scene {low}..{high}"
            )

    def components(self, tiles: NDArray[Any], fraction: int) -> NDArray[np.int32]:
        """Return the components of samples (tiles, bands, rows, cols), with fraction bits."""
        flat = tiles.reshape(len(tiles), self.bands, -1).astype(np.float64)
        flat -= self.offsets[:, None]
        # Sums of integers stay below 2^(17 + 5 + 14): exact in float64, in any order.
        found = self._exact @ flat
        found *= 2.0 ** (fraction - SHIFT)
        found += 0.5
        np.floor(found, out=found)
        return found.astype(np.int32).reshape(tiles.shape)

    def samples(self, components: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return samples (bands, rows, cols), not rounded, of components in DN. For the ground."""
        flat = components.reshape(self.bands, -1).astype(np.float64)
        found: NDArray[np.float64] = self._inverse @ flat
        found += self.offsets[:, None]
        return found.reshape(components.shape)

    @cached_property
    def _exact(self) -> NDArray[np.float64]:
        return self.matrix.astype(np.float64)

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        return np.asarray(np.linalg.inv(self._exact * 2.0**-SHIFT), np.float64)
