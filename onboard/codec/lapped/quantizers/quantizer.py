"""Quantizer: chooses the indices of a layer, all tiles of a batch together.

Which symbols are coded, and which tables they have, is settled before: a quantizer gets the coded
symbols of a layer, less their prediction, tile after tile in reading order, and returns an index
for each. Whatever it chooses a reader understands, as long as it keeps to its `points`; so a new
kind with points that are there changes no byte of the format.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints
from onboard.codec.lapped.quantizers.points import Points


@dataclass(frozen=True)
class Pending:
    """The coded symbols of a layer of a batch, before they are quantised.

    Attributes:
        layer: number of the layer, from 1.
        shape: tiles, positions and channels of the layer.
        coded: place of each coded symbol in the flat layer.
        counts: int64 (tiles * positions,), coded symbols of each position.
        away: value of each coded symbol less its prediction, in 1/64 step.
        rows: int64, row of the tables of each coded symbol; of the even states of a trellis.
        borders: (positions,), number of borders of the tile, 0 to 2, that a position is next to;
            None for DC.
    """

    layer: int
    shape: tuple[int, int, int]
    coded: NDArray[np.int64]
    counts: NDArray[np.int64]
    away: Ints
    rows: NDArray[np.int64]
    borders: Ints | None

    @property
    def channels(self) -> NDArray[np.int64]:
        """Channel of each coded symbol, within the layer."""
        return self.coded % self.shape[2]

    @property
    def beside(self) -> Ints | None:
        """Borders that the position of each coded symbol is next to; None for DC."""
        if self.borders is None:
            return None
        return np.repeat(np.tile(self.borders, self.shape[0]), self.counts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Coded symbols of each tile."""
        found: NDArray[np.int64] = self.counts.reshape(self.shape[:2]).sum(axis=1)
        return found


@dataclass(frozen=True)
class Quantised:
    """The coded symbols of a layer of a batch, quantised.

    Attributes:
        indices: signed index of each symbol, as coded.
        rows: int64, row of the tables of each.
        kept: what each index stands for, in units of the quantizer's points.
        states: u8, state of the trellis before each; None where there is none.
        derived: numbers of those that are of the other table of their row; None if none can be.
        signs: numbers of those whose sign is hidden; None if none can be.
    """

    indices: Ints
    rows: NDArray[np.int64]
    kept: Ints
    states: NDArray[np.uint8] | None = None
    derived: NDArray[np.int64] | None = None
    signs: NDArray[np.int64] | None = None


class Quantizer(Protocol):
    """A kind of quantizer, made of a model."""

    @property
    def points(self) -> Points:
        """What its indices stand for."""

    @property
    def tiles_at_once(self) -> int:
        """Tiles to quantise together, for speed; no byte depends on it."""

    def check(self, positions: int) -> None:
        """Refuse a model with which tiles of so many positions cannot be quantised.

        Raises:
            BundleError: they cannot.
        """

    def choose(self, pending: Pending) -> Quantised:
        """Choose the indices of a layer."""
