"""Regions: tiles of a scene that are coded within a bound on their error, whatever the rest is."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from onboard.codec.bound import BoundedBox, BoundedCodec
from onboard.encoder.batches import Batches
from onboard.encoder.windows import RateWindows
from onboard.link.framing import Framing
from onboard.link.header import SceneHeader

BoxOf = Callable[[int], BoundedBox | None]
"""Says which box, if any, a tile touches first, by the tile's number in the scene."""


def box_of(regions: Sequence[BoundedBox], columns: int, tile: int) -> BoxOf:
    """Return what says so of a grid of so many columns."""

    def find(index: int) -> BoundedBox | None:
        return next((box for box in regions if box.touches(index, columns, tile)), None)

    return find


def exact_windows(
    codec: BoundedCodec,
    regions: Sequence[BoundedBox],
    framing: Framing,
    windows: Sequence[NDArray[Any]],
    place: tuple[SceneHeader, int, int],
) -> list[RateWindows]:
    """Return the tiles of each box, of some windows of lines.

    Args:
        codec: codes them.
        regions: boxes.
        framing: what all segments have in common.
        windows: as of `Batches.analyse`.
        place: header of the scene, side of a tile, rows of tiles before these.
    """
    header, tile, first_row = place
    find, found = box_of(regions, -(-header.width // tile), tile), []
    for box in regions:
        coder = codec.open(header.bands, box.bound, header.nodata)
        wanted = partial(_touches_first, find, box)
        analysed = Batches.analyse(coder, windows, header, tile, first_row, wanted=wanted)
        found.append(RateWindows(coder, framing, analysed))
    return found


def _touches_first(find: BoxOf, box: BoundedBox, index: int) -> bool:
    return find(index) is box
