"""Front end: digital numbers of a tile to the int8 samples that a network takes, and back.

Everything that decides a byte is integer arithmetic (SPEC.md, "Front end"), so a C implementation
gives the same bytes. Only `denormalise`, which runs on the ground, uses floating point.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError, StreamError

STEP_CODES = 64
# 2^20 * 2^(-i/4): reciprocals of the quarter-octave steps, so no float is needed on board.
_QUARTER_OCTAVES = (1_048_576, 881_744, 741_455, 623_487)
_SHIFT = 20


def reciprocal_step(code: int) -> int:
    """Return floor(2^20 / step) of step code 0..63; the step is 2^(code/4) DN per int8 unit."""
    return _QUARTER_OCTAVES[code & 3] >> (code >> 2)


@dataclass(frozen=True)
class AffineSide:
    """Side information of one tile: a mean per band (DN) and one step code for all bands."""

    means: tuple[int, ...]
    step_code: int

    @property
    def step(self) -> float:
        """DN per int8 unit. For the ground: on board only its integer reciprocal is used."""
        return (1 << _SHIFT) / reciprocal_step(self.step_code)

    def pack(self) -> bytes:
        """Pack as the step code (u8) and one 16-bit two's complement mean per band."""
        means = np.array(self.means, np.int64).astype(np.uint16).astype(">u2")
        return bytes([self.step_code]) + means.tobytes()

    @classmethod
    def unpack(cls, packed: bytes, signed: bool) -> "AffineSide":
        """Unpack side information; `signed` says that samples are i16.

        Raises:
            StreamError: the step code is not one of 0..63.
        """
        if packed[0] >= STEP_CODES:
            raise StreamError(f"step code: expected 0..{STEP_CODES - 1}, found {packed[0]}")
        means = np.frombuffer(packed, ">i2" if signed else ">u2", offset=1)
        return cls(tuple(int(mean) for mean in means), packed[0])


@dataclass(frozen=True)
class AffineFrontEnd:
    """Per tile: subtract the mean of each band, divide by one step, round to int8.

    One step for all bands keeps the squared error of the network proportional to that in DN.

    Attributes:
        bands: number of bands.
        target_rms: root mean square of the int8 samples aimed at, in int8 units.
    """

    bands: int
    target_rms: int

    @property
    def side_bytes(self) -> int:
        """Length of the packed side information."""
        return 1 + 2 * self.bands

    def side_length(self, _packed: bytes) -> int:
        """Return the length of the side information that bytes begin with: always the same."""
        return self.side_bytes

    def unpack(self, packed: bytes, signed: bool) -> AffineSide:
        """Unpack side information; see `AffineSide.unpack`."""
        return AffineSide.unpack(packed, signed)

    def analyse(self, tile: NDArray[Any], valid: NDArray[np.bool_]) -> AffineSide:
        """Measure a tile.

        Args:
            tile: (bands, rows, cols) integer samples in DN.
            valid: (rows, cols), True where a pixel counts; at least one must.
        """
        samples = tile[:, valid].astype(np.int64)
        count = samples.shape[1]
        means = (2 * samples.sum(axis=1) + count) // (2 * count)
        deviations = samples - means[:, None]
        rms = isqrt(int((deviations * deviations).sum()) // (self.bands * count))
        return AffineSide(tuple(int(mean) for mean in means), self._step_code(rms))

    def _step_code(self, rms: int) -> int:
        """Return the smallest code whose step brings `rms` (DN) to the target or below."""
        for code in range(STEP_CODES):
            if rms * reciprocal_step(code) <= self.target_rms << _SHIFT:
                return code
        return STEP_CODES - 1

    def normalise(
        self, tile: NDArray[Any], valid: NDArray[np.bool_], side: AffineSide
    ) -> NDArray[np.int8]:
        """Return int8 samples (bands, rows, cols); pixels that are not valid become 0."""
        deviations = tile.astype(np.int64) - np.array(side.means, np.int64)[:, None, None]
        scaled = (deviations * reciprocal_step(side.step_code) + (1 << (_SHIFT - 1))) >> _SHIFT
        samples: NDArray[np.int8] = (np.clip(scaled, -128, 127) * valid).astype(np.int8)
        return samples

    def denormalise(self, samples: NDArray[np.float32], side: AffineSide) -> NDArray[np.float32]:
        """Return DN (bands, rows, cols) from samples in int8 units. Runs on the ground only."""
        means = np.array(side.means, np.float32)[:, None, None]
        return samples * np.float32(side.step) + means


def from_manifest(entry: Any, bands: int) -> AffineFrontEnd:
    """Build the front end that a bundle names.

    Raises:
        BundleError: the kind is unknown or a parameter is missing or of the wrong type.
    """
    if type(bands) is not int or not 1 <= bands <= 65_535:
        raise BundleError(f"bands: expected 1..65535, found {bands!r:.40}")
    kind, target = entry.get("kind"), entry.get("target_rms")
    if kind != "affine":
        raise BundleError(f"front end: expected 'affine', found {kind!r}")
    if type(target) is not int or not 1 <= target <= 127:
        raise BundleError(f"front end target_rms: expected an integer 1..127, found {target!r}")
    return AffineFrontEnd(bands, target)
