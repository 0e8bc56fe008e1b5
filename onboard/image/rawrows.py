"""Raw rows: how samples lie in a file or pipe that has no header of ours (docs/inputs.md)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError, UsageError
from onboard.image.files import DTYPES, Image
from onboard.image.packing import PACKINGS
from onboard.image.tiles import MAX_SIDE

LAYOUTS = ("bsq", "bil", "bip")
_MOST_BYTES = 1 << 40


@dataclass(frozen=True)
class RawRows:
    """Rows of bytes, each of as many samples: a line of one band or, in bip, of all bands.

    Attributes:
        layout: order of the samples, 'bsq' (band by band), 'bil' (line by line, in each band by
            band) or 'bip' (pixel by pixel).
        dtype: sample type, 'u8', 'u16', 'i16' or 'i8'.
        byte_order: order of the bytes of a sample, 'little' or 'big'.
        bands: number of bands, 1..65,535.
        width: number of columns.
        packed: name of the packing, of samples that are u16 then; None: whole bytes each.
        skip_bytes: bytes before the first row.
        line_skip: bytes at the start of each row, before its samples.
        line_bytes: bytes from the start of a row to that of the next, padding included; 0: as many
            as its samples and `line_skip` take.

    Raises:
        UsageError: something unknown or out of range.
    """

    layout: str
    dtype: str
    byte_order: str
    bands: int
    width: int
    packed: str | None = None
    skip_bytes: int = 0
    line_skip: int = 0
    line_bytes: int = 0

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS or self.dtype not in DTYPES:
            raise UsageError(f"raw image: unknown layout or type {self.layout} {self.dtype}")
        if self.byte_order not in ("little", "big"):
            raise UsageError(f"raw image: unknown byte order {self.byte_order}")
        if not (1 <= self.bands <= 65_535 and 1 <= self.width <= MAX_SIDE):
            raise UsageError(
                f"raw image: expected 1..65535 bands and 1..{MAX_SIDE} columns, found {self.bands} "
                f"and {self.width}"
            )
        if self.packed is not None and (self.packed not in PACKINGS or self.dtype != "u16"):
            raise UsageError(
                f"raw image: expected a packing of u16 of {', '.join(PACKINGS)}, found "
                f"{self.packed} of {self.dtype}"
            )
        if not 0 <= self.skip_bytes <= _MOST_BYTES or not 0 <= self.line_skip <= _MOST_BYTES:
            raise UsageError(
                f"raw image: expected to skip 0..{_MOST_BYTES} bytes, found {self.skip_bytes}, and "
                f"{self.line_skip} of each line"
            )
        least = self.line_skip + self.sample_bytes
        if self.line_bytes and not least <= self.line_bytes <= _MOST_BYTES:
            raise UsageError(
                f"raw image: expected lines of {least} bytes or more ({self.row_samples} samples), "
                f"found {self.line_bytes}"
            )

    @property
    def bits(self) -> int:
        """Bits of a sample: of the packing, or of the sample type."""
        return PACKINGS[self.packed].bits if self.packed else 8 * DTYPES[self.dtype].itemsize

    @property
    def row_samples(self) -> int:
        """Samples of a row."""
        return self.width * (self.bands if self.layout == "bip" else 1)

    @property
    def sample_bytes(self) -> int:
        """Bytes of a row that are samples."""
        if self.packed:
            return PACKINGS[self.packed].row_bytes(self.row_samples)
        return self.row_samples * DTYPES[self.dtype].itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes from the start of a row to the start of the next."""
        return self.line_bytes or self.line_skip + self.sample_bytes

    @property
    def whole_line_bytes(self) -> int:
        """Bytes of a line of all bands."""
        return self.row_bytes * (1 if self.layout == "bip" else self.bands)

    def image(self, rows: NDArray[np.uint8]) -> Image:
        """Return rows of bytes, whole lines of all bands, as (bands, lines, width).

        Args:
            rows: one-dimensional; samples of whole bytes are not copied.

        Raises:
            InputError: packed samples are followed by bits that are not 0.
        """
        samples = self._samples(rows.reshape(-1, self.row_bytes))
        if self.layout == "bsq":
            return samples.reshape(self.bands, -1, self.width)
        if self.layout == "bil":
            return samples.reshape(-1, self.bands, self.width).transpose(1, 0, 2)
        return samples.reshape(-1, self.width, self.bands).transpose(2, 0, 1)

    def _samples(self, rows: NDArray[np.uint8]) -> NDArray[Any]:
        inner = rows[:, self.line_skip : self.line_skip + self.sample_bytes]
        if self.packed:
            return PACKINGS[self.packed].unpack(inner, self.row_samples)
        return inner.view(
            DTYPES[self.dtype].newbyteorder("<" if self.byte_order == "little" else ">")
        )

    def map(self, path: Path) -> Image:
        """Map a file as (bands, rows, cols); packed samples are unpacked in memory.

        The number of rows follows from its length.

        Raises:
            InputError: the file is missing, empty, or not a whole number of lines.
        """
        line = self.whole_line_bytes
        try:
            length = os.path.getsize(path) - self.skip_bytes
            if length <= 0 or length % line:
                after = f" after the first {self.skip_bytes}" if self.skip_bytes else ""
                raise InputError(
                    f"{path}: expected a multiple of {line} bytes ({self.bands} bands x "
                    f"{self.width} columns{self._form}){after}, found {max(length, 0)}"
                )
            flat = np.memmap(path, np.uint8, mode="r", offset=self.skip_bytes)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return self.image(flat)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @property
    def _form(self) -> str:
        """What is unusual about the rows, in words."""
        packed = f", packed {self.packed}" if self.packed else ""
        padded = f", lines of {self.row_bytes} bytes" if self.line_bytes or self.line_skip else ""
        return packed + padded
