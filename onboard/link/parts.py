"""Bounds of tiles in two parts, as the scene header tells them (SPEC.md, sections 2 and 20)."""

import struct
from dataclasses import dataclass

from onboard.errors import StreamError

ROOT_ONE = 256
"""A factor of one, of bounds that follow the root of a sample."""
_MOST_BANDS = 16
"""Of a tile; more are coded in groups."""
_ROOT = struct.Struct(">I")


@dataclass(frozen=True)
class ToldBound:
    """Most that a sample may be off.

    Attributes:
        root: in 1/256, factor of the square root of the sample; 0 if it does not follow that.
        bands: DN, of each band, or one for all.
    """

    root: int
    bands: tuple[int, ...]

    @classmethod
    def of(cls, root: int, bands: tuple[int, ...]) -> "ToldBound":
        """Return a bound, one for all bands where all have the same."""
        return cls(root, bands[:1] if len(set(bands)) == 1 else bands)

    def __str__(self) -> str:
        return f"sqrt:{self.root / ROOT_ONE:g}" if self.root else ",".join(map(str, self.bands))


@dataclass(frozen=True)
class Parts:
    """Bounds of the first part of tiles, and of both together."""

    first: ToldBound
    both: ToldBound

    def pack(self) -> bytes:
        """Return the value of the header's extension."""
        most = max(len(bound.bands) for bound in (self.first, self.both))
        found = b""
        for bound in (self.first, self.both):
            bands = bound.bands * (most if len(bound.bands) == 1 else 1)
            found += _ROOT.pack(bound.root) + struct.pack(f">{most}H", *bands)
        return found

    @classmethod
    def unpack(cls, value: bytes) -> "Parts":
        """Read the value of the header's extension.

        Raises:
            StreamError: its length or values are wrong.
        """
        half = len(value) // 2
        if len(value) % 4 or half < _ROOT.size + 2:
            raise StreamError(f"bounds of two parts: expected root and bands, found {value!r:.60}")
        told = []
        for part in (value[:half], value[half:]):
            bands = struct.unpack(f">{half // 2 - 2}H", part[_ROOT.size :])
            told.append(ToldBound.of(_ROOT.unpack_from(part)[0], bands))
        return cls(*told)

    def check_bands(self, bands: int) -> None:
        """Refuse bounds of another number of bands.

        Raises:
            StreamError: there is not one bound for all, nor one for each.
        """
        for bound in (self.first, self.both):
            if len(bound.bands) not in (1, bands):
                raise StreamError(f"bounds of two parts: {len(bound.bands)} for {bands} bands")


def rest_layer(bands: int) -> int:
    """Return the layer with which the rest of tiles begins, in scenes of so many bands."""
    groups = -(-bands // _MOST_BANDS)
    return 1 + -(-bands // groups)
