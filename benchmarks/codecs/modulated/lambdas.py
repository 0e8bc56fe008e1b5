"""Lambdas: what each block of a frame is coded at, in 8 bits."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded
from benchmarks.codecs.modulated.layout import HYPER_STRIDE, LAMBDA_LEAST, LAMBDA_MOST, STRIDE
from onboard.errors import LimitError, StreamError

CODES = 256
BLOCKS = (64, 32, 16)
"""Sides of blocks that may have a lambda each, pixels."""

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]


def quantise(lambdas: Floats) -> Codes:
    """Return codes of lambdas, equation 5 of the paper."""
    share = (lambdas - LAMBDA_LEAST) / (LAMBDA_MOST - LAMBDA_LEAST)
    return np.asarray(np.floor((CODES - 1) * share.clip(0, 1)), np.uint8)


def share_of(codes: Codes) -> Floats:
    """Return where in the range of lambda codes are, 0 to 1."""
    return np.asarray(codes / (CODES - 1), np.float64)


def finest_within(
    name: str, most: int, guess: Callable[[int], float], encode: Callable[[int], Coded]
) -> Coded:
    """Return what an image takes at the largest lambda, one for all, that fits some bytes.

    Args:
        name: of the codec, which begins the message.
        most: bytes that it may take.
        guess: function that returns about how many it takes at the lambda of a code.
        encode: function that codes it there.

    Raises:
        LimitError: the smallest lambda takes more.
    """
    low, high = 0, CODES - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if guess(middle) <= most else (low, middle - 1)
    for code in range(low, -1, -1):
        coded = encode(code)
        if coded.length <= most:
            return coded
    raise LimitError(f"{name}: expected {coded.length} bytes, found {most}")


def dequantise(codes: Codes) -> Floats:
    """Return the lambdas of codes, equation 6."""
    return (LAMBDA_MOST - LAMBDA_LEAST) * share_of(codes) + LAMBDA_LEAST


def latent_grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return rows and columns of the latents of frames (rows, cols), filled to multiples of 64."""
    rows, cols = (-(-side // HYPER_STRIDE) * (HYPER_STRIDE // STRIDE) for side in shape)
    return rows, cols


@dataclass(frozen=True)
class Lambdas:
    """Codes of the blocks of frames.

    Attributes:
        side: of a block, pixels: 64, 32 or 16; 0 where a frame has one code.
        codes: u8 (bands, rows of blocks, columns of blocks).
    """

    side: int
    codes: Codes

    @classmethod
    def same(cls, bands: int, code: int) -> "Lambdas":
        """Return one code for all of some frames."""
        return cls(0, np.full((bands, 1, 1), code, np.uint8))

    def pack(self) -> bytes:
        """Return the side, u8, and the codes, frame by frame, row by row."""
        return bytes([self.side]) + self.codes.tobytes()

    @classmethod
    def unpack(cls, packed: bytes, shape: tuple[int, int, int]) -> tuple["Lambdas", bytes]:
        """Read those of frames (bands, rows, cols); return them and the bytes behind.

        Raises:
            StreamError: bytes are missing, or there is no such side.
        """
        side = packed[0] if packed else 0
        if side not in (0, *BLOCKS):
            raise StreamError(f"lambdas: expected blocks of 0, 64, 32 or 16 pixels, found {side}")
        rows, cols = (-(-length // side) if side else 1 for length in shape[1:])
        count = shape[0] * rows * cols
        if len(packed) <= count:
            raise StreamError(f"lambdas: expected {count} codes, found {len(packed)} bytes")
        codes = np.frombuffer(packed, np.uint8, count, 1).reshape(shape[0], rows, cols)
        return cls(side, codes), packed[1 + count :]

    def shares(self, grid: tuple[int, int]) -> Floats:
        """Return where in its range lambda is at each latent, (bands, rows, cols) or (bands, 1, 1).

        What lies beyond the image has the code of the last block.
        """
        if not self.side:
            return share_of(self.codes)
        each = self.side // STRIDE
        spread = self.codes.repeat(each, 1).repeat(each, 2)
        short = [max(most - found, 0) for most, found in zip(grid, spread.shape[1:], strict=True)]
        filled = np.pad(spread, [(0, 0), *((0, n) for n in short)], "edge")
        return share_of(filled[:, : grid[0], : grid[1]])
