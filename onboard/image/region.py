"""Region of interest: pixel boxes and GeoJSON polygons, and the tiles they touch."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError, UsageError
from onboard.image.tiles import MAX_SIDE

MAX_GEOJSON = 1 << 20
_FARTHEST = float(1 << 32)
_BOX = re.compile(r"(\d+),(\d+),(\d+),(\d+)")
_EPSG = re.compile(
    r"(?:(?:urn:(?:x-)?ogc:def:crs:)?EPSG:(?:[\d.]*:)?"
    r"|https?://www\.opengis\.net/def/crs/EPSG/[\d.]+/)(\d+)",
    re.IGNORECASE,
)
PIXELS = "pixels"
"""Named as `crs`: coordinates are columns and rows, of the corner of the first pixel 0, 0."""
_LON_LAT = (
    "urn:ogc:def:crs:OGC:1.3:CRS84",
    "urn:ogc:def:crs:OGC::CRS84",
    "OGC:CRS84",
    "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
)

Ring = NDArray[np.float64]
"""Corners (corners, 2) of a closed line: column and row, pixels."""
Edges = NDArray[np.float64]
"""Edges (edges, 4) of a polygon and its holes: from column and row to column and row, pixels."""


class Placed(Protocol):
    """What of a scene header tells where a scene is."""

    @property
    def width(self) -> int:
        """Number of columns."""

    @property
    def geotransform(self) -> tuple[float, ...] | None:
        """Place of the pixels on the map, x0, dx, rx, y0, ry, dy."""

    @property
    def crs(self) -> str | None:
        """Reference system of the map, 'EPSG:n' or WKT."""


@dataclass
class Region:
    """Polygons over the tile grid of a scene.

    Attributes:
        polygons: edges of each polygon; polygons may overlap.
        columns: number of tiles side by side.
        tile: rows and columns of a tile.
        groups: groups of bands, in each row of tiles one after the other.
    """

    polygons: list[Edges]
    columns: int
    tile: int
    groups: int = 1
    _row: int = field(default=-1, init=False)
    _touched: NDArray[np.bool_] = field(init=False)

    @classmethod
    def read(cls, places: Sequence[str], header: Placed, tile: int, groups: int = 1) -> "Region":
        """Read places, as `read_places`."""
        return cls(read_places(places, header), -(-header.width // tile), tile, groups)

    def touches(self, index: int) -> bool:
        """Say whether a tile has a point of the region. Tiles of one row are found together."""
        row, column = index // (self.groups * self.columns), index % self.columns
        if row != self._row:
            self._row, self._touched = row, np.zeros(self.columns, np.bool_)
            for edges in self.polygons:
                self._touched |= self._crossed(edges, row) | self._inside(edges, row)
        return bool(self._touched[column])

    def _crossed(self, edges: Edges, row: int) -> NDArray[np.bool_]:
        """Return the columns of a row of tiles through which an edge runs."""
        top, bottom = row * self.tile, (row + 1) * self.tile
        rows = edges[:, 1::2]
        x0, y0, x1, y1 = edges[(rows.max(axis=1) >= top) & (rows.min(axis=1) < bottom)].T
        slope = np.divide(x1 - x0, y1 - y0, out=np.zeros_like(x0), where=y0 != y1)
        level = y0 == y1
        start = np.where(level, x0, x0 + (np.clip(y0, top, bottom) - y0) * slope)
        stop = np.where(level, x1, x0 + (np.clip(y1, top, bottom) - y0) * slope)
        ends = np.sort(np.floor(np.stack([start, stop]) / self.tile), axis=0)
        first, last = np.clip(ends, -1, self.columns).astype(np.int64) + 1
        steps = np.zeros(self.columns + 3, np.int64)
        np.add.at(steps, first, 1)
        np.add.at(steps, last + 1, -1)
        return np.asarray(np.cumsum(steps)[1 : self.columns + 1] > 0)

    def _inside(self, edges: Edges, row: int) -> NDArray[np.bool_]:
        """Return the columns of a row of tiles whose tile has its centre inside (even-odd rule)."""
        x0, y0, x1, y1 = edges.T
        middle = (row + 0.5) * self.tile
        over = (y0 <= middle) != (y1 <= middle)
        x0, y0, x1, y1 = x0[over], y0[over], x1[over], y1[over]
        crossings = np.sort(x0 + (middle - y0) / (y1 - y0) * (x1 - x0))
        centres = (np.arange(self.columns) + 0.5) * self.tile
        return np.asarray(np.searchsorted(crossings, centres) % 2 == 1)


def read_places(places: Sequence[str], header: Placed) -> list[Edges]:
    """Read pixel boxes `x0,y0,x1,y1` (the last column and row not included) and GeoJSON files.

    Raises:
        UsageError: not a box, or coordinates that the scene header does not place.
        InputError: a file that is no GeoJSON of polygons.
    """
    polygons: list[list[Ring]] = []
    for place in places:
        box = _BOX.fullmatch(place)
        if box:
            polygons.append([_box(*map(int, box.groups()))])
        else:
            polygons += _rings_of(Path(place), _document(Path(place)), header)
    return [_edges(rings) for rings in polygons]


def _box(x0: int, y0: int, x1: int, y1: int) -> Ring:
    """Return the ring through the centres of the corner pixels of a box."""
    if not (x0 < x1 <= MAX_SIDE and y0 < y1 <= MAX_SIDE):
        raise UsageError(f"region: expected x0 < x1 and y0 < y1, found {x0},{y0},{x1},{y1}")
    return np.array([[x0, y0], [x1 - 1, y0], [x1 - 1, y1 - 1], [x0, y1 - 1]]) + 0.5


def read_features(path: Path, header: Placed) -> list[tuple[dict[str, Any], list[Edges]]]:
    """Read the features of a GeoJSON file: properties, and edges of polygons in pixels.

    Raises:
        UsageError: no file, or coordinates that the scene header does not place.
        InputError: a file that is no GeoJSON of features that are polygons.
    """
    document = _document(path)
    try:
        features = document.get("features", [document])
        told = [(dict(feature["properties"] or {}), feature) for feature in features]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected GeoJSON of features: {error!r}") from error
    crs = {"crs": document["crs"]} if document.get("crs") else {}
    return [
        (properties, [_edges(rings) for rings in _rings_of(path, feature | crs, header)])
        for properties, feature in told
    ]


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"region: expected x0,y0,x1,y1 or a GeoJSON file, found {path}")
    if path.stat().st_size > MAX_GEOJSON:
        raise InputError(f"{path}: expected GeoJSON of at most {MAX_GEOJSON} bytes")
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: expected GeoJSON of polygons: {error!r}") from error


def _edges(rings: list[Ring]) -> Edges:
    return np.concatenate([np.hstack([ring, np.roll(ring, -1, axis=0)]) for ring in rings])


def _rings_of(path: Path, document: dict[str, Any], header: Placed) -> list[list[Ring]]:
    """Return the rings of the polygons of a GeoJSON object, in pixels."""
    try:
        polygons = [
            [np.array(ring, np.float64) for ring in polygon] for polygon in _polygons(document)
        ]
        named = document.get("crs")
        named = named["properties"]["name"] if named else _LON_LAT[0]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: expected GeoJSON of polygons: {error!r}") from error
    rings = [ring for polygon in polygons for ring in polygon]
    if (
        not all(polygons)
        or not rings
        or any(r.ndim != 2 or len(r) < 3 or r.shape[1] not in (2, 3) for r in rings)
    ):
        raise InputError(f"{path}: expected polygons of three corners or more")
    return [
        [_to_pixels(ring[:, :2], str(path), str(named), header) for ring in polygon]
        for polygon in polygons
    ]


def _polygons(entry: Any) -> Iterator[Any]:
    """Yield the polygons of a GeoJSON object, lists of rings (RFC 7946)."""
    kind = entry["type"]
    if kind == "FeatureCollection":
        for feature in entry["features"]:
            yield from _polygons(feature)
    elif kind == "Feature":
        yield from _polygons(entry["geometry"])
    elif kind == "Polygon":
        yield entry["coordinates"]
    elif kind == "MultiPolygon":
        yield from entry["coordinates"]
    else:
        raise ValueError(f"expected Polygon or MultiPolygon, found {kind}")


def _to_pixels(ring: Ring, path: str, named: str, header: Placed) -> Ring:
    """Return a ring of map coordinates in pixels."""
    if named == PIXELS:
        return _within_reach(ring, path)
    epsg = _EPSG.fullmatch(named)
    crs = "EPSG:4326" if named in _LON_LAT else f"EPSG:{epsg[1]}" if epsg else named
    if header.crs is None or header.geotransform is None or crs != header.crs:
        where = header.crs if header.geotransform else "no geotransform"
        raise UsageError(
            f"region {path}: its coordinates are {crs}, but the scene header has {where}; nothing "
            f"is reprojected here (`ogr2ogr -t_srs` does it), pixels have the CRS {PIXELS!r}"
        )
    x0, dx, rx, y0, ry, dy = header.geotransform
    scale = dx * dy - rx * ry
    x, y = (ring - (x0, y0)).T
    with np.errstate(all="ignore"):
        pixels = np.stack([(dy * x - rx * y), (dx * y - ry * x)], axis=1) / scale
    return _within_reach(pixels, path)


def _within_reach(pixels: Ring, path: str) -> Ring:
    if not (np.abs(pixels) < _FARTHEST).all():
        raise UsageError(f"region {path}: coordinates beyond 2^32 pixels of the scene")
    return pixels
