"""Tables by which the C encoder hides signs (SPEC.md, sections 10 and 11)."""

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.quantizers.signs import OwnSigns
from onboard.codec.lapped.tables import ESCAPE, LARGEST, Tables


def starts(tables: Tables) -> NDArray[np.int64]:
    """Return where the slots of each symbol begin, by row, and where those of the last end."""
    return np.pad(np.cumsum(tables.frequencies.astype(np.int64), axis=1), ((0, 0), (1, 0)))


def own_signs(tables: Tables) -> NDArray[np.int64]:
    """Return of each row of plain tiles a bit for each magnitude that has a sign of its own.

    Bit k is that of magnitude k; a row that is not even has none.
    """
    sizes = np.arange(1, LARGEST + 1)
    return np.asarray((OwnSigns.of(tables).single[:, sizes] << sizes).sum(axis=1), np.int64)


def hidden_starts(tables: Tables) -> NDArray[np.int64]:
    """Return starts of rows of plain tiles in runs up to the residual whose sign is hidden.

    The symbol of a magnitude is that of the negative residual. Rows that are not even stay as they
    are.
    """
    own = own_signs(tables)[:, None]
    found = starts(tables)[: len(own)]
    hidden = found.copy()
    hidden[:, : LARGEST + 1] *= 2
    hidden[:, LARGEST + 1 : ESCAPE] = found[:, ESCAPE : ESCAPE + 1]
    return np.where(own > 0, hidden, found)
