"""Front end `adaptive`: band means, a band transform and a step for each tile (SPEC.md, section 9).

Everything that decides a byte is integer arithmetic.
"""

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import bandrefine, bandtransform
from onboard.codec.lapped.context import BLOCK
from onboard.codec.lapped.frontends import alignment
from onboard.codec.lapped.frontends.frontend import Analysed, LappedSide
from onboard.codec.lapped.transform import PLANE_LIMIT
from onboard.errors import StreamError

_TILES_AT_ONCE = 4
"""Of whose samples temporary arrays are made: they stay in the processor's cache."""
Number = TypeVar("Number", np.float32, np.float64)


@dataclass(frozen=True)
class AdaptiveFrontEnd:
    """Means, band transform and step of each tile.

    Attributes:
        bands: bands of a tile.
        fraction: fraction bits that samples get.
        aligned: whether they are the planes of a Bayer mosaic, moved to the middle of its cells.
        turns_few_on: whether the band transform of few bands is turned on, as that of many is.
    """

    bands: int
    fraction: int = 0
    aligned: bool = field(default=False, kw_only=True)
    turns_few_on: bool = field(default=False, kw_only=True)

    def of_scene(self, bands: int, fraction: int) -> "AdaptiveFrontEnd":
        """Return the front end of tiles of so many bands and fraction bits."""
        return AdaptiveFrontEnd(bands, fraction)

    @property
    def may_be_empty(self) -> bool:
        """Whether there are tiles of which nothing is coded: there are not."""
        return False

    def of_group(self, _group: int) -> "AdaptiveFrontEnd":
        """Return the same: all groups of bands are alike."""
        return self

    def usual_bytes(self, angles: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return roughly the bytes of packed side information of tiles with these angles."""
        return np.full(len(angles), self.side_bytes, np.int64)

    def pack(self, step: int, angles: NDArray[np.uint8], means: NDArray[np.int64]) -> bytes:
        """Pack as step code, angles, and one 16-bit two's complement mean a band."""
        packed = means.astype(np.uint16).astype(">u2").tobytes()
        return bytes([step]) + angles.tobytes() + packed

    def side_length(self, _packed: bytes) -> int:
        """Return the length of the side information that bytes begin with: always the same."""
        return self.side_bytes

    @property
    def side_bytes(self) -> int:
        """Length of the packed side information."""
        return 1 + bandtransform.angle_count(self.bands) + 2 * self.bands

    def turned_on(self, even_few: bool) -> "AdaptiveFrontEnd":
        """Return the front end that turns the band transform on, of few bands perhaps, too."""
        return replace(self, turns_few_on=even_few)

    def for_mosaic(self) -> "AdaptiveFrontEnd":
        """Return the front end of planes of a Bayer mosaic."""
        alignment.check(self.bands)
        return replace(self, aligned=True)

    def unpack(self, packed: bytes, signed: bool) -> LappedSide:
        """Unpack side information; `signed` says that samples may be below 0.

        Raises:
            StreamError: the length is wrong.
        """
        if len(packed) != self.side_bytes:
            raise StreamError(f"side: expected {self.side_bytes} bytes, found {len(packed)}")
        first_mean = 1 + bandtransform.angle_count(self.bands)
        means = np.frombuffer(packed, ">i2" if signed else ">u2", offset=first_mean)
        return LappedSide(tuple(means.tolist()), packed[0], tuple(packed[1:first_mean]))

    def analyse(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> Analysed:
        """Measure tiles and rotate their bands.

        Args:
            tiles: (tiles, bands, rows, cols) integer samples in DN.
            present: (tiles, rows, cols), False where a pixel is nodata; one of a tile must be True.
        """
        rows, cols = tiles.shape[2:]
        means, deviations, filled = deviate(tiles.astype(np.int32) << self.fraction, present)
        if self.aligned:
            filled = alignment.align(filled)
            deviations = np.ascontiguousarray(filled[:, :, :rows, :cols])
        angles = bandrefine.angles(deviations, present, self.turns_few_on)
        return scaled(means, angles, turned(filled, angles))

    def untouched(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> None:
        """Return nothing: what has no angles has those of 0."""


def deviate(
    samples: NDArray[np.int32], present: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Return means (tiles, bands), deviations, in place, and these filled up to multiples of 8."""
    count, _bands, rows, cols = samples.shape
    here = present[:, None]
    whole = bool(present.all())
    pixels = np.full((count, 1), rows * cols, np.int64)
    if not whole:
        pixels[:, 0] = np.count_nonzero(present, axis=(1, 2))
        samples *= here
    means = (2 * samples.sum(axis=(2, 3), dtype=np.int64) + pixels) // (2 * pixels)
    deviations = samples
    deviations -= means.astype(np.int32)[:, :, None, None]
    if not whole:
        deviations *= here
    filled = deviations
    if rows % BLOCK or cols % BLOCK:
        fill = [(0, 0), (0, 0), (0, -rows % BLOCK), (0, -cols % BLOCK)]
        filled = np.pad(deviations, fill, mode="symmetric")
    return means, deviations, filled


def turned(deviations: NDArray[np.int32], angles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the components (tiles, bands, rows, cols) of deviations."""
    count, bands = deviations.shape[:2]
    # Sums stay below 2^19 * bands, with 14 bits of fraction: exact in float64.
    matrix = bandtransform.matrix(angles, bands) * 2.0**-bandtransform.SHIFT
    flat = deviations.reshape(count, bands, -1)
    rotated = np.empty(flat.shape, np.float32)
    for first in range(0, count, _TILES_AT_ONCE):
        part = slice(first, first + _TILES_AT_ONCE)
        rotated[part] = _rounded(matrix[part] @ flat[part].astype(np.float64))
    return rotated.reshape(deviations.shape)


def scaled(
    means: NDArray[np.int64], angles: NDArray[np.uint8], components: NDArray[np.float32]
) -> Analysed:
    """Return tiles whose components (tiles, bands, rows, cols) are scaled, in place, to 12 bits."""
    count, bands, rows, cols = components.shape
    rotated = components.reshape(count, bands, -1)
    largest = np.maximum(rotated.max(axis=(1, 2)), -rotated.min(axis=(1, 2)))
    shifts = np.zeros(count, np.int32)
    while (over := np.floor(np.ldexp(largest, -shifts) + 0.5) > PLANE_LIMIT).any():
        shifts += over
    for tile in np.flatnonzero(shifts):
        rotated[tile] = _rounded(np.ldexp(rotated[tile], -shifts[tile]))
    planes = rotated.reshape(count * bands, rows, cols)
    return Analysed(means, angles, shifts.astype(np.int64), planes)


def _rounded(values: NDArray[Number]) -> NDArray[Number]:
    """Round numbers in place, halves up."""
    values += 0.5
    return np.floor(values, out=values)
