"""Field: the step codes of the blocks of a tile, beside that of the tile (SPEC.md, section 22)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.codec.tile import STEPS, Steps
from onboard.errors import StreamError

SIDES = (2, 4, 8)
"""Rows and columns of a block in positions, as a field names them by number."""
_FULL = 1 << 7
_SIDE_SHIFT, _UNIT_SHIFT, _MOST_UNIT, _MOST_LOW = 5, 3, 3, 7
_BYTE = 8
_SHARE_SHIFT = 14
_SHARES = (
    *(16384, 15689, 15024, 14387, 13777, 13193, 12634, 12098),
    *(11585, 11094, 10624, 10173, 9742, 9329, 8933, 8555),
)
"""2^14 * 2^(-i/16)."""
Coarser = NDArray[np.int64]
"""(tiles, rows, cols): codes by which the AC of a position has a coarser step than its tile."""


def shares(coarser: Coarser) -> NDArray[np.int32]:
    """Return what the tile's step is of that of each position, in 1/2^14."""
    return np.asarray(np.array(_SHARES)[coarser % 16] >> (coarser // 16), np.int32)


def in_own_steps(values: NDArray[np.int32], share: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return magnitudes in steps of the tile in those of their positions."""
    found: NDArray[np.int32] = (np.abs(values) * share) >> _SHARE_SHIFT
    return found


@dataclass(frozen=True, eq=False)
class Field:
    """By how many codes the AC of each block has a coarser step than the tile.

    Attributes:
        coarser: int64 (rows, cols) of blocks, 0 to 255.
        side: rows and columns of a block in positions, one of `SIDES`.
        full: whether the tile is full.
    """

    coarser: NDArray[np.int64]
    side: int
    full: bool = False

    @classmethod
    def of(cls, codes: Steps, room: int) -> "Field | None":
        """Return the field of the step codes (rows, cols) of positions; None if all are the same.

        Of the smallest blocks in which they are alike; if it takes more bytes than there is room,
        of larger ones, each with the finest code in it.
        """
        coarser = codes - codes.min()
        fields = [cls(_finest(coarser, side), side) for side in SIDES]
        rows, cols = codes.shape
        alike = [f for f in fields if np.array_equal(f.of_positions(rows, cols), coarser)]
        for field in fields[fields.index(alike[-1]) if alike else 0 :]:
            if not field.coarser.any():
                return None
            if len(field.pack()) <= room:
                return field
        return None

    def of_positions(self, rows: int, cols: int) -> NDArray[np.int64]:
        """Return (rows, cols): by how many codes each position is coarser."""
        return self.coarser.repeat(self.side, axis=0).repeat(self.side, axis=1)[:rows, :cols]

    def check(self, step: int) -> None:
        """Refuse codes beyond the coarsest, `step` being that of the tile.

        Raises:
            StreamError: there is one.
        """
        if step + int(self.coarser.max()) >= STEPS:
            raise StreamError(f"field: expected codes below {STEPS}, found {step} and more")

    def pack(self) -> bytes:
        """Return it in bytes: a head, then differences as Rice codes."""
        unit = self._unit
        numbers = _folded(self.coarser >> unit)
        lengths = [int((numbers >> low).sum()) + len(numbers) * (1 + low) for low in range(8)]
        low = int(np.argmin(lengths))
        kind = SIDES.index(self.side) << _SIDE_SHIFT | unit << _UNIT_SHIFT
        head = (_FULL if self.full else 0) | kind | low
        bits = "".join(_rice(number, low) for number in numbers.tolist())
        whole = bits + "0" * (-len(bits) % _BYTE)
        return bytes([head]) + int("1" + whole, 2).to_bytes(len(whole) // _BYTE + 1, "big")[1:]

    @property
    def _unit(self) -> int:
        """Lower bits that no code has, of three at most."""
        return next(u for u in range(_MOST_UNIT, -1, -1) if not (self.coarser % (1 << u)).any())

    @classmethod
    def unpack(cls, packed: bytes, rows: int, cols: int) -> tuple["Field", int]:
        """Return the field that bytes begin with, of a tile of so many positions, and its length.

        Raises:
            StreamError: it is none.
        """
        side = SIDES[(packed[0] >> _SIDE_SHIFT) & 3] if packed and _is_head(packed[0]) else 0
        if not side:
            raise StreamError(f"field: expected a head, found {packed[:1].hex() or 'nothing'}")
        shape = -(-rows // side), -(-cols // side)
        bits = _Bits(packed[1:])
        low = packed[0] & _MOST_LOW
        numbers = [bits.rice(low) for _ in range(shape[0] * shape[1])]
        unit = packed[0] >> _UNIT_SHIFT & _MOST_UNIT
        coarser = _unfolded(np.array(numbers, np.int64), shape) << unit
        if bits.rest() or coarser.min() != 0 or not coarser.any() or coarser.max() >= STEPS:
            raise StreamError(f"field: expected 0 to 255, 0 among them, found {coarser.tolist()}")
        return cls(coarser, side, bool(packed[0] & _FULL)), 1 + bits.bytes_read


def fields_of(steps: Steps, room: int) -> tuple[Steps, list[Field | None]]:
    """Return step codes as the fields of tiles that fit a room tell them, and these fields.

    Args:
        steps: step code of each tile, or (tiles, rows, cols) of each position.
        room: bytes that a field may take.
    """
    if steps.ndim == 1:
        return steps, [None] * len(steps)
    fields = [Field.of(codes, room) for codes in steps]
    told = np.repeat(steps.min(axis=(1, 2)), steps[0].size).reshape(steps.shape)
    for codes, field in zip(told, fields, strict=True):
        if field is not None:
            codes[:] = codes + field.of_positions(*codes.shape)
    return told, fields


class _Bits:
    """Reads bits, most significant first."""

    def __init__(self, packed: bytes) -> None:
        self._packed, self._place = packed, 0

    def rice(self, low: int) -> int:
        """Read a Rice code with so many low bits."""
        high = 0
        while self._take(1) == 0:
            high += 1
            if high >= 2 * STEPS:
                raise StreamError("field: a difference beyond all step codes")
        return high << low | self._take(low)

    def _take(self, count: int) -> int:
        stop = self._place + count
        if stop > _BYTE * len(self._packed):
            raise StreamError("field: ends within a difference")
        found = 0
        for place in range(self._place, stop):
            found = found << 1 | self._packed[place // _BYTE] >> (7 - place % _BYTE) & 1
        self._place = stop
        return found

    @property
    def bytes_read(self) -> int:
        """Bytes of which anything was read."""
        return -(-self._place // _BYTE)

    def rest(self) -> int:
        """Return the bits left in the last byte that was begun."""
        return self._take(-self._place % _BYTE)


def _is_head(head: int) -> bool:
    return (head >> _SIDE_SHIFT) & 3 < len(SIDES)


def _finest(coarser: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Return the least of each block of so many positions a side."""
    rows, cols = coarser.shape
    by_rows = np.minimum.reduceat(coarser, np.arange(0, rows, side), axis=0)
    return np.asarray(np.minimum.reduceat(by_rows, np.arange(0, cols, side), axis=1))


def _folded(coarser: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return differences from the block to the left, at the left border above, as 0, -1, 1, ..."""
    before = np.zeros_like(coarser)
    before[:, 1:], before[1:, 0] = coarser[:, :-1], coarser[:-1, 0]
    away = (coarser - before).reshape(-1)
    return np.where(away < 0, -2 * away - 1, 2 * away)


def _unfolded(numbers: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int64]:
    away = np.where(numbers % 2, -(numbers + 1) // 2, numbers // 2).reshape(shape)
    away[:, 0] = np.cumsum(away[:, 0])
    return np.cumsum(away, axis=1)


def _rice(number: int, low: int) -> str:
    """Return the Rice code of a number: its upper bits in unary, a 1, so many lower bits."""
    lower = f"{number & ((1 << low) - 1):0{low}b}" if low else ""
    return "0" * (number >> low) + "1" + lower
