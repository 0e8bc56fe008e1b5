"""Tables from counts of symbols."""

import numpy as np
from numpy.typing import NDArray

from onboard.codec import rans
from onboard.codec.bounded.tables import ESCAPE, LEVELS, SYMBOLS

_NEIGHBOUR = 0.05
"""What symbols of the levels beside count."""
_RARE = 0.4
"""Of 4096, below which a symbol has no slot."""


def fit(counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Return frequencies (64, 122) of counts of the same shape."""
    both = symmetric(counts.astype(np.float64))
    smooth = both.copy()
    smooth[1:] += _NEIGHBOUR * both[:-1]
    smooth[:-1] += _NEIGHBOUR * both[1:]
    for level in range(LEVELS):
        if smooth[level].sum() < 1000:  # a level that hardly occurs takes the table below it
            smooth[level] = smooth[level - 1] if level else np.ones(SYMBOLS)
    return np.stack([_slots(row) for row in smooth])


def symmetric(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts with + and - taken together."""
    found = counts.copy()
    pairs = counts[:, 1:ESCAPE].reshape(LEVELS, -1, 2).mean(axis=2)
    found[:, 1:ESCAPE] = np.repeat(pairs, 2, axis=1)
    return found


def _slots(weights: NDArray[np.float64]) -> NDArray[np.uint16]:
    share = weights / weights.sum() * (rans.TOTAL - 1)
    share[ESCAPE] = 0
    found = np.where(share < _RARE, 0, np.maximum(np.rint(share), 1)).astype(np.int64)
    found[ESCAPE] = 1 + round(share[found == 0].sum())
    while (excess := int(found.sum()) - rans.TOTAL) != 0:
        # Where one slot more or less costs least.
        change = -1 if excess > 0 else 1
        may = found > (1 if excess > 0 else 0)
        may[ESCAPE] = False
        cost = np.full(len(found), np.inf)
        cost[may] = -share[may] * np.log2((found[may] + change) / found[may])
        found[int(np.argmin(cost))] += change
    return found.astype(np.uint16)
