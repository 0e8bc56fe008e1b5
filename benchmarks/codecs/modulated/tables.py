"""Tables: whole frequencies of what latents may be, made once when a network is trained.

They are kept with the weights. Nothing of them is computed anew where a stream is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from benchmarks.codecs.modulated.layout import SCALES, SIGMA_LEAST, SIGMA_MOST
from onboard.codec.rans import PRECISION, TOTAL
from onboard.errors import BundleError

MOST_SHIFT = 5
_FINE = 8.0
"""Steps that a deviation has at least where low bits are sent as they are."""
_REACH = 4.5
"""Deviations that a table reaches."""
_HYPER_REACH, _MOST_HYPER_REACH = 12.0, 60


@dataclass(frozen=True)
class Tables:
    """Frequencies of symbols.

    A number n of a table with shift s and reach r is the symbol r + (n >> s), and s low bits; what
    is beyond the reach is the symbol 2r + 1, and told apart.

    Attributes:
        frequencies: u16 (tables, symbols), each row 4096 in all; beyond its symbols 0.
        shifts: of each table, 0 to 5.
    """

    frequencies: NDArray[np.uint16]
    shifts: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Check that they are tables.

        Raises:
            BundleError: a row has another sum, or a shift is too large.
        """
        counts, sums = (self.frequencies > 0).sum(axis=1), self.frequencies.sum(axis=1)
        rising = np.arange(self.frequencies.shape[1]) < counts[:, None]
        whole = np.array_equal(rising, self.frequencies > 0) and not (counts % 2).any()
        if not whole or (sums != TOTAL).any() or self.shifts.max(initial=0) > MOST_SHIFT:
            raise BundleError(f"tables: expected rows of {TOTAL} in all, found sums {set(sums)}")

    @cached_property
    def reach(self) -> NDArray[np.int64]:
        """Reach of each table."""
        return np.asarray((self.frequencies > 0).sum(axis=1) // 2 - 1, np.int64)

    @cached_property
    def frequency(self) -> NDArray[np.int64]:
        """Frequencies of all, those of 0 to 5 low bits being the last rows."""
        width = max(self.frequencies.shape[1], 1 << MOST_SHIFT)
        found = np.zeros((len(self.frequencies) + MOST_SHIFT + 1, width), np.int64)
        found[: len(self.frequencies), : self.frequencies.shape[1]] = self.frequencies
        for bits in range(MOST_SHIFT + 1):
            found[len(self.frequencies) + bits, : 1 << bits] = TOTAL >> bits
        return found

    @cached_property
    def start(self) -> NDArray[np.int64]:
        """Where each symbol begins among 4096."""
        return np.cumsum(self.frequency, axis=1) - self.frequency

    @cached_property
    def symbol_of(self) -> NDArray[np.int16]:
        """Symbol at each of the 4096 places, by table."""
        numbers = np.arange(self.frequency.shape[1], dtype=np.int16)
        return np.stack([np.repeat(numbers, row) for row in self.frequency])

    @cached_property
    def bits(self) -> NDArray[np.float64]:
        """Bits of each symbol."""
        return PRECISION - np.log2(np.maximum(self.frequency, 1))


def latent_tables() -> Tables:
    """Return the tables of the 64 scales: Gaussians about 0."""
    sigmas = SIGMA_LEAST * (SIGMA_MOST / SIGMA_LEAST) ** (np.arange(SCALES) / (SCALES - 1))
    shifts = np.clip(np.floor(np.log2(sigmas / _FINE)), 0, MOST_SHIFT).astype(np.int64)
    rows = []
    for sigma, shift in zip(sigmas, shifts, strict=True):
        reach = int(np.ceil(_REACH * sigma / (1 << shift))) + 1
        edges = (np.arange(-reach, reach + 2) * float(1 << shift) - 0.5) / sigma
        rows.append(_whole(np.diff(ndtr(edges))))
    return _stacked(rows, shifts)


def hyper_tables(spreads: NDArray[np.float64]) -> Tables:
    """Return the table of each map of side information: logistic about 0."""
    rows = []
    for spread in spreads:
        reach = min(int(np.ceil(_HYPER_REACH * spread)) + 1, _MOST_HYPER_REACH)
        rows.append(_whole(np.diff(expit((np.arange(-reach, reach + 2) - 0.5) / spread))))
    return _stacked(rows, np.zeros(len(spreads), np.int64))


def _whole(chances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return frequencies, at least 1 each, the last one what is beyond."""
    shares = np.append(chances, max(1 - chances.sum(), 0))
    found = 1 + np.floor(shares / shares.sum() * (TOTAL - len(shares))).astype(np.int64)
    found[np.argmax(found)] += TOTAL - found.sum()
    return np.asarray(found, np.int64)


def _stacked(rows: Sequence[NDArray[np.int64]], shifts: NDArray[np.int64]) -> Tables:
    width = max(map(len, rows))
    padded = [np.pad(row, (0, width - len(row))) for row in rows]
    return Tables(np.stack(padded).astype(np.uint16), shifts.astype(np.uint8))
