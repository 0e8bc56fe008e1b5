"""Side information of a band of a tile, as symbols of the lane (SPEC.md, section 20)."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bounded.scales import Cells, Hole, Scale, Steps, Stretches
from onboard.codec.bounded.tables import BIT, LEVELS, Tables

PLAIN, STEPS, HOLE, STRETCHES, CELLS = range(5)
"""Kinds of scale."""
STATIC, OWN, RAW = range(3)
"""How a band is predicted: with static coefficients, its own ones, or not at all."""
KIND_BITS, MODE_BITS, SCALE_BITS, MOVE_BITS = 3, 2, 5, 3
NUMBER_BITS = 5
SAMPLE_BITS = 16
PATTERN_BITS = 4
MOVE, MOVE_ZERO = 4, 2
"""Changes are coded at the level of their spread and so many more for each move beyond two."""


@dataclass
class SideWriter:
    """Symbols of side information, being written.

    Attributes:
        tables: frequencies of symbols.
        rows: rows of the alphabet.
        cost: 1/256 bit.
    """

    tables: Tables
    rows: list[NDArray[np.integer]] = field(default_factory=list)
    cost: int = 0

    def bits(self, value: int, count: int) -> None:
        """Write a number of so many bits, at most 16: what is beyond 8 of them comes first."""
        self.cost += BIT * count
        if count > 8:
            self.rows.append(self.tables.raw(value >> 8, count - 8).reshape(1))
            value, count = value & 255, 8
        if count:
            self.rows.append(self.tables.raw(value, count).reshape(1))

    def number(self, value: int) -> None:
        """Write a number of 0..65535: how many bits it has, then these."""
        self.bits(value.bit_length(), NUMBER_BITS)
        self.bits(value, value.bit_length())

    def residuals(self, levels: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        """Write numbers as residuals of these levels."""
        rows, _, cost = self.tables.symbols(levels, values.astype(np.int32))
        self.rows.append(rows)
        self.cost += int(cost.sum(dtype=np.int64))

    def symbols(self) -> NDArray[np.uint16]:
        """Return all that was written."""
        return np.concatenate(self.rows).astype(np.uint16)


def write_scale(side: SideWriter, scale: Scale) -> None:
    """Write kind, least sample, largest value, bound and parameters of a scale."""
    kind = _kind(scale)
    side.bits(kind, KIND_BITS)
    side.bits(scale.least & 0xFFFF, SAMPLE_BITS)
    side.number(scale.most)
    if not scale.most:
        return
    if kind <= HOLE:
        side.number(scale.bound)
    if isinstance(scale, Steps) and kind == STEPS:
        side.number(scale.step)
    elif isinstance(scale, Hole):
        side.bits(scale.nodata & 0xFFFF, SAMPLE_BITS)
    elif isinstance(scale, Stretches):
        side.number(len(scale.patterns))
        before = -1
        for pattern in scale.patterns:
            side.bits(pattern == before, 1)
            if pattern != before:
                side.bits(pattern, PATTERN_BITS)
            before = pattern
    elif isinstance(scale, Cells):
        side.number(scale.root)
        side.bits(scale.nodata is not None, 1)
        if scale.nodata is not None:
            side.bits(scale.nodata & 0xFFFF, SAMPLE_BITS)


def write_scale_of_rest(side: SideWriter, scale: Scale, first: Scale) -> None:
    """Write the scale of the rest of a band, knowing that of its first part."""
    like_first = with_bound(first, scale.bound) == scale
    side.bits(like_first, 1)
    if not like_first:
        write_scale(side, scale)
    elif scale.most:
        side.number(scale.bound)


def with_bound(scale: Scale, bound: int) -> Scale | None:
    """Return a scale with another bound; None of a kind that has none."""
    return replace(scale, bound=bound) if isinstance(scale, Steps | Hole) else None


def change_levels(spreads: NDArray[np.uint8], move: int) -> NDArray[np.int64]:
    """Return at which levels changes of coefficients are coded."""
    return np.clip(spreads.astype(np.int64) + MOVE * (move - MOVE_ZERO), 0, LEVELS - 1)


def write_changes(
    side: SideWriter, spreads: NDArray[np.uint8], changes: NDArray[np.int64], move: int
) -> None:
    """Write changes of coefficients, at the levels of a move."""
    side.bits(move, MOVE_BITS)
    side.residuals(change_levels(spreads, move), changes)


def change_costs(
    tables: Tables, spreads: NDArray[np.uint8], changes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (tiles, moves), in 1/256 bit, what changes (tiles, n) cost after each move."""
    found = [
        tables.costs(change_levels(spreads, move)[None], changes).sum(axis=1)
        for move in range(1 << MOVE_BITS)
    ]
    return np.stack(found, axis=1)


def _kind(scale: Scale) -> int:
    if isinstance(scale, Steps):
        return STEPS if scale.step > 1 else PLAIN
    if isinstance(scale, Hole):
        return HOLE
    return STRETCHES if isinstance(scale, Stretches) else CELLS
