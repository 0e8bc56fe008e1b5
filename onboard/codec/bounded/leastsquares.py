"""Least squares in integers: by how much to change the static coefficients (SPEC.md, section 20).

What is solved for is a change in 1/64, so that little is sent. The normal equations are brought to
numbers below 2^29 by powers of two, eliminated in fixed point and solved backwards, each change
rounded before the next, so that later ones make up for the rounding. Every product stays below
2^62, and every number is held within its limit, so nothing overflows whatever the samples are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.model import MAX_COEFFICIENT, Ints

GRID = 4
"""A change of one, in units of the coefficients."""
MAX_CHANGE = MAX_COEFFICIENT // GRID
_BITS = 29
_LARGEST = 1 << _BITS
_FACTOR_BITS = 26
_MAX_FACTOR = (1 << 33) - 1
_LEAST_PIVOT = 1 << 10
_RIDGE = 10
_ANSWER_BITS = 24
_MAX_ANSWER = 1 << 28
_FAR = 40


def solve(gram: Ints, right: Ints) -> Ints:
    """Return (tiles, n) changes in 1/64.

    Args:
        gram: (tiles, n, n), sums of products of differences.
        right: (tiles, n), sums of products of differences and static residuals, in 1/256.
    """
    equations, size, shift = _normalised(gram, right)
    pivots = _eliminate(equations)
    return _substitute(equations, pivots, _ANSWER_BITS - 17 + shift[:, None] + size)


def _normalised(gram: Ints, right: Ints) -> tuple[Ints, Ints, Ints]:
    """Return equations (tiles, n, n + 1), the shift of each unknown, and of the right side."""
    unknowns = gram.shape[1]
    at = np.arange(unknowns)
    size = bit_length(gram[:, at, at] + 1) // 2
    equations = np.empty((len(gram), unknowns, unknowns + 1), np.int64)
    equations[:, :, :-1] = _shifted(gram, _BITS - 2 - size[:, :, None] - size[:, None])
    rough = _shifted(right, 8 - size)
    shift = _BITS - bit_length(np.abs(rough).max(axis=1))
    equations[:, :, -1] = _shifted(rough, shift[:, None])
    equations[:, at, at] += equations[:, at, at] >> _RIDGE
    return equations, size, shift


def _eliminate(equations: Ints) -> list[Ints]:
    """Make the equations triangular; return their pivots."""
    pivots = []
    for row in range(equations.shape[1]):
        pivot = np.maximum(equations[:, row, row], _LEAST_PIVOT)
        pivots.append(pivot)
        factor = (equations[:, row + 1 :, row] << _FACTOR_BITS) // pivot[:, None]
        np.clip(factor, -_MAX_FACTOR, _MAX_FACTOR, out=factor)
        part = equations[:, row + 1 :, row + 1 :]
        part -= factor[:, :, None] * equations[:, row, None, row + 1 :] >> _FACTOR_BITS
        np.clip(part, -_LARGEST, _LARGEST, out=part)
    return pivots


def _substitute(equations: Ints, pivots: list[Ints], places: Ints) -> Ints:
    """Return the changes; one counts 2^places in the answers of triangular equations."""
    answers = np.zeros(places.shape, np.int64)
    changes = np.zeros(places.shape, np.int64)
    for row in reversed(range(places.shape[1])):
        known = (equations[:, row, row + 1 : -1] * answers[:, row + 1 :]).sum(axis=1)
        answer = ((equations[:, row, -1] << _ANSWER_BITS) - known) // pivots[row]
        np.clip(answer, -_MAX_ANSWER, _MAX_ANSWER, out=answer)
        up = np.clip(places[:, row], 0, _FAR)
        down = np.clip(-places[:, row], 0, _FAR // 2)
        change = (answer + (np.int64(1) << up >> 1) >> up) << down
        changes[:, row] = np.clip(change, -MAX_CHANGE, MAX_CHANGE)
        answer = changes[:, row] << up >> down
        answers[:, row] = np.clip(answer, -_MAX_ANSWER, _MAX_ANSWER)
    return changes


def _shifted(values: Ints, left: Ints) -> Ints:
    """Return values times two to some power, rounded down."""
    found: Ints = values << np.maximum(left, 0) >> np.maximum(-left, 0)
    return found


def bit_length(values: NDArray[Any]) -> Ints:
    """Return the bits of numbers from 0 to 2^53."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)
