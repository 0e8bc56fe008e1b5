"""Codebook: codewords, and the nearest one to a latent, exactly (SPEC.md, section 6)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onboard.errors import BundleError

MAX_DIMS = 28
CODEWORD_LIMIT = 255
LATENT_LIMIT = 1023
_BLOCK = 512
_SCORES = 1 << 21


@dataclass(frozen=True)
class Codebook:
    """Codewords as int16 (size, dims), -255..255.

    Raises:
        BundleError: no codewords, or numbers or dimensions beyond what is exact in float32.
    """

    codewords: NDArray[np.int16]

    def __post_init__(self) -> None:
        size, dims = self.codewords.shape
        if not (1 <= size <= 1 << 16 and 1 <= dims <= MAX_DIMS):
            raise BundleError(
                f"codebook: expected 1..65536 codewords x 1..{MAX_DIMS} dims, found {size} x {dims}"
            )
        largest = int(np.abs(self.codewords.astype(np.int64)).max())
        if largest > CODEWORD_LIMIT:
            raise BundleError(f"codeword: expected at most {CODEWORD_LIMIT}, found {largest}")

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
        # |c|^2 - 2 c.e is an integer below 28 * (2 * 255 * 1023 + 255^2) < 2^24, and so is every
        # partial sum: float32 holds each exactly, in any order of summation.
        block = min(_BLOCK, _SCORES // self.size)  # 8 MiB of scores at most
        for start in range(0, len(vectors), block):
            scores = vectors[start : start + block] @ self._matrix
            indices[start : start + block] = scores.argmin(axis=1)
        return indices.reshape(rows, cols)

    def pack(self) -> bytes:
        """Return the codewords, one after the other, i16 each."""
        return self.codewords.astype(">i2").tobytes()

    @classmethod
    def unpack(cls, packed: bytes, codewords: int, dims: int) -> "Codebook":
        """Read what `pack` wrote.

        Raises:
            BundleError: the length does not fit.
        """
        if len(packed) != 2 * codewords * dims:
            raise BundleError(
                f"codebook: expected {2 * codewords * dims} bytes, found {len(packed)}"
            )
        numbers = np.frombuffer(packed, ">i2").astype(np.int16)
        return cls(numbers.reshape(codewords, dims))
