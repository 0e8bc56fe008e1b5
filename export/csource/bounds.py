"""Bounds: what the C types must hold of a bundle, so that nothing overflows whatever it sees.

Sums of the context model are bounded where a model is made, what is scaled by a step and what a
path along the trellis costs where those tables are made.
"""

import numpy as np

from export.csource.arrays import Table
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.errors import BundleError

_ROWS = 1 << 10
"""Rows of tables that a symbol may name (SKYBOOK_ROW_BITS)."""
_TILE = 64
_WIDEST_DEAD = 254
"""1/64 steps of a dead zone: what a change of a residual of 0 costs is less than 255."""


def check_bounds(bundle: Bundle, tables: list[Table]) -> None:
    """Refuse a bundle whose numbers the encoder in C cannot hold.

    Raises:
        BundleError: one does not fit; the message says which, and what fits.
    """
    for table in tables:
        limits = np.iinfo(table.kind.removesuffix("_t"))
        least, most = int(table.values.min()), int(table.values.max())
        largest = _WIDEST_DEAD if table.name == "dead" else limits.max
        if least < limits.min or most > largest:
            raise BundleError(
                f"table {table.name}: the encoder in C takes {limits.min} to {largest}, found "
                f"{least} to {most}"
            )
    rows = len(LappedCodec.of(bundle.codec).model.tables.frequencies)
    if LappedCodec.of(bundle.codec).usual_tile > _TILE or rows > _ROWS:
        raise BundleError(
            f"bundle {bundle.name}: the encoder in C takes tiles of {_TILE} pixels, {_ROWS} rows "
            f"of tables, found {LappedCodec.of(bundle.codec).usual_tile} and {rows}"
        )
