"""Front end: samples of tiles to planes of 12-bit integers, and the side information for the way
back.

What it does to a tile is measured on that tile alone and sent as side information: a step code, its
own parameters a byte each, then one mean per band. Everything that decides a byte is integer
arithmetic, or floating point that is exact.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LappedSide:
    """Side information of one tile.

    Attributes:
        means: mean of each band, DN.
        step_code: 0..255; the step is 2^(code/16 - 1) DN.
        angles: parameters of the front end, 0..255 each: angles of a band transform.

    DN have the fraction bits of the scene: they are `2^fraction` times those of its samples.
    """

    means: tuple[int, ...]
    step_code: int
    angles: tuple[int, ...]

    @property
    def step(self) -> float:
        """Step in DN. For the ground."""
        return float(2.0 ** (self.step_code / 16 - 1))


@dataclass(frozen=True)
class Analysed:
    """A batch of tiles after the front end.

    Attributes:
        means: int64 (tiles, bands), mean of each band in DN.
        angles: u8 (tiles, angles), parameters of the front end.
        shifts: int64 (tiles,), octaves by which the planes were scaled down.
        planes: float32 (tiles * bands, rows, cols) of integers within +-2047, components of the
            band transform, sides filled up to multiples of 8.
        large: numbers of planes that hold the lower bits of a component.
        beyond: float32 (large, rows, cols), these times 2048, added to the former, are it.
    """

    means: NDArray[np.int64]
    angles: NDArray[np.uint8]
    shifts: NDArray[np.int64]
    planes: NDArray[np.float32]
    large: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    beyond: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))


class FrontEnd(Protocol):
    """A kind of front end."""

    @property
    def bands(self) -> int:
        """Bands of a tile."""

    @property
    def fraction(self) -> int:
        """Fraction bits that samples get, so that what is rounded are parts of a DN."""

    @property
    def aligned(self) -> bool:
        """Whether bands are the planes of a Bayer mosaic, moved to the middle of its cells."""

    @property
    def may_be_empty(self) -> bool:
        """Whether there are tiles of which nothing is coded, not even side information."""

    @property
    def side_bytes(self) -> int:
        """Most bytes of packed side information."""

    def usual_bytes(self, angles: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return roughly the bytes of packed side information of tiles with these angles."""

    def of_group(self, group: int) -> Self:
        """Return the front end of a group of the scene's bands."""

    def pack(self, step: int, angles: NDArray[np.uint8], means: NDArray[np.int64]) -> bytes:
        """Pack the side information of a tile."""

    def side_length(self, packed: bytes) -> int:
        """Return the length of the side information that bytes begin with, if it is whole."""

    def of_scene(self, bands: int, fraction: int) -> "FrontEnd":
        """Return the front end of tiles of so many bands and fraction bits."""

    def turned_on(self, even_few: bool) -> Self:
        """Return the front end that turns the band transform on, of few bands perhaps, too."""

    def for_mosaic(self) -> Self:
        """Return the front end of planes of a Bayer mosaic.

        Raises:
            UsageError: tiles have other bands.
            EngineError: the processor's floats do not give the format's matrices.
        """

    def unpack(self, packed: bytes, signed: bool) -> LappedSide:
        """Unpack side information; `signed` says that samples may be below 0.

        Raises:
            StreamError: the length is wrong.
        """

    def analyse(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> Analysed:
        """Measure tiles and make planes of them.

        Args:
            tiles: (tiles, bands, rows, cols) integer samples in DN.
            present: (tiles, rows, cols), False where a pixel is nodata; one of a tile must be True.
        """

    def untouched(self, tiles: NDArray[Any], present: NDArray[np.bool_]) -> Analysed | None:
        """Return tiles as `analyse`, but with all angles 0, where those may be the better ones."""
