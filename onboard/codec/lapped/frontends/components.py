"""Front end of components of a spectral profile: means, and a band transform where it pays.

(SPEC.md, section 21.) Components are in order of their energy already, so only those of the first
group are turned, and only in tiles where the angles are worth their bytes.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.bandtransform import UNTURNED
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd, deviate, turned
from onboard.codec.lapped.frontends.frontend import Analysed, FrontEnd, LappedSide
from onboard.codec.lapped.transform import BEYOND, PLANE_LIMIT
from onboard.errors import StreamError, UsageError

_TURNED = 1
"""Form of side information that has angles; without, it is 0."""
_MEAN_BYTES = 3
"""Of a mean, at most."""
_GROUP_BITS = 7


@dataclass(frozen=True)
class ComponentFrontEnd:
    """Means of components, and of the first group a band transform.

    Attributes:
        bands: components of a tile.
        fraction: fraction bits that they have; below 0 where they are multiples of a DN.
        turns: whether tiles may have angles: those of the first group.
    """

    bands: int
    fraction: int = 0
    turns: bool = False

    aligned = False
    may_be_empty = True

    def of_scene(self, bands: int, fraction: int) -> FrontEnd:
        """Return the front end of tiles of so many bands and fraction bits, without a profile."""
        return AdaptiveFrontEnd(bands, fraction)

    def of_group(self, group: int) -> "ComponentFrontEnd":
        """Return the front end of a group of components."""
        return replace(self, turns=group == 0)

    @property
    def side_bytes(self) -> int:
        """Most bytes of packed side information."""
        return 2 + bandtransform.angle_count(self.bands) + _MEAN_BYTES * self.bands

    def usual_bytes(self, angles: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return roughly the bytes of packed side information of tiles with these angles."""
        is_turned = (angles != UNTURNED).any(axis=1)
        return np.asarray(2 + self.bands + is_turned * angles.shape[1], np.int64)

    def turned_on(self, _even_few: bool) -> "ComponentFrontEnd":
        """Return the same: no band transform is turned on."""
        return self

    def for_mosaic(self) -> "ComponentFrontEnd":
        """Refuse: a mosaic has four bands."""
        raise UsageError("Bayer: a mosaic has no spectral profile")

    def pack(self, step: int, angles: NDArray[np.uint8], means: NDArray[np.int64]) -> bytes:
        """Pack as step code, form, angles if there are any, then each mean in LEB128."""
        form = int((angles != UNTURNED).any())
        packed = bytes([step, form]) + (angles.tobytes() if form else b"")
        return packed + b"".join(_pack_mean(mean) for mean in means.tolist())

    def side_length(self, packed: bytes) -> int:
        """Return the length of the side information that bytes begin with, if it is whole."""
        angles = bandtransform.angle_count(self.bands) if packed[1:2] == b"\1" else 0
        place, left = 2 + angles, self.bands
        while left and place < len(packed):
            left -= packed[place] < 1 << _GROUP_BITS
            place += 1
        return place if packed else 0

    def unpack(self, packed: bytes, signed: bool) -> LappedSide:
        """Unpack side information; none is that of a tile of which nothing is coded.

        Raises:
            StreamError: it is not whole, or makes no sense.
        """
        count = bandtransform.angle_count(self.bands)
        if not packed:
            return LappedSide((0,) * self.bands, 0, (UNTURNED,) * count)
        form = packed[1] if len(packed) > 1 else -1
        if form not in (0, _TURNED):
            raise StreamError(f"side: expected form 0 or {_TURNED}, found {form}")
        angles = packed[2 : 2 + count] if form else bytes([UNTURNED]) * count
        place = 2 + count * form
        means = []
        for _ in range(self.bands):
            mean, place = _unpack_mean(packed, place)
            means.append(mean)
        if place != len(packed) or len(angles) != count:
            raise StreamError(f"side: expected {place} bytes, found {len(packed)}")
        return LappedSide(tuple(means), packed[0], tuple(angles))

    def analyse(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> Analysed:
        """Measure tiles of components and, of the first group, turn them."""
        means, deviations, filled = deviate(tiles.astype(np.int32), present)
        shape = len(tiles), bandtransform.angle_count(self.bands)
        if not self.turns:
            return _split(means, np.full(shape, UNTURNED, np.uint8), filled.astype(np.float32))
        angles = bandtransform.choose(bandtransform.measure(deviations, present))
        return _split(means, angles, turned(filled, angles))

    def untouched(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> Analysed | None:
        """Return tiles as `analyse` does, but not turned; None where that does not turn either."""
        return replace(self, turns=False).analyse(tiles, present) if self.turns else None


def _split(
    means: NDArray[np.int64], angles: NDArray[np.uint8], components: NDArray[np.float32]
) -> Analysed:
    """Return tiles whose components are planes of 12 bits, and what large ones are beyond that."""
    planes = components.reshape(-1, *components.shape[2:])
    large = np.flatnonzero(np.abs(planes).max(axis=(1, 2)) > PLANE_LIMIT)
    beyond = np.floor(planes[large] * (1 / BEYOND) + np.float32(0.5))
    planes[large] -= beyond * BEYOND
    none = np.zeros(len(components), np.int64)
    return Analysed(means, angles, none, planes, large, beyond)


def _pack_mean(mean: int) -> bytes:
    """Return a mean as LEB128 of 2 |mean|, less 1 if it is below 0."""
    number = 2 * mean if mean >= 0 else -2 * mean - 1
    packed = bytearray()
    while number >> _GROUP_BITS:
        packed.append(number & 0x7F | 0x80)
        number >>= _GROUP_BITS
    return bytes([*packed, number])


def _unpack_mean(packed: bytes, place: int) -> tuple[int, int]:
    """Return the mean at a place, and the place after it."""
    number = 0
    for count, byte in enumerate(packed[place : place + _MEAN_BYTES]):
        number |= (byte & 0x7F) << _GROUP_BITS * count
        if not byte & 0x80:
            if count and not byte:
                break  # not the shortest form
            return (-(number + 1) if number & 1 else number) // 2, place + count + 1
    raise StreamError(f"side: expected a mean of at most {_MEAN_BYTES} bytes at byte {place}")
