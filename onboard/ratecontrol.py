"""Rate control: the step codes that meet a budget of bytes, or an error, over a window of tiles.

Sizes and errors of a step come from table look-ups (SPEC.md, section 13): nothing is coded while
searching. One step serves the whole window, since that spends the bits where they lower the error
most; to come near the budget, some tiles take the next finer step.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from onboard.errors import LimitError

CODES = 256
_MANY = 160
_SAMPLE = 20
_NEAR = 4
"""Codes from a look at all tiles to the one chosen, at most; half as many of many tiles."""
_MIDDLE = 112
_SIZE_PER_CODE = -0.045  # natural logarithm; where the search starts from
_FLATTEST = -0.005

Codes = NDArray[np.int64]
Measure = Callable[[NDArray[np.int64], Codes], NDArray[np.int64]]
"""Sizes (or squared errors) of the tiles with these numbers at these step codes."""


def codes_for_budget(
    count: int,
    budget: int,
    measure: Measure,
    guess: NDArray[np.float64] | None = None,
    exact_to: int = 16,
) -> Codes:
    """Return a step code for each of `count` tiles, as fine as `budget` bytes allow.

    Of few tiles the sum is kept exactly; of many it is right to a few per mille, from one look at
    all of them where the guess is good.

    Args:
        count: tiles, at least 1.
        budget: bytes.
        measure: bytes of tiles.
        guess: (256,) roughly what all tiles take at each code; it only saves looks.
        exact_to: up to how many tiles are few.

    Raises:
        LimitError: the coarsest step takes more.
    """
    every = np.arange(count)
    code, slope = _MIDDLE, _SIZE_PER_CODE
    if guess is not None:
        code = min(int(np.count_nonzero(guess > budget)), CODES - 1)
        low, high = max(code - 4, 0), min(code + 4, CODES - 1)
        slope = min(float(np.log((guess[high] + 1) / (guess[low] + 1))) / (high - low), _FLATTEST)
    if count <= exact_to:
        code = _coarsest_within(_total(measure, every), budget, code)
        if code == CODES:
            raise _too_small(budget, measure, every)
        sizes = measure(every, np.full(count, code))
        finer = measure(every, np.full(count, max(code - 1, 0)))
        return _mixed(code, sizes, finer, budget)
    near = _NEAR
    if count >= _MANY:
        near = _NEAR // 2
        some = every[:: count // _SAMPLE]
        total = _total(measure, some)
        away = float(np.log(max(budget, 1) * len(some) / count / total(code))) / slope
        code = min(max(code + round(away), 0), CODES - 1)
        low, high = max(code - 2, 0), min(code + 2, CODES - 1)
        slope = min(float(np.log(total(high) / total(low))) / (high - low), _FLATTEST)
    for _ in range(CODES):
        sizes = measure(every, np.full(count, code)).astype(np.float64)
        away = float(np.log(max(budget, 1) / sizes.sum())) / slope
        step = int(np.clip(np.ceil(away), -code, CODES - 1 - code))
        if abs(step) <= near:
            break
        coarser = measure(every, np.full(count, code + step)).sum()
        slope = min(float(np.log(coarser / sizes.sum())) / step, _FLATTEST)
        code += step
    if code + away > CODES - 1:
        raise _too_small(budget, measure, every)
    scale = np.exp(slope * np.array([step, step - 1]))
    return _mixed(code + step, sizes * scale[0], sizes * scale[1], budget)


def _mixed(
    code: int, sizes: NDArray[np.float64] | Codes, finer: NDArray[np.float64] | Codes, budget: int
) -> Codes:
    """Return a code for all tiles, and the next finer one for as many as the budget allows."""
    codes = np.full(len(sizes), code)
    order = _scattered(len(sizes))
    spent = np.cumsum((finer - sizes)[order]) + sizes.sum()
    over = np.flatnonzero(spent > budget)
    within = int(over[0]) if len(over) else len(sizes)
    codes[order[:within]] -= code > 0
    return codes


def _too_small(budget: int, measure: Measure, tiles: NDArray[np.int64]) -> LimitError:
    least = int(measure(tiles, np.full(len(tiles), CODES - 1)).sum())
    return LimitError(f"budget: {budget} bytes, but the coarsest step takes {least}")


def code_for_error(count: int, most: float, measure: Measure) -> Codes:
    """Return the coarsest step code at which the squared errors add up to no more than `most`."""
    total = _total(measure, np.arange(count))
    low, high = 0, CODES - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if total(middle) <= most else (low, middle - 1)
    return np.full(count, low)


def _total(measure: Measure, tiles: NDArray[np.int64]) -> Callable[[int], int]:
    known: dict[int, int] = {}

    def total(code: int) -> int:
        if code not in known:
            known[code] = int(measure(tiles, np.full(len(tiles), code)).sum())
        return known[code]

    return total


def _coarsest_within(total: Callable[[int], int], budget: float, start: int) -> int:
    """Return the finest code whose total is within the budget, `CODES` if there is none.

    The total falls as the code rises, so two codes side by side, one within and one not, settle it.
    """
    low, high = -1, CODES  # low is over the budget, high is within it, or both are outside
    code = min(max(start, 0), CODES - 1)
    while high - low > 1:
        size = total(code)
        low, high = (low, code) if size <= budget else (code, high)
        jump = round(float(np.log(max(budget, 1) / max(size, 1))) / _SIZE_PER_CODE)
        code += jump if jump else (-1 if size <= budget else 1)
        code = min(max(code, low + 1), high - 1)
    return high


def _scattered(count: int) -> NDArray[np.int64]:
    """Return 0..count-1 in an order that spreads any beginning of it over the whole."""
    stride = max(1, int(count * 0.618))
    while np.gcd(stride, count) != 1:
        stride += 1
    return np.arange(count, dtype=np.int64) * stride % count
