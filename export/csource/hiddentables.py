"""Tables by which the C encoder hides signs (SPEC.md, sections 10 and 11)."""

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import LEVELS
from onboard.codec.lapped.tables import ESCAPE, Tables

_ZERO = ESCAPE // 2
"""Symbol of a residual of 0."""


def starts(tables: Tables) -> NDArray[np.int64]:
    """Return where the slots of each symbol begin, by row, and where those of the last end."""
    return np.pad(np.cumsum(tables.frequencies.astype(np.int64), axis=1), ((0, 0), (1, 0)))


def own_signs(tables: Tables) -> NDArray[np.int64]:
    """Return of each row of plain tiles a bit for each magnitude that has a sign of its own.

    Bit k is that of magnitude k; a row that is not even has none.
    """
    plain = _plain(tables)
    negative, positive = plain[:, _ZERO - 1 :: -1], plain[:, _ZERO + 1 : ESCAPE]
    even = (negative == positive).all(axis=1) & (tables.shift_of[: len(plain)] == 0)
    bits = np.int64(1) << np.arange(1, _ZERO + 1, dtype=np.int64)
    return np.asarray((((positive > 0) & even[:, None]) * bits).sum(axis=1), np.int64)


def hidden_starts(tables: Tables) -> NDArray[np.int64]:
    """Return starts of rows of plain tiles in runs up to the residual whose sign is hidden.

    The symbol of a magnitude is that of the negative residual. Rows that are not even stay as they
    are.
    """
    found = starts(tables)[: len(_plain(tables))]
    hidden = found.copy()
    hidden[:, : _ZERO + 1] *= 2
    hidden[:, _ZERO + 1 : ESCAPE] = found[:, ESCAPE : ESCAPE + 1]
    return np.where(own_signs(tables)[:, None] > 0, hidden, found)


def _plain(tables: Tables) -> NDArray[np.int64]:
    """Return the frequencies of plain tiles."""
    return tables.frequencies[: LEVELS * len(tables.groups)].astype(np.int64)
