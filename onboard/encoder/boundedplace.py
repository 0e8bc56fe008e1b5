"""Places of a scene whose tiles are coded within a bound on their error, whatever the rest is."""

import re
from dataclasses import dataclass, field

from onboard.codec.bound import Bound
from onboard.encoder.quality import LOSSLESS, QualityMap
from onboard.errors import UsageError
from onboard.image.region import Edges, Region


@dataclass(frozen=True)
class BoundedBox:
    """Pixels whose tiles are coded within a bound, whatever the rest of a scene is.

    Attributes:
        box: first column and row, and the column and row after the last.
        bound: most that samples of tiles that touch the box may be off.
    """

    box: tuple[int, int, int, int]
    bound: Bound

    @classmethod
    def parse(cls, box: str, bound: str) -> "BoundedBox":
        """Read `x0,y0,x1,y1` and a bound.

        Raises:
            UsageError: one is none.
        """
        match = re.fullmatch(r"(\d{1,8}),(\d{1,8}),(\d{1,8}),(\d{1,8})", box)
        sides = tuple(map(int, match.groups())) if match else (0, 0, 0, 0)
        if not (sides[0] < sides[2] and sides[1] < sides[3]):
            raise UsageError(f"region: expected x0,y0,x1,y1, x1 and y1 greater, found {box!r:.60}")
        return cls((sides[0], sides[1], sides[2], sides[3]), Bound.parse(bound))

    def touches(self, index: int, columns: int, tile: int, groups: int = 1) -> bool:
        """Say whether a tile of a grid of so many columns has a pixel of the box."""
        row, column = index // (groups * columns), index % columns
        left, top, right, bottom = (side / tile for side in self.box)
        return left < column + 1 and column < right and top < row + 1 and row < bottom


@dataclass(frozen=True, eq=False)
class BoundedArea:
    """Polygons instead of a box.

    Attributes:
        polygons: edges, in pixels.
        bound: most that samples of tiles that share a point with one may be off.
    """

    polygons: list[Edges]
    bound: Bound
    _regions: dict[tuple[int, int, int], Region] = field(default_factory=dict, init=False)

    def touches(self, index: int, columns: int, tile: int, groups: int = 1) -> bool:
        """Say whether a tile of a grid of so many columns shares a point with a polygon."""
        grid = columns, tile, groups
        region = self._regions.setdefault(grid, Region(self.polygons, *grid))
        return region.touches(index)


@dataclass(frozen=True)
class LosslessCells:
    """The places of a map of qualities whose samples come back as they are.

    Attributes:
        map: the map.
    """

    map: QualityMap
    bound: Bound = field(default_factory=Bound)

    def touches(self, index: int, columns: int, tile: int, groups: int = 1) -> bool:
        """Say whether a tile of a grid of so many columns has a pixel of such a cell."""
        row, column = index // (groups * columns), index % columns
        return self.map.of_box(row * tile, column * tile, tile, tile) == LOSSLESS


BoundedPlace = BoundedBox | BoundedArea | LosslessCells
