"""Tiling: what tiles are good for a scene, by what it is and how it is coded."""

from dataclasses import dataclass

Size = tuple[int, int]
"""Rows and columns of a scene, pixels; 0 where they are not known."""


@dataclass(frozen=True)
class Tiling:
    """What tiles are good for a scene where nobody names them.

    Attributes:
        fitted: whether tiles may be any that cut the scene evenly, so that none at its border is
            narrow, which takes more bytes.
        block: rows and columns of blocks that a tile is to be made of; 0 where there are none.
    """

    fitted: bool = False
    block: int = 0


USUAL = Tiling()
"""Tiles that go with whatever is asked of their parts."""
