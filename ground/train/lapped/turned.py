"""Maps in the eight orientations of the square."""

import torch
from torch import Tensor

_SWAPPED, _COLUMNS, _ROWS = 1, 2, 4
"""Bits of an orientation: rows and columns swapped, then columns and rows mirrored."""


def turned(maps: Tensor, turn: int) -> Tensor:
    """Return maps (..., rows, cols) in one of the eight orientations, 0 to 7."""
    maps = maps.transpose(-1, -2) if turn & _SWAPPED else maps
    flipped = [axis for axis, bit in ((-1, _COLUMNS), (-2, _ROWS)) if turn & bit]
    return maps.flip(flipped).contiguous()


def turned_borders(border: Tensor, turn: int) -> Tensor:
    """Return where tiles meet (n, 2, rows, cols) in an orientation: what is first becomes last."""
    border = border.flip(1) if turn & _SWAPPED else border
    signs = torch.tensor([-1.0 if turn & bit else 1.0 for bit in (_ROWS, _COLUMNS)])
    return turned(border * signs[:, None, None], turn)
