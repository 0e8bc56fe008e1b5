"""Alignment: planes of a Bayer mosaic, moved by a quarter of their pixels to the middle of the
cells (SPEC.md, section 9).

Planes lie half a pixel apart, so that no band transform can match their edges. Moving is orthogonal
and within the tile: an error afterwards is as large before, and no tile needs another.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import BLOCK
from onboard.errors import EngineError, UsageError
from onboard.image.bayer import CELL, PLANES
from onboard.link.crc import crc32c

LARGEST_SIDE = 64
SHIFT = 14
_SIDES = range(BLOCK, LARGEST_SIDE + 1, BLOCK)
_CRC = 0xC81591BC
"""Of all matrices, as i16, big-endian."""


def _matrix(side: int) -> NDArray[np.int16]:
    """Return the matrix that moves `side` samples by a quarter forward, in 1/2^14.

    64-bit floats are exact enough: no entry is nearer than 10^-5 to where rounding changes.
    """
    place = np.arange(side)
    waves = np.cos(np.pi * np.outer(place, place + 0.5) / side)
    waves /= np.sqrt((waves * waves).sum(axis=1, keepdims=True))
    moved = np.cos(np.pi * np.outer(place, place + 0.75) / side)
    for k in range(side):
        for _ in range(2):  # the second time takes what rounding left
            moved[k] -= moved[:k].T @ (moved[:k] @ moved[k])
        moved[k] /= np.sqrt(moved[k] @ moved[k])
    return np.asarray(np.floor((moved.T @ waves) * 2**SHIFT + 0.5), np.int16)


MATRICES = np.concatenate([_matrix(side).reshape(-1) for side in _SIDES])
"""The matrices of sides 8, 16, ..., 64, each row by row, one after the other."""


def matrix(side: int, mirrored: bool = False) -> NDArray[np.int16]:
    """Return the matrix of a side of 8, 16, ..., 64 samples: forward by a quarter, or back.

    Raises:
        UsageError: the side is longer.
    """
    if side > LARGEST_SIDE:
        raise UsageError(f"Bayer: expected tiles of at most {LARGEST_SIDE} pixels, found {side}")
    first = sum(other * other for other in _SIDES if other < side)
    found = MATRICES[first : first + side * side].reshape(side, side)
    return found[::-1, ::-1] if mirrored else found


def check(bands: int) -> None:
    """Refuse what is no mosaic, or a processor that makes other matrices of its floats.

    Raises:
        UsageError: there are other bands than four.
        EngineError: the matrices are others.
    """
    if bands != PLANES:
        raise UsageError(f"Bayer: expected a bundle of {PLANES} bands, found {bands}")
    found = crc32c(MATRICES.astype(">i2").tobytes())
    if found != _CRC:
        raise EngineError(f"Bayer: expected matrices of CRC {_CRC:08X}, found {found:08X}")


def align(deviations: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return planes (tiles, 4, rows, cols) of a mosaic, sides multiples of 8, at the middle of
    their cells."""
    found = np.empty_like(deviations)
    rows, cols = deviations.shape[2:]
    for plane, (row, col) in enumerate(product(range(CELL), repeat=2)):
        down = matrix(rows, bool(row)).astype(np.float64) * 2.0**-SHIFT
        across = matrix(cols, bool(col)).astype(np.float64) * 2.0**-SHIFT
        # Sums stay below 2^20 with 14 bits of fraction: exact in float64.
        moved = _rounded(down @ deviations[:, plane].astype(np.float64))
        found[:, plane] = _rounded(moved @ across.T)
    return found


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values += 0.5
    return np.floor(values, out=values)
