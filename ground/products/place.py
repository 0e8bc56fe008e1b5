"""Place: where on Earth a scene lies, in the words of CF, STAC and GeoZarr. The door to pyproj."""

from dataclasses import dataclass, replace
from typing import Any

from ground.products.extra import library
from ground.scene import Scene
from onboard.errors import InputError

_DIGITS = 7
"""Of degrees: about a centimetre."""


@dataclass(frozen=True)
class Place:
    """Reference system and transform of a scene.

    Attributes:
        shape: rows and columns.
        transform: as `Scene.transform`; None without one.
        crs: pyproj's reference system; None without one.
    """

    shape: tuple[int, int]
    transform: tuple[float, ...] | None
    crs: Any | None

    @classmethod
    def of(cls, scene: Scene) -> "Place":
        """Return the place of a scene.

        Raises:
            InputError: its reference system makes no sense.
            EngineError: pyproj is not installed.
        """
        rows, cols = scene.image.shape[1:]
        if scene.crs is None:
            return cls((rows, cols), scene.transform, None)
        library_of = library("pyproj")
        try:
            crs = library_of.CRS.from_user_input(scene.crs)
        except library_of.exceptions.CRSError as error:
            raise InputError(f"CRS: expected EPSG:n or WKT, found {scene.crs!r:.200}") from error
        return cls((rows, cols), scene.transform, crs)

    def coarser(self, step: int) -> "Place":
        """Return the place of the same scene with pixels of so many on a side."""
        shape = -(-self.shape[0] // step), -(-self.shape[1] // step)
        if self.transform is None:
            return Place(shape, None, self.crs)
        x, dx, rx, y, ry, dy = self.transform
        return Place(shape, (x, step * dx, step * rx, y, step * ry, step * dy), self.crs)

    @property
    def is_upright(self) -> bool:
        """Whether rows and columns run along the axes of the map."""
        return self.transform is not None and self.transform[2] == self.transform[4] == 0

    @property
    def code(self) -> str | None:
        """'EPSG:n' where the reference system is exactly that one."""
        authority = None if self.crs is None else self.crs.to_authority(min_confidence=100)
        return None if authority is None else ":".join(authority)

    @property
    def wkt2(self) -> str | None:
        """The reference system as WKT 2."""
        return None if self.crs is None else str(self.crs.to_wkt())

    @property
    def affine(self) -> list[float]:
        """The transform as x = a col + b row + c, y = d col + e row + f, in this order; or []."""
        if self.transform is None:
            return []
        x, dx, rx, y, ry, dy = self.transform
        return [dx, rx, x, ry, dy, y]

    @property
    def corners(self) -> list[tuple[float, float]]:
        """The outer corners on the map, once around from the first pixel on; or []."""
        if self.transform is None:
            return []
        a, b, c, d, e, f = self.affine
        rows, cols = self.shape
        around = ((0, 0), (rows, 0), (rows, cols), (0, cols))
        return [(a * col + b * row + c, d * col + e * row + f) for row, col in around]

    @property
    def box(self) -> list[float]:
        """Least x and y, greatest x and y on the map; or []."""
        return _box(self.corners)

    @property
    def footprint(self) -> tuple[dict[str, Any] | None, list[float]]:
        """The corners as a GeoJSON polygon in degrees, and their box; None and [] if unknown."""
        if self.crs is None or self.transform is None:
            return None, []
        degrees = library("pyproj").Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        ring = [degrees.transform(*corner) for corner in self.corners]
        rounded = [(round(x, _DIGITS), round(y, _DIGITS)) for x, y in ring]
        closed = [list(corner) for corner in [*rounded, rounded[0]]]
        return {"type": "Polygon", "coordinates": [closed]}, _box(rounded)

    @property
    def grid_mapping(self) -> dict[str, Any]:
        """What CF, and GDAL beside it, say of the reference system; {} without one."""
        if self.crs is None:
            return {}
        found: dict[str, Any] = self.crs.to_cf()
        if self.transform is not None:
            found["GeoTransform"] = " ".join(map(repr, self.transform))
        return {**found, "spatial_ref": found["crs_wkt"]}

    def axes(self) -> dict[str, dict[str, Any]]:
        """Return what CF says of the coordinates x and y."""
        told = self.crs.cs_to_cf() if self.crs is not None else []
        return {axis["axis"].lower(): axis for axis in told if axis["axis"] in ("X", "Y")}


def _box(corners: list[tuple[float, float]]) -> list[float]:
    """Return the least and the greatest of points."""
    if not corners:
        return []
    x, y = zip(*corners, strict=True)
    return [min(x), min(y), max(x), max(y)]


def placed(scene: Scene) -> tuple[Scene, Place, list[str]]:
    """Return a scene with a reference system that makes sense or none, its place, what is left out.

    Raises:
        EngineError: pyproj is not installed.
    """
    try:
        return scene, Place.of(scene), []
    except InputError as error:
        scene = replace(scene, crs=None)
        return scene, Place.of(scene), [f"written without CRS: {error}"]
