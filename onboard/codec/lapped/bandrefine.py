"""Band transform: a KLT turned on, so that components take fewer bits (SPEC.md, section 9).

A KLT makes squares small, but bits grow with the logarithm of a detail. Of many bands several
components are about as strong, and which mixtures of these are sent makes a difference. Of few
bands it makes less, and is worth its time in large tiles alone. Numbers are integers: float32 holds
those below 2^24 and float64 those below 2^53, so all is exact.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import bandtransform
from onboard.codec.lapped.bandtransform import MANY, SHIFT

_ROUNDS, _ROUNDS_OF_FEW = 3, 6
"""A large tile of few bands may have several kinds of land, whose KLT is far from where to go."""
_BLOCK = 4
_EVERY = 4
"""One block in so many, along rows and columns, is looked at."""
_DETAIL_BITS = 7
"""Bits that details have, those of all bands added up."""
_LIMIT = 740
_FLOOR = 10
"""Added to magnitudes: smaller details take few bits anyway."""
_WEIGHT_BITS = 18
_SQUARE_SHIFT, _PULL_SHIFT = 6, 2
"""Squares, and magnitudes times their weight, are held in 16 bits."""
_SUM_BITS = 22
_TILES_AT_ONCE = 8
"""Whose details stay in the processor's cache."""
_EXPONENT, _MANTISSA_BITS = 127, 23
"""Of float32."""

_HADAMARD = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, 1], [1, -1, 1, -1]], np.float32)
_DETAILS = np.ascontiguousarray(np.kron(_HADAMARD, _HADAMARD)[1:].T)
"""The Walsh-Hadamard transform of a block, (pixels, details); its sum is left out."""


def angles(
    deviations: NDArray[np.int32], valid: NDArray[np.bool_], even_few: bool = False
) -> NDArray[np.uint8]:
    """Return the angles (tiles, angles) of the band transform of each tile.

    Args:
        deviations: (tiles, bands, rows, cols), samples less the band means, 0 at nodata.
        valid: (tiles, rows, cols), False where a pixel is nodata.
        even_few: turn the KLT of few bands on, too.
    """
    basis = bandtransform.klt(bandtransform.measure(deviations, valid))
    if basis.shape[1] >= (2 if even_few else MANY):
        parts = [slice(n, n + _TILES_AT_ONCE) for n in range(0, len(basis), _TILES_AT_ONCE)]
        _refine(basis, [_scaled(_details(deviations[part], valid[part])) for part in parts])
    return bandtransform.angles_of(basis)


def _details(deviations: NDArray[np.int32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return details (tiles, bands, n) of some blocks, 0 of a block that has nodata."""
    tiles, bands, rows, cols = deviations.shape
    down, across = rows // _BLOCK, cols // _BLOCK
    whole = np.s_[..., : down * _BLOCK, : across * _BLOCK]
    row, col = np.indices((down, across))
    row, col = np.nonzero((row + col) % _EVERY == 0)
    blocks = deviations[whole].reshape(tiles, bands, down, _BLOCK, across, _BLOCK)
    pixels = blocks[:, :, row, :, col].astype(np.float32)  # (blocks, tiles, bands, 4, 4)
    details = pixels.reshape(len(row), tiles, bands, _BLOCK * _BLOCK) @ _DETAILS
    if not valid.all():
        of_blocks = valid[whole].reshape(tiles, down, _BLOCK, across, _BLOCK)
        kept: NDArray[np.bool_] = np.all(of_blocks, axis=(2, 4))
        details *= kept[:, row, col].T[:, :, None, None]
    found: NDArray[np.float32] = details.transpose(1, 2, 0, 3)
    return found.reshape(tiles, bands, len(row) * _DETAILS.shape[1])


def _scaled(details: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return details scaled so that those of all bands, added up, mostly have 8 bits."""
    count = max(details.shape[2], 1)
    total = np.abs(details).sum(axis=(1, 2), dtype=np.float64)
    bits = np.frexp(total // count + 1)[1]
    scaled = np.floor(np.ldexp(details, (_DETAIL_BITS - bits)[:, None, None]))
    found: NDArray[np.float64] = np.clip(scaled, -_LIMIT, _LIMIT).astype(np.float64)
    return found


def _refine(basis: NDArray[np.int64], details: Sequence[NDArray[np.float64]]) -> None:
    """Turn each basis (tiles, bands, components), in place, towards a smaller sum of logarithms.

    In each round a sum of squares stands for it that, with the weights of its terms, is as large
    and changes as fast; pairs of components are turned to where that is least.
    """
    begins = np.cumsum([0, *map(len, details)])
    for _ in range(_ROUNDS if basis.shape[1] >= MANY else _ROUNDS_OF_FEW):
        parts = zip(pairwise(begins), details, strict=True)
        form = np.concatenate([_form(basis[slice(*ends)], some) for ends, some in parts])
        chosen = bandtransform.best(form)
        place = 0
        for first, second in bandtransform.rounds(basis.shape[1]):
            after = place + len(first)
            bandtransform.turn(basis, first, second, chosen[:, place:after])
            place = after


def _form(basis: NDArray[np.int64], details: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is greatest where a pair is best turned to: (tiles, pairs, 3)."""
    exact = (basis.transpose(0, 2, 1) * 2.0**-SHIFT) @ details
    exact += 0.5
    size = np.floor(exact, out=exact).astype(np.float32)
    np.clip(size, -_LIMIT, _LIMIT, out=size)
    weights = _weights(size)
    terms = np.multiply(weights, size)
    terms *= np.float32(2.0**-_PULL_SHIFT)
    np.copyto(exact, np.floor(terms, out=terms))
    sizes = size.astype(np.float64)
    crossed = exact @ sizes.transpose(0, 2, 1)
    np.multiply(size, size, out=terms)
    terms *= np.float32(2.0**-_SQUARE_SHIFT)
    np.copyto(sizes, np.floor(terms, out=terms))
    np.copyto(exact, weights)
    squares = exact @ sizes.transpose(0, 2, 1)
    shifts = np.maximum(np.frexp(squares.max(axis=(1, 2)))[1] - _SUM_BITS, 0)
    squares = np.floor(np.ldexp(squares, -shifts[:, None, None]))
    shifts += _SQUARE_SHIFT - _PULL_SHIFT
    crossed = np.floor(np.ldexp(crossed, -shifts[:, None, None]))
    first, second = np.concatenate(bandtransform.rounds(basis.shape[1]), axis=1)
    return np.stack(
        [
            squares[:, first, second] + squares[:, second, first] + 1,
            crossed[:, second, first] - crossed[:, first, second],
            squares[:, first, first] + squares[:, second, second],
        ],
        axis=-1,
    )


def _weights(size: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 2^20 over the squares of magnitudes, with a floor, each made a power of 2."""
    bits = (np.abs(size) + np.float32(_FLOOR)).view(np.int32)
    bits >>= _MANTISSA_BITS
    bits *= -2
    bits += 3 * _EXPONENT + _WEIGHT_BITS
    bits <<= _MANTISSA_BITS
    return bits.view(np.float32)
