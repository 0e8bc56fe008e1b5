"""Constants of the C encoder for bounded tiles: the integers of a part `bounded`."""

import numpy as np
from numpy.typing import NDArray

from export.csource.arrays import Table
from onboard.codec.bounded.analysis import LOG2
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.bounded.tables import REST_BITS
from onboard.codec.rans import PRECISION

_ROW = 128
"""Symbols of a level, those in use and others."""


def bounded_constants(codec: BoundedCodec) -> list[Table]:
    """Return every constant array, names without `bounded_`.

    Rows of 128 symbols: a symbol has its start, of 12 bits, above that 12 less the raw bits that
    follow it, and then how many of all slots are those of others; costs are those of the residuals
    that it begins, raw bits and escapes included.
    """
    model, tables = codec.model, codec.model.tables
    frequencies = tables.frequencies.astype(np.int64)
    starts = np.where(frequencies > 0, tables.starts.astype(np.int64), 0)
    others = (1 << PRECISION) - frequencies
    numbers = (np.arange(starts.shape[1]) + 1) // 2
    rest = np.append(REST_BITS, 0).astype(np.int64)[numbers]  # of an escape they go on their own
    slots = (PRECISION - rest) << PRECISION | starts
    symbols = np.stack([_in_rows(slots, 0), _in_rows(others, 1 << PRECISION)], axis=1)
    return [
        Table("bounded_coefficients", "int16_t", model.coefficients),
        Table("bounded_spreads", "uint8_t", model.spreads),
        Table("bounded_weights", "int16_t", model.weights),
        Table("bounded_bias", "uint16_t", model.bias),
        Table("bounded_symbols", "uint16_t", symbols.reshape(-1)),
        Table("bounded_costs", "uint16_t", _in_rows(tables.symbol_costs, 0)),
        Table("bounded_logarithms", "uint8_t", LOG2),
    ]


def _in_rows(values: NDArray[np.int64], other: int) -> NDArray[np.int64]:
    """Return what stands for the symbols of each level, in rows of 128, one after the other."""
    rows = np.pad(values, ((0, 0), (0, _ROW - values.shape[1])), constant_values=other)
    return rows.reshape(-1)
