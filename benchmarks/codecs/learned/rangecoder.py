"""Range coder: the one door to constriction.

Frequencies are whole numbers that add up to a power of two of at most 2^20, so each is a float
exactly, and so is all that constriction makes of them on the way to its own units of 2^-24.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.learned.mixture import REACHES, TOTAL_BITS, Ints, Mixture
from benchmarks.codecs.modulated.tables import Tables
from ground import extra
from onboard.codec.rans import TOTAL
from onboard.errors import StreamError

MOST = 1 << 22
"""Numbers are from -2^22 to 2^22 - 1."""
_WORD = np.dtype(">u4")
_ENTRIES = 1 << 16
"""Frequencies that are computed at once, about."""


@dataclass(frozen=True)
class Symbols:
    """Some numbers that are coded alike.

    Attributes:
        of: which they are.
        least: the number that symbol 0 stands for, (some,).
        frequencies: of the symbols of each (some, symbols); the last that there is stands for what
            is beyond.
        last: number of that symbol, (some,).
        total: what frequencies add up to.
    """

    of: NDArray[Any]
    least: Ints
    frequencies: Ints
    last: Ints
    total: int

    @property
    def chances(self) -> NDArray[np.float64]:
        """Chances of the symbols, row by row in memory: constriction takes columns for rows."""
        return np.ascontiguousarray(self.frequencies / self.total)


def of_mixture(mixture: Mixture) -> Iterator[Symbols]:
    """Yield numbers that are expected to be a mixture, those of one reach together."""
    for reach in REACHES:
        alike = np.flatnonzero(mixture.reaches == reach)
        some = max(_ENTRIES // (2 * reach + 2), 1)
        for first in range(0, len(alike), some):
            of = alike[first : first + some]
            last = np.full(len(of), 2 * reach + 1)
            least = mixture.middles[of] - reach
            yield Symbols(of, least, mixture.frequencies(of, reach), last, 1 << TOTAL_BITS)


def of_tables(which: Ints, tables: Tables) -> Iterator[Symbols]:
    """Yield numbers (n,), each with a table, none of which has low bits."""
    reach = tables.reach[which]
    frequencies = tables.frequencies[which].astype(np.int64)
    yield Symbols(np.arange(len(which)), -reach, frequencies, 2 * reach + 1, TOTAL)


class Writer:
    """Numbers to bytes."""

    def __init__(self) -> None:
        """Begin to write. Raises EngineError where constriction is not installed."""
        stream = extra.load("bench", "constriction").stream
        self._coder = stream.queue.RangeEncoder()
        self._symbols = stream.model.Categorical(perfect=False)
        self._beyond = stream.model.Uniform(2 * MOST)

    def write(self, numbers: Ints, parts: Iterator[Symbols]) -> None:
        """Write numbers (n,), from -MOST to MOST - 1, in the order of their parts."""
        for part in parts:
            if not len(part.of):
                continue
            chosen = numbers[part.of]
            symbols = chosen - part.least
            beyond = (symbols < 0) | (symbols >= part.last)
            symbols = np.where(beyond, part.last, symbols)
            self._coder.encode(symbols.astype(np.int32), self._symbols, part.chances)
            if beyond.any():
                self._coder.encode((chosen[beyond] + MOST).astype(np.int32), self._beyond)

    def done(self) -> bytes:
        """Return all bytes."""
        return bytes(self._coder.get_compressed().astype(_WORD).tobytes())


class Reader:
    """Bytes to numbers."""

    def __init__(self, packed: bytes) -> None:
        """Begin to read.

        Raises:
            EngineError: constriction is not installed.
            StreamError: the bytes are no whole words.
        """
        stream = extra.load("bench", "constriction").stream
        if len(packed) % _WORD.itemsize:
            raise StreamError(f"range coder: expected words of 4 bytes, found {len(packed)} bytes")
        words = np.frombuffer(packed, _WORD).astype(np.uint32)
        self._coder = stream.queue.RangeDecoder(words)
        self._symbols = stream.model.Categorical(perfect=False)
        self._beyond = stream.model.Uniform(2 * MOST)

    def read(self, count: int, parts: Iterator[Symbols]) -> Ints:
        """Read so many numbers.

        Raises:
            StreamError: the bytes cannot be what a writer made.
        """
        numbers = np.zeros(count, np.int64)
        for part in parts:
            if not len(part.of):
                continue
            symbols = self._decoded(self._symbols, part.chances)
            if (symbols > part.last).any():
                raise StreamError("range coder: expected symbols of its tables, found another")
            numbers[part.of] = part.least + symbols
            beyond = part.of[symbols == part.last]
            if len(beyond):
                numbers[beyond] = self._decoded(self._beyond, len(beyond)) - MOST
        return numbers

    def end(self) -> None:
        """Check that all is read.

        Raises:
            StreamError: it is not.
        """
        if not self._coder.maybe_exhausted():
            raise StreamError("range coder: expected its end, found more")

    def _decoded(self, model: Any, told: Any) -> Ints:
        try:
            return np.asarray(self._coder.decode(model, told), np.int64)
        except AssertionError as error:
            raise StreamError(f"range coder: expected symbols: {error}") from error
