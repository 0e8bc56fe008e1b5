"""Codebook: codewords, and the nearest one to a latent, exactly (SPEC.md, section 6)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError

MAX_DIMS = 60
LATENT_LIMIT = 1023
_BLOCK = 512


@dataclass(frozen=True)
class Codebook:
    """Codewords as int8 (size, dims).

    Raises:
        BundleError: no codewords, or more dimensions than are exact in float32.
    """

    codewords: NDArray[np.int8]

    def __post_init__(self) -> None:
        size, dims = self.codewords.shape
        if not (1 <= size <= 1 << 16 and 1 <= dims <= MAX_DIMS):
            raise BundleError(
                f"codebook: expected 1..65536 codewords x 1..{MAX_DIMS} dims, found {size} x {dims}"
            )

    @property
    def size(self) -> int:
        """Number of codewords."""
        return len(self.codewords)

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        """(dims + 1, size): -2 c, then |c|^2, so that scores are one matrix product."""
        wide = self.codewords.astype(np.float32)
        return np.ascontiguousarray(np.vstack([-2 * wide.T, np.square(wide).sum(1)]))

    def nearest(self, latents: NDArray[np.int16]) -> NDArray[np.uint16]:
        """Return the index of the nearest codeword, the lowest on a tie.

        Args:
            latents: integers (dims, rows, cols), -1023..1023.

        Returns:
            (rows, cols) uint16.
        """
        dims, rows, cols = latents.shape
        vectors = np.ones((rows * cols, dims + 1), np.float32)
        vectors[:, :dims] = latents.reshape(dims, -1).T
        indices = np.empty(rows * cols, np.uint16)
        # |c|^2 - 2 c.e is an integer below 60 * (2 * 128 * 1023 + 128^2) < 2^24, and so is every
        # partial sum: float32 holds each exactly, in any order of summation.
        for start in range(0, len(vectors), _BLOCK):
            scores = vectors[start : start + _BLOCK] @ self._matrix
            indices[start : start + _BLOCK] = scores.argmin(axis=1)
        return indices.reshape(rows, cols)

    def pack(self) -> bytes:
        """Return the codewords, one after the other, a byte a number."""
        return self.codewords.tobytes()

    @classmethod
    def unpack(cls, packed: bytes, codewords: int, dims: int) -> "Codebook":
        """Read what `pack` wrote.

        Raises:
            BundleError: the length does not fit.
        """
        if len(packed) != codewords * dims:
            raise BundleError(f"codebook: expected {codewords * dims} bytes, found {len(packed)}")
        return cls(np.frombuffer(packed, np.int8).reshape(codewords, dims))
