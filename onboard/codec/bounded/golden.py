"""Golden tiles: made by a rule, coded, and told from others by a checksum (SPEC.md, section 20)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from onboard.codec.bound import Bound
from onboard.codec.bounded.coder import BoundedTileCoder
from onboard.codec.bounded.model import BoundedModel
from onboard.codec.tile import ALL_VALID, MAX_BODY, Chosen
from onboard.link.crc import crc32c
from onboard.link.framing import EDGE_BYTES

BANDS, SIDE = 4, 32
BOUNDS = (0, 2)
"""Bound of each golden tile."""


def samples() -> NDArray[np.uint16]:
    """Return the samples (bands, rows, cols) of the golden tiles."""
    row, col = np.divmod(np.arange(SIDE * SIDE), SIDE)
    noise, bands = 1, []
    for band in range(BANDS):
        smooth = 1000 + 7 * col + 5 * row + (row * col * (band + 1) >> 3)
        drawn = []
        for _ in range(SIDE * SIDE):
            noise = (noise * 1_103_515_245 + 12_345) % (1 << 31)
            drawn.append(noise >> 25)
        bands.append(smooth + np.array(drawn))
    return np.stack(bands).reshape(BANDS, SIDE, SIDE).astype(np.uint16)


def bodies(coder_of: Callable[[Bound], BoundedTileCoder]) -> list[bytes]:
    """Return the only body of each golden tile, from what opens a coder within a bound."""
    tile = samples()[None]
    here = np.ones((1, SIDE, SIDE), np.bool_)
    found = []
    for bound in BOUNDS:
        coder = coder_of(Bound((bound,)))
        prepared = coder.prepare(tile, here, (SIDE, SIDE))
        chosen = Chosen(prepared, np.zeros(1, np.int64), [ALL_VALID], MAX_BODY - EDGE_BYTES)
        ((body,),) = coder.write(coder.plan(chosen, False))
        found.append(body[2])
    return found


def checksums(coder_of: Callable[[Bound], BoundedTileCoder]) -> tuple[int, ...]:
    """Return the CRC-32C of the only body of each golden tile."""
    return tuple(map(crc32c, bodies(coder_of)))


def in_numpy(model: BoundedModel) -> Callable[[Bound], BoundedTileCoder]:
    """Return what opens a coder of golden tiles in numpy."""
    return lambda bound: BoundedTileCoder(model, BANDS, bound)
