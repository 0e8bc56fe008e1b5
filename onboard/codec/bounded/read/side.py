"""Side information of a band of a tile, read from its lane (SPEC.md, section 20)."""

from dataclasses import dataclass

import numpy as np

from onboard.codec.bound import MAX_BOUND
from onboard.codec.bounded.context import EQUAL
from onboard.codec.bounded.leastsquares import GRID
from onboard.codec.bounded.model import (
    MAX_COEFFICIENT,
    BoundedModel,
    Ints,
    coefficient_count,
    references,
    role,
)
from onboard.codec.bounded.read.lane import Cursor
from onboard.codec.bounded.scales import PATTERNS, Cells, Hole, Scale, Steps, Stretches
from onboard.codec.bounded.side import (
    CELLS,
    HOLE,
    KIND_BITS,
    MODE_BITS,
    MOVE_BITS,
    OWN,
    PATTERN_BITS,
    PLAIN,
    RAW,
    SAMPLE_BITS,
    SCALE_BITS,
    STATIC,
    STEPS,
    STRETCHES,
    change_levels,
    with_bound,
)
from onboard.errors import StreamError

_MOST_STRETCHES = 1024


@dataclass(frozen=True)
class BandSide:
    """What was sent of a band of a tile beside its samples.

    Attributes:
        scale: its values.
        raw: whether values are sent as they are.
        scales: how energies of references are scaled.
        coefficients: of its predictor, in 1/256.
    """

    scale: Scale
    raw: bool
    scales: tuple[int, ...]
    coefficients: Ints


def read_side(cursor: Cursor, model: BoundedModel, band: int, signed: bool) -> BandSide:
    """Read the side information of a band.

    Raises:
        StreamError: it makes no sense.
    """
    scale = _read_scale(cursor, signed)
    count = coefficient_count(band)
    static = model.static[role(band), :count]
    none = (EQUAL,) * len(references(band))
    if not scale.most:
        return BandSide(scale, False, none, static)
    mode = cursor.bits(MODE_BITS)
    if mode == RAW:
        return BandSide(scale, True, none, static)
    if mode not in (STATIC, OWN):
        raise StreamError(f"bounded tile: unknown mode {mode}")
    scales = tuple(cursor.bits(SCALE_BITS) for _ in none)
    if mode == STATIC:
        return BandSide(scale, False, scales, static)
    move = cursor.bits(MOVE_BITS)
    levels = change_levels(model.spreads[role(band), :count], move).tolist()
    changes = np.array([cursor.residual(level) for level in levels], np.int64)
    own = static + GRID * changes
    if np.abs(own).max() > MAX_COEFFICIENT:
        raise StreamError(f"bounded tile: a coefficient of {np.abs(own).max()}")
    return BandSide(scale, False, scales, own)


@dataclass(frozen=True)
class RestSide:
    """What was sent of a band of the rest of a tile beside its samples.

    Attributes:
        scale: its values.
        scales: how energies of references are scaled; None where places are told flat.
    """

    scale: Scale
    scales: tuple[int, ...] | None


def read_side_of_rest(cursor: Cursor, band: int, first: Scale, signed: bool) -> RestSide:
    """Read the side information of a band of the rest, knowing the scale of its first part.

    Raises:
        StreamError: it makes no sense.
    """
    if cursor.bits(1):
        scale = with_bound(first, _bound(cursor) if first.most else 0)
        if scale is None:
            raise StreamError("bounded tile: a bound on a scale that has none")
    else:
        scale = _read_scale(cursor, signed)
    if not scale.most or not cursor.bits(1):
        return RestSide(scale, None)
    return RestSide(scale, tuple(cursor.bits(SCALE_BITS) for _ in references(band)))


def _bound(cursor: Cursor) -> int:
    found = cursor.number()
    if found > MAX_BOUND:
        raise StreamError(f"bounded tile: expected a bound of at most {MAX_BOUND}, found {found}")
    return found


def _read_scale(cursor: Cursor, signed: bool) -> Scale:
    kind = cursor.bits(KIND_BITS)
    least = _sample(cursor, signed)
    most = cursor.number()
    if not most:
        if kind != PLAIN:
            raise StreamError(f"bounded tile: one value on a scale of kind {kind}")
        return Steps(least, 0, 0)
    bound = _bound(cursor) if kind in (PLAIN, STEPS, HOLE) else 0
    if kind == PLAIN:
        return Steps(least, most, bound)
    if kind == STEPS:
        return Steps(least, most, bound, max(cursor.number(), 1))
    if kind == HOLE:
        return Hole(least, most, bound, _sample(cursor, signed))
    if kind == STRETCHES:
        return _read_stretches(cursor, least, most)
    if kind == CELLS:
        root = cursor.number()
        nodata = _sample(cursor, signed) if cursor.bits(1) else None
        if not root:
            raise StreamError("bounded tile: cells of no root")
        return Cells(root, nodata, least, most)
    raise StreamError(f"bounded tile: unknown kind of scale {kind}")


def _read_stretches(cursor: Cursor, least: int, most: int) -> Stretches:
    count = cursor.number()
    if not 1 <= count <= _MOST_STRETCHES:
        raise StreamError(f"bounded tile: {count} stretches")
    patterns: list[int] = []
    for _ in range(count):
        same = cursor.bits(1)
        pattern = patterns[-1] if same and patterns else cursor.bits(PATTERN_BITS)
        if pattern >= len(PATTERNS):
            raise StreamError(f"bounded tile: unknown pattern {pattern}")
        patterns.append(pattern)
    found = Stretches(least, tuple(patterns))
    if found.most != most:
        raise StreamError(f"bounded tile: {found.most + 1} values, expected {most + 1}")
    return found


def _sample(cursor: Cursor, signed: bool) -> int:
    found = cursor.bits(SAMPLE_BITS)
    return found - (1 << SAMPLE_BITS) if signed and found >> (SAMPLE_BITS - 1) else found
