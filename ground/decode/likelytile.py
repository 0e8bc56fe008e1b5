"""Likely tile: what tiles an encoder gave a scene whose header did not arrive."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from onboard.codec.tile import Codec
from onboard.codec.tiling import USUAL, Size, Tiling
from onboard.image.tiles import TileGrid
from onboard.link.segment import Segment

_TILINGS = Tiling(fitted=True), USUAL, Tiling(large=True, fitted=True), Tiling(large=True)
"""As an encoder may have been told, the likeliest first."""
_LOOKED_AT = 1_000
"""Tiles that arrived, at most."""


def likely_tile(
    codec: Codec, bands: int, size: Size, arrived: Mapping[int, Sequence[Segment]]
) -> int | None:
    """Return the first kind of tiles that agrees with how many columns those have that arrived.

    Args:
        codec: codec of the bundle.
        bands: bands of the scene.
        size: its rows, 0 where they are not known, and columns.
        arrived: segments by tile; not all are looked at of very many.

    Returns:
        Rows and columns of a tile; None for those usual for so many bands.
    """
    found = [codec.best_tile(bands, size, tiling) for tiling in _TILINGS]
    known = list(islice(arrived.items(), _LOOKED_AT))
    for tile in dict.fromkeys((*found, None)):
        side = codec.for_scene(bands, 16, tile=tile).tile
        if all(_agree(segments, index, size[1], side) for index, segments in known):
            return tile
    return found[0]


def _agree(segments: Iterable[Segment], index: int, width: int, side: int) -> bool:
    """Return whether segments have the columns of their tile, if tiles have such a side."""
    col = index % -(-width // side)
    _, _, _, columns = TileGrid(width, side, side).box(col)
    return all((segment.edge[1] if segment.edge else side) == columns for segment in segments)
