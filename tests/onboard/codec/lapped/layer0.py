"""Layer 0 of lapped tiles, as tests take it apart."""

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import floors
from onboard.codec.lapped.model import LappedModel
from onboard.codec.tile import FULL, Body


def layer_0_bytes(model: LappedModel, body: bytes) -> int:
    """Return the length of the layer 0 that a body begins with."""
    side = 1 + model.front_end.side_bytes
    return side + (floors.packed_bytes(body[side:]) if body[0] & FULL else 0)


def least_levels(model: LappedModel, tiles: list[list[Body]]) -> NDArray[np.int32]:
    """Return the least level of each channel of tiles, 0 in those that are not full."""
    found = np.zeros((len(tiles), model.contexts.cuts[-1]), np.int32)
    side = 1 + model.front_end.side_bytes
    for tile, bodies in enumerate(tiles):
        body = bodies[0][2]
        if body[0] & FULL:
            packed = body[side : layer_0_bytes(model, body)]
            named = floors.unpack(packed, model.contexts.bands)
            found[tile] = floors.least_levels(model, [named])
    return found
