"""Fields of steps, as SPEC.md tells them in section 22."""

import numpy as np

FIELDS = (34, 35, 38, 39, 162, 163)
SHARES = np.array(
    [
        *(16384, 15689, 15024, 14387, 13777, 13193, 12634, 12098),
        *(11585, 11094, 10624, 10173, 9742, 9329, 8933, 8555),
    ]
)


def read_field(packed, rows, cols):
    """Return by how many codes positions are coarser, whether the tile is full, and the length."""
    head, side = packed[0], 2 << (packed[0] >> 5 & 3)
    assert side <= 8
    bits, low, place = "".join(f"{byte:08b}" for byte in packed[1:]), head & 7, 0
    down, across = -(-rows // side), -(-cols // side)
    blocks = np.zeros((down, across), np.int64)
    for row, col in np.ndindex(down, across):
        one = bits.index("1", place)
        stop = one + 1 + low
        m = (one - place) << low | int("0" + bits[one + 1 : stop], 2)
        place = stop
        before = blocks[row, col - 1] if col else blocks[row - 1, 0] if row else 0
        blocks[row, col] = before + (-(m + 1) // 2 if m % 2 else m // 2)
    length = 1 + -(-place // 8)
    assert "1" not in bits[place : 8 * (length - 1)]
    blocks <<= head >> 3 & 3
    assert blocks.min() == 0 < blocks.max() < 256
    each = blocks.repeat(side, axis=0).repeat(side, axis=1)[:rows, :cols]
    return each, bool(head & 0x80), length


def in_own_steps(tile, sizes):
    """Return sizes in steps of the DC (rows, cols, ...) in those of the AC of their positions."""
    if tile.coarser is None:
        return sizes
    share = SHARES[tile.coarser % 16] >> tile.coarser // 16
    return sizes * share[..., None] >> 14
