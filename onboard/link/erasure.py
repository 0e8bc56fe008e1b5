"""Erasure code: systematic Reed-Solomon over GF(2^16), both directions (SPEC.md, section 15).

Row `j` of the code is `repair[j] = sum of symbol[i] / (x[j] + y[i])` with `x[j] = 65,535 - j` and
`y[i] = i`. Every square part of such a Cauchy matrix has an inverse, so any k of the symbols and
rows restore the k symbols, and further rows can be made at any time, up to 65,536 in all.

Of the libraries, reedsolo and zfec end at 255 symbols (GF(2^8)), galois needs a compiler on board
(numba), and RaptorQ, on which patents are declared, sometimes needs more than k symbols.

Source: Bloemer et al., "An XOR-based erasure-resilient coding scheme", ICSI TR-95-048, 1995.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from onboard.errors import UsageError

POLYNOMIAL = 0x1100B
"""x^16 + x^12 + x^3 + x + 1, of which x (2) is a primitive root."""
MAX_SYMBOLS = 1 << 16
"""Symbols and rows of a group in all: the points of the field."""
_ORDER = 65_535
_LOG_0 = 2 * _ORDER

Symbols = NDArray[np.uint16]
Logs = NDArray[np.intp]


def encode(symbols: Symbols, rows: Sequence[int]) -> Symbols:
    """Return rows of the code.

    Args:
        symbols: uint16 (k, length).
        rows: numbers of the rows, each 0..65,535 - k.

    Returns:
        uint16 (rows, length).

    Raises:
        UsageError: no symbols, or a row that does not exist.
    """
    points = _row_points(rows, len(symbols))
    log, _ = _tables()
    columns = (_ORDER - log[points ^ i] for i in range(len(symbols)))
    return _combine(columns, symbols, len(rows), symbols.shape[1])


def decode(
    symbols: Symbols, erased: Sequence[int], rows: Sequence[int], repair: Symbols
) -> Symbols:
    """Return the symbols that were erased.

    Args:
        symbols: uint16 (k, length), anything where erased.
        erased: places of the symbols that were erased, 0..k - 1, all different.
        rows: numbers of as many rows of the code, all different.
        repair: uint16 (rows, length), those rows as `encode` gave them.

    Returns:
        uint16 (erased, length).

    Raises:
        UsageError: as many rows as erased symbols were expected, or one does not exist.
    """
    points, places = _row_points(rows, len(symbols)), np.array(erased, np.intp)
    missing = set(erased)
    if not (
        len(missing) == len(erased) == len(set(rows)) == len(rows) == len(repair)
        and missing <= set(range(len(symbols)))
    ):
        raise UsageError(f"erasure: {len(erased)} places of {len(symbols)}, {len(rows)} rows")
    log, _ = _tables()
    known = [i for i in range(len(symbols)) if i not in missing]
    columns = (_ORDER - log[points ^ i] for i in known)
    remainder = repair ^ _combine(columns, (symbols[i] for i in known), len(rows), repair.shape[1])
    return _combine(_inverse(points, places), remainder, len(erased), repair.shape[1])


def _inverse(points: Logs, places: Logs) -> Iterable[Logs]:
    """Yield the columns of the inverse of the Cauchy matrix 1 / (points + places), as logarithms.

    Source: Knuth, The Art of Computer Programming, volume 1, 1.2.3, exercise 41.
    """
    log, _ = _tables()
    across = sum((log[point ^ places] for point in points), np.zeros(len(places), np.intp))
    # Each of the products below leaves out the one factor that is 0.
    apart = np.array([log[place ^ places].sum() - _LOG_0 for place in places])
    for point in points:
        sums = log[point ^ places]
        own = sums.sum() - (log[point ^ points].sum() - _LOG_0)
        yield (across - apart + own - sums) % _ORDER


def _row_points(rows: Sequence[int], size: int) -> Logs:
    """Return x[j] of the rows.

    Raises:
        UsageError: no symbols, or a row that does not exist.
    """
    if not 1 <= size <= MAX_SYMBOLS:
        raise UsageError(f"erasure: expected 1..{MAX_SYMBOLS} symbols, found {size}")
    if any(not 0 <= row < MAX_SYMBOLS - size for row in rows):
        last = MAX_SYMBOLS - size - 1
        raise UsageError(f"erasure: expected rows 0..{last}, found {min(rows)}..{max(rows)}")
    return _ORDER - np.array(rows, np.intp)


def _combine(
    columns: Iterable[Logs], symbols: Iterable[Symbols], rows: int, length: int
) -> Symbols:
    """Return a matrix without zeros, given by the logarithms of its columns, times symbols.

    Args:
        columns: logarithms for each symbol, intp (rows,), 0..65,535.
        symbols: uint16 (length,) each.

    Returns:
        uint16 (rows, length).
    """
    log, powers = _tables()
    total = np.zeros((rows, length), np.uint16)
    term = np.empty_like(total)
    exponents = np.empty(total.shape, np.intp)
    for column, symbol in zip(columns, symbols, strict=True):
        np.add(column[:, None], log[symbol], out=exponents)
        np.take(powers, exponents, out=term, mode="clip")
        total ^= term
    return total


@cache
def _tables() -> tuple[Logs, Symbols]:
    """Return logarithms to base x, and powers of x by logarithm or sum of two logarithms.

    The logarithm of 0 is beyond all such sums, and powers from there on are 0.
    """
    powers = np.zeros(_LOG_0 + MAX_SYMBOLS, np.uint16)
    power = 1
    for exponent in range(_ORDER):
        powers[exponent] = power
        power = power << 1 ^ (POLYNOMIAL if power >> 15 else 0)
    powers[_ORDER:_LOG_0] = powers[:_ORDER]
    log = np.full(MAX_SYMBOLS, _LOG_0, np.intp)
    log[powers[:_ORDER]] = np.arange(_ORDER)
    return log, powers
