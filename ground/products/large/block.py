"""Block: 256 x 256 pixels of a GeoTIFF as its bytes, both directions.

Source: TIFF 6.0, sections 3 (samples of any bits) and 14 (differences of neighbours).
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _deflate() -> tuple[Any, int]:
    """Return what codes DEFLATE, and at which level.

    ISA-L takes 0.4 of the time of libdeflate at its first level, and a fifth of zlib's, for 0.4 %
    more bytes than the former.
    """
    try:
        return import_module("isal.isal_zlib"), 3
    except ImportError:  # there is no wheel of it for this machine
        return import_module("zlib"), 1


SIDE = 256
_zlib, _LEVEL = _deflate()
crc32: Callable[..., int] = _zlib.crc32


@dataclass(frozen=True)
class Coding:
    """How blocks of samples are coded.

    Attributes:
        dtype: type of samples.
        bits: bits of a sample; where they are fewer than its type has, it is unsigned.
        differences: whether each pixel but the first of a row tells how far it is from the one
            before it ("predictor 2"); of all bits alone.
    """

    dtype: "np.dtype[Any]"
    bits: int
    differences: bool = False

    def encode(self, samples: NDArray[Any]) -> bytes:
        """Return the bytes of a block of samples (bands, rows, cols).

        One at the border of a scene is filled up to its sides of 256 pixels.
        """
        _, rows, cols = samples.shape
        if rows < SIDE or cols < SIDE:
            samples = np.pad(samples, ((0, 0), (0, SIDE - rows), (0, SIDE - cols)), "edge")
        pixels = np.ascontiguousarray(samples.transpose(1, 2, 0))
        if self.differences:
            found = np.empty_like(pixels)
            found[:, 0] = pixels[:, 0]
            np.subtract(pixels[:, 1:], pixels[:, :-1], out=found[:, 1:])
            pixels = found
        if self._is_packed:
            pixels = self._packed(pixels)
        coded: bytes = _zlib.compress(pixels.reshape(-1).view(np.uint8), _LEVEL)
        return coded

    def decode(self, coded: bytes, bands: int) -> NDArray[Any]:
        """Return the samples (bands, 256, 256) of a block."""
        pixels = np.frombuffer(_zlib.decompress(coded), np.uint8)
        if self._is_packed:
            pixels = self._unpacked(pixels, bands)
        pixels = pixels.view(self.dtype).reshape(SIDE, SIDE, bands)
        if self.differences:
            pixels = pixels.cumsum(axis=1, dtype=self.dtype)
        return pixels.transpose(2, 0, 1)

    @property
    def _is_packed(self) -> bool:
        return self.bits < 8 * self.dtype.itemsize

    def _packed(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the lower bits of samples one after the other, each row from a byte on."""
        size = self.dtype.itemsize
        octets = pixels.astype(f">u{size}").view(np.uint8).reshape(SIDE, -1, size)
        bits = np.unpackbits(octets, axis=2)[:, :, -self.bits :]
        return np.packbits(bits.reshape(SIDE, -1), axis=1)

    def _unpacked(self, packed: NDArray[np.uint8], bands: int) -> NDArray[np.uint8]:
        """Return the bytes of samples of which `_packed` kept some bits."""
        size, count = self.dtype.itemsize, SIDE * bands
        bits = np.unpackbits(packed.reshape(SIDE, -1), axis=1, count=count * self.bits)
        octets = np.zeros((SIDE, count, 8 * size), np.uint8)
        octets[:, :, -self.bits :] = bits.reshape(SIDE, count, self.bits)
        wide = np.packbits(octets, axis=2).reshape(-1).view(f">u{size}")
        return wide.astype(self.dtype).view(np.uint8)
