"""Quality: what error blocks of a scene may have (SPEC.md, section 22).

A quality is told in hundredths of a dB of PSNR, of peak 65535: a whole number from 1 on, so that
every encoder has the same goals.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onboard.codec.blocks import UNIT
from onboard.errors import InputError, UsageError
from onboard.link.crc import crc32c

PSNR_PEAK, MOST_PSNR = 65_535, 200
"""Peak of every PSNR that is asked for, and the greatest, dB."""
BLOCKS = (64, 32, 16)
"""Rows and columns of blocks that may have a quality of their own, pixels."""
PER_DECIBEL = 100
LOSSLESS = 65_535
"""In a map: samples come back as they are."""
_MOST = MOST_PSNR * PER_DECIBEL
_MILLI = 1_000
_TENTHS = (
    (65536, 52057, 41350, 32846, 26090, 20724, 16462, 13076, 10387, 8250),
    (65536, 64044, 62586, 61162, 59770, 58409, 57079, 55780, 54510, 53270),
    (65536, 65385, 65235, 65085, 64935, 64786, 64637, 64488, 64340, 64192),
)
"""2^16 * 10^(-i/10), 10^(-i/100) and 10^(-i/1000)."""
_HALF = 65461
"""2^16 * 10^(-1/2000)."""


def squared_error(quality: int) -> int:
    """Return the squared error of a sample, in 1/4096 DN^2, of a quality."""
    found: int = (PSNR_PEAK**2 << 16) // 10 ** (quality // 1000)
    for table, place in zip(_TENTHS, (100, 10, 1), strict=True):
        found = found * table[quality // place % 10] >> 16
    return found >> 4


def quality_of_psnr(psnr: float) -> int:
    """Return the quality nearest to a PSNR in dB.

    Raises:
        UsageError: it is out of range.
    """
    if not 0 <= psnr <= MOST_PSNR:
        raise UsageError(f"PSNR: expected 0..{MOST_PSNR} dB, found {psnr}")
    return max(int(psnr * PER_DECIBEL + 0.5), 1)


def quality_of_rmse(rmse: float) -> int:
    """Return the quality nearest to a root mean square error in DN, of three decimals.

    Raises:
        UsageError: it is out of range.
    """
    if not 0 < rmse < PSNR_PEAK + 1:
        raise UsageError(f"RMSE: expected more than 0 DN, found {rmse}")
    wanted = int(rmse * _MILLI + 0.5) ** 2 * UNIT // _MILLI**2
    low, high = 1, _MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if squared_error(middle) * _HALF >> 16 <= wanted else (middle + 1, high)
        )
    return low


@dataclass(frozen=True, eq=False)
class QualityMap:
    """Qualities by place.

    Attributes:
        qualities: u16 (rows, cols) of cells; 0 where the map leaves it open, `LOSSLESS` where
            samples come back as they are.
        cell: rows and columns of a cell, pixels.
    """

    qualities: NDArray[np.uint16]
    cell: int

    def check(self, width: int) -> None:
        """Refuse a scene that the map is not of.

        Raises:
            UsageError: it has not as many columns.
        """
        columns = -(-width // self.cell)
        if self.qualities.shape[1] != columns:
            raise UsageError(
                f"quality map: expected {columns} columns of cells of {self.cell} pixels, found "
                f"{self.qualities.shape[1]}"
            )

    def of_box(self, top: int, left: int, rows: int, cols: int) -> int:
        """Return the finest quality in a box of pixels; 0 if there is none."""
        stop_row, stop_col = -(-(top + rows) // self.cell), -(-(left + cols) // self.cell)
        part = self.qualities[top // self.cell : stop_row, left // self.cell : stop_col]
        return int(part.max(initial=0))

    @property
    def crc(self) -> int:
        """CRC-32C of the qualities, by which runs tell maps apart."""
        return crc32c(self.qualities.astype(">u2").tobytes())


@dataclass(frozen=True)
class Quality:
    """What is asked for.

    Attributes:
        usual: quality where no map tells another; 0: there is none.
        block: rows and columns of blocks that each have it, one of `BLOCKS`; 0: windows.
        map: of blocks, by place.
    """

    usual: int
    block: int = 0
    map: QualityMap | None = None
    _known: dict[int, int] = field(default_factory=dict, init=False, compare=False, repr=False)

    def goal(self, top: int, left: int, rows: int, cols: int) -> int:
        """Return the squared error, in 1/4096 DN^2, that a box of pixels may have.

        Raises:
            InputError: the map leaves its quality open, and so does the caller.
        """
        found = self.map.of_box(top, left, rows, cols) if self.map else 0
        quality = found or self.usual
        if not quality:
            raise InputError(
                f"quality map: no quality of the pixels from column {left}, row {top} on; "
                "expected one of all, or --psnr or --rmse for the rest"
            )
        if quality not in self._known:
            self._known[quality] = squared_error(min(quality, _MOST))
        return self._known[quality]
