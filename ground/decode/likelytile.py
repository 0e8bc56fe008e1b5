"""Likely tile: what tiles an encoder gave a scene whose header did not arrive."""

from collections.abc import Mapping, Sequence
from itertools import islice

from onboard.codec.tile import Codec
from onboard.codec.tiling import USUAL, Size, Tiling
from onboard.encoder.quality import BLOCKS
from onboard.link.segment import Segment

_TILINGS = (Tiling(fitted=True), USUAL, *(Tiling(True, block) for block in BLOCKS))
"""As an encoder may have been told, the likeliest first."""
Cut = tuple[int, int]
"""Valid rows and columns of a tile that the border of its scene cuts."""
_LOOKED_AT = 1_000
"""Tiles that arrived, at most."""


def likely_tile(
    codec: Codec, bands: int, size: Size, arrived: Mapping[int, Sequence[Segment]]
) -> tuple[int, bool]:
    """Return the side that most tiles agree with by the rows and columns that they say they have.

    Of several the likeliest: those that an encoder gives such a scene, before others.

    Args:
        codec: codec of the bundle.
        bands: bands of the scene.
        size: its rows, 0 where they are not known, and columns.
        arrived: segments by tile; not all are looked at of very many.

    Returns:
        Rows and columns of a tile, and whether with any other side that as many agree with these
        would stand in the same places.
    """
    sides = codec.sides(bands)
    if len(sides) == 1:
        return sides[0], True
    usual = codec.for_scene(bands, 16).tile
    sizes = size, (0, size[1])  # as of a stream, whose height its header does not tell
    given = [codec.best_tile(bands, known, tiling) for tiling in _TILINGS for known in sizes]
    likely = [*(tile or usual for tile in given), usual, sides[-1]]
    seen = {index: segments[0].edge for index, segments in arrived.items()}
    candidates: list[int] = list(dict.fromkeys((*likely, *sides)))
    counts = {tile: _agreeing(seen, size, tile) for tile in candidates}
    most = max(counts.values())
    best, *others = (tile for tile in candidates if counts[tile] == most)
    places = _places(seen, size[1], best)
    return best, all(_places(seen, size[1], tile) == places for tile in others)


def _places(seen: Mapping[int, Cut | None], width: int, tile: int) -> list[Cut]:
    """Return the first row and column of tiles that arrived, if they are so large."""
    across = -(-width // tile)
    return [(index // across * tile, index % across * tile) for index in islice(seen, _LOOKED_AT)]


def _agreeing(seen: Mapping[int, Cut | None], size: Size, tile: int) -> int:
    """Return how many tiles that arrived have the rows and columns that such a side gives them.

    Args:
        seen: valid rows and columns of tiles that are cut, None of others.
        size: rows of the scene, 0 where they are not known, and columns.
        tile: rows and columns of a tile.
    """
    rows, width = size
    across = -(-width // tile)
    if not rows:
        last = max(seen, default=0)
        rows = last // across * tile + (seen.get(last) or (tile, tile))[0]
    count = 0
    for index, cut in islice(seen.items(), _LOOKED_AT):
        row, col = divmod(index, across)
        own = min(tile, rows - row * tile), min(tile, width - col * tile)
        count += own == (cut or (tile, tile))
    return count
