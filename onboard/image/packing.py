"""Packed samples of 10 and 12 bits, as cameras write them (docs/inputs.md)."""

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError

_ROWS_AT_ONCE = 64
"""Rows that are unpacked together: temporary arrays take several times what they hold."""


@dataclass(frozen=True)
class Packing:
    """A way to pack samples, group by group of whole bytes.

    Attributes:
        bits: of a sample.
        samples: in a group.
        bytes: of a group.
        order: 'be', the first sample in the highest bits of the group read as a big-endian number;
            'le', in the lowest of a little-endian one; 'mipi', the high 8 bits of each sample, then
            a byte of their low bits, those of the first sample lowest.
    """

    bits: int
    samples: int
    bytes: int
    order: str

    def row_bytes(self, count: int) -> int:
        """Return the bytes of a row of samples; a row begins with a byte of its own."""
        if self.order == "mipi":
            return -(-count // self.samples) * self.bytes
        return -(-count * self.bits // 8)

    def unpack(self, rows: NDArray[np.uint8], count: int) -> NDArray[np.uint16]:
        """Unpack rows (rows, `row_bytes`) of `count` samples each.

        Raises:
            InputError: the bits after a row's last sample are not 0.
        """
        found = np.empty((len(rows), count), np.uint16)
        groups = -(-count // self.samples)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = np.zeros((len(rows[first : first + _ROWS_AT_ONCE]), groups * self.bytes), "u1")
            part[:, : rows.shape[1]] = rows[first : first + _ROWS_AT_ONCE]
            samples = self._unpack(part.reshape(-1, self.bytes)).reshape(len(part), -1)
            if samples[:, count:].any():
                row = int(np.flatnonzero(samples[:, count:].any(axis=1))[0])
                raise InputError(
                    f"packed samples: expected 0 in all bits of a row after sample {count}, found "
                    f"others in row {first + row}: is the width another, or the packing?"
                )
            found[first : first + len(part)] = samples[:, :count]
        return found

    def _unpack(self, groups: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Return (groups, samples) of (groups, bytes)."""
        if self.order == "mipi":
            low = self.bits - 8
            shifts = low * np.arange(self.samples)
            lows = groups[:, -1:] >> shifts & ((1 << low) - 1)
            return np.asarray(groups[:, :-1].astype(np.uint16) << low | lows, np.uint16)
        word = np.zeros((len(groups), 8), np.uint8)  # of 64 bits, least significant byte first
        word[:, : self.bytes] = groups if self.order == "le" else groups[:, ::-1]
        numbers = word.view("<u8")
        if sys.byteorder == "big":
            numbers = numbers.astype(np.uint64)
        places = np.arange(self.samples) if self.order == "le" else np.arange(self.samples)[::-1]
        shifted = numbers >> (self.bits * places).astype(np.uint64)
        return (shifted & np.uint64((1 << self.bits) - 1)).astype(np.uint16)


PACKINGS = {
    f"{order}{bits}": Packing(bits, samples, size, order)
    for order in ("be", "le", "mipi")
    for bits, samples, size in ((10, 4, 5), (12, 2, 3))
}
"""Packings by name."""
