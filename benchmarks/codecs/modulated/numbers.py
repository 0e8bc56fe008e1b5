"""Numbers to bytes and back: rANS with a table for each, as that of SPEC.md, section 11.

A block of numbers is, big-endian:

    bytes of each lane    u32 each
    lanes                 state and words, see `onboard.codec.rans`
    beyond                for each number beyond the reach of its table its high part h, as
                          2h (or -2h - 1 of a negative one) in groups of 7 bits, the lowest first,
                          the eighth bit set in all but the last

Symbols are those of all numbers, then the low bits of those that have some, cut to lanes of equal
length. How many there are follows from the tables, which a reader knows.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.modulated.tables import Tables
from onboard.codec.rans import PRECISION, START, STATE_BYTES, TOTAL, WORD, encode
from onboard.errors import StreamError

_LANE = 1 << 15
"""Symbols of a lane, about."""
_LENGTH = 4
_MOST_HIGH = 1 << 24

Ints = NDArray[np.int64]


def pack(numbers: Ints, of: Ints, tables: Tables) -> bytes:
    """Return the block of numbers (n,), each with the table `of` it."""
    which, symbols, beyond = _symbols(numbers, of, tables)
    rows = (tables.frequency[which, symbols] << PRECISION | tables.start[which, symbols]).astype(
        np.uint32
    )
    lanes = encode([rows[part] for part in _parts(len(rows))], None)
    lengths = b"".join(len(lane).to_bytes(_LENGTH, "big") for lane in lanes)
    return lengths + b"".join(lanes) + b"".join(map(_told, beyond.tolist()))


def unpack(packed: bytes, of: Ints, tables: Tables) -> Ints:
    """Return the numbers of a block.

    Raises:
        StreamError: it is damaged.
    """
    shifts = tables.shifts[of].astype(np.int64)
    low = np.flatnonzero(shifts)
    which = np.concatenate([of, len(tables.shifts) + shifts[low]])
    symbols, rest = _read(packed, which, tables)
    high = symbols[: len(of)] - tables.reach[of]
    beyond = np.flatnonzero(high > tables.reach[of])
    high[beyond] = list(_heard(rest, len(beyond)))
    found = high << shifts
    found[low] |= symbols[len(of) :]
    return found


def bits(numbers: Ints, of: Ints, tables: Tables) -> float:
    """Return about how many bits a block has."""
    which, symbols, beyond = _symbols(numbers, of, tables)
    told = sum(len(_told(high)) for high in beyond.tolist())
    return float(tables.bits[which, symbols].sum()) + 8 * told


def _symbols(numbers: Ints, of: Ints, tables: Tables) -> tuple[Ints, Ints, Ints]:
    """Return table and symbol of all that is coded, and what is beyond the reach of its table."""
    shifts, reach = tables.shifts[of].astype(np.int64), tables.reach[of]
    high = numbers >> shifts
    outside = np.abs(high) > reach
    low = np.flatnonzero(shifts)
    lows = numbers[low] & ((1 << shifts[low]) - 1)
    symbols = np.concatenate([np.where(outside, 2 * reach + 1, high + reach), lows])
    return np.concatenate([of, len(tables.shifts) + shifts[low]]), symbols, high[outside]


def _parts(count: int) -> list[slice]:
    """Return which symbols each lane has."""
    lanes = max(round(count / _LANE), 1)
    each = max(-(-count // lanes), 1)
    return [slice(first, first + each) for first in range(0, max(count, 1), each)]


def _read(packed: bytes, which: Ints, tables: Tables) -> tuple[Ints, bytes]:
    """Read the symbols of all lanes side by side; return them and the bytes behind the lanes."""
    parts = _parts(len(which))
    bodies, rest = _lanes(packed, len(parts))
    steps = parts[0].stop
    # A lane that is shorter ends with symbols of no bits, which leave its state as it is.
    padded = np.full(len(parts) * steps, len(tables.shifts), np.int64)
    padded[: len(which)] = which
    found = np.zeros((steps, len(parts)), np.int64)
    state = np.array([int.from_bytes(body[:STATE_BYTES], "big") for body in bodies], np.int64)
    counts = np.array([(len(body) - STATE_BYTES) // 2 for body in bodies])
    words = np.frombuffer(b"".join(body[STATE_BYTES:] for body in bodies) + b"\0\0", ">u2")
    words = words.astype(np.int64)
    stop = np.cumsum(counts)
    following = stop - counts
    for step, row in enumerate(padded.reshape(len(parts), steps).T):
        slots = state & (TOTAL - 1)
        symbols = found[step] = tables.symbol_of[row, slots]
        frequency, start = tables.frequency[row, symbols], tables.start[row, symbols]
        state = frequency * (state >> PRECISION) + slots - start
        low = state < START
        state = np.where(low, state << WORD | words.take(following, mode="clip"), state)
        following = following + low
    if (state != START).any() or (following != stop).any():
        raise StreamError("lanes: expected each to end where its writer began, found another state")
    return found.T.reshape(-1)[: len(which)], rest


def _lanes(packed: bytes, count: int) -> tuple[list[bytes], bytes]:
    """Return the lanes of a block, and the bytes behind them."""
    first = _LENGTH * count
    lengths = [int.from_bytes(packed[n : n + _LENGTH], "big") for n in range(0, first, _LENGTH)]
    if len(packed) < first + sum(lengths) or any(n < STATE_BYTES or n % 2 for n in lengths):
        raise StreamError(f"lanes: expected {count} in {len(packed)} bytes, found {lengths} bytes")
    stops = np.cumsum([first, *lengths]).tolist()
    bodies = [packed[a:b] for a, b in pairwise(stops)]
    return bodies, packed[stops[-1] :]


def _told(high: int) -> bytes:
    """Return a number beyond the reach of its table in groups of 7 bits."""
    rest = 2 * high if high >= 0 else -2 * high - 1
    groups = bytearray()
    while rest > 0x7F:
        groups.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*groups, rest])


def _heard(packed: bytes, count: int) -> Iterator[int]:
    """Yield the numbers that `_told` made; they must be all there is.

    Raises:
        StreamError: bytes are missing or left, or a number is too large.
    """
    found = bits_read = value = 0
    for byte in packed:
        value |= (byte & 0x7F) << bits_read
        bits_read += 7
        if value > 2 * _MOST_HIGH:
            break
        if byte < 0x80:
            yield value >> 1 if value % 2 == 0 else -(value >> 1) - 1
            found, bits_read, value = found + 1, 0, 0
    if found != count or bits_read:
        raise StreamError(f"numbers: expected {count} beyond their tables, found {found}")
