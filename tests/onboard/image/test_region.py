"""Region of interest: boxes and polygons, and the tiles they touch."""

import json
from pathlib import Path

import pytest

from onboard.errors import InputError, UsageError
from onboard.image.region import Region
from onboard.link.header import SceneHeader

WIDTH, LINES, TILES = 330, 300, 30
HEADER = SceneHeader("u16", 16, 4, WIDTH, LINES)


def touched(geometry: object, header: SceneHeader, folder: Path, **members: object) -> set[int]:
    """Return the tiles of 64 pixels that a GeoJSON geometry touches."""
    path = folder / "place.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry, **members}))
    region = Region.read([str(path)], header, 64)
    return {index for index in range(TILES) if region.touches(index)}


def test_polygons_on_the_map(tmp_path: Path) -> None:
    utm = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}}
    place = (500_000.0, 10.0, 0.0, 5_100_000.0, 0.0, -10.0)
    header = SceneHeader("u16", 16, 4, WIDTH, LINES, geotransform=place, crs="EPSG:32633")

    def ring(*corners: tuple[float, float]) -> list[list[float]]:
        return [[500_000 + 10 * col, 5_100_000 - 10 * row] for col, row in corners]

    triangle = ring((10, 10), (180, 10), (10, 120), (10, 10))
    shape = {"type": "Polygon", "coordinates": [triangle]}
    assert touched(shape, header, tmp_path, **utm) == {0, 1, 2, 6, 7}
    outer = ring((-100, -100), (900, -100), (900, 900), (-100, 900), (-100, -100))
    hole = ring((60, 60), (200, 60), (200, 200), (60, 200), (60, 60))
    holed = {"type": "MultiPolygon", "coordinates": [[outer, hole]]}
    assert touched(holed, header, tmp_path, **utm) == set(range(TILES)) - {7, 8, 13, 14}
    inside = ring((70, 70), (75, 70), (75, 75), (70, 70))
    small = {"type": "Polygon", "coordinates": [inside]}
    assert touched(small, header, tmp_path, **utm) == {7}
    with pytest.raises(UsageError, match="EPSG:4326"):
        touched(small, header, tmp_path)
    degrees = SceneHeader("u16", 16, 4, WIDTH, LINES, geotransform=place, crs="EPSG:4326")
    assert touched(small, degrees, tmp_path) == {7}
    for bare in (HEADER, SceneHeader("u16", 16, 4, WIDTH, LINES, crs="EPSG:4326")):
        with pytest.raises(UsageError, match="nothing is reprojected"):
            touched(small, bare, tmp_path)
    with pytest.raises(InputError, match="polygons"):
        touched({"type": "Point", "coordinates": [0, 0]}, header, tmp_path, **utm)


@pytest.mark.parametrize(
    ("named", "crs"),
    [
        ("EPSG:32633", "EPSG:32633"),
        ("epsg:4326", "EPSG:4326"),
        ("urn:ogc:def:crs:EPSG::32633", "EPSG:32633"),
        ("urn:ogc:def:crs:EPSG:6.9:32633", "EPSG:32633"),
        ("urn:x-ogc:def:crs:EPSG:32633", "EPSG:32633"),
        ("http://www.opengis.net/def/crs/EPSG/0/32633", "EPSG:32633"),
        ("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "EPSG:4326"),
    ],
)
def test_all_ways_to_name_a_crs(named: str, crs: str, tmp_path: Path) -> None:
    square = [[0, 0], [70, 0], [70, -10], [0, 0]]
    shape = {"type": "Polygon", "coordinates": [square]}
    told = {"crs": {"type": "name", "properties": {"name": named}}}
    here = SceneHeader("u16", 16, 4, WIDTH, LINES, geotransform=(0, 1, 0, 0, 0, -1), crs=crs)
    assert touched(shape, here, tmp_path, **told) == {0, 1}
    other = SceneHeader("u16", 16, 4, WIDTH, LINES, geotransform=(0, 1, 0, 0, 0, -1), crs="EPSG:3")
    with pytest.raises(UsageError, match=f"are {crs}, but"):
        touched(shape, other, tmp_path, **told)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "7", "[" * 100_000, '{"type": "Polygon", "coordinates": [[[0, 1], [2]]]}',
     '{"type": "Polygon", "coordinates": []}', '{"type": "Polygon", "coordinates": [[0, 1, 2]]}',
     '{"type": "Polygon", "coordinates": [[[0, NaN], [1, 1], [2, 2]]]}',
     '{"type": "Polygon", "coordinates": [[[0, 1e300], [1, 1], [2, 2]]]}',
     '{"type": "Polygon", "crs": 5, "coordinates": [[[0, 1], [1, 1], [2, 2]]]}'],
)  # fmt: skip
def test_regions_that_make_no_sense(text: str, tmp_path: Path) -> None:
    place = (0.0, 1e-4, 0.0, 50.0, 0.0, 0.0)  # no inverse, either
    header = SceneHeader("u16", 16, 4, WIDTH, LINES, geotransform=place, crs="EPSG:4326")
    path = tmp_path / "place.geojson"
    path.write_text(text)
    with pytest.raises((InputError, UsageError)):
        Region.read([str(path)], header, 64)


@pytest.mark.parametrize("box", ["5,5,5,9", "9,5,6,9", "0,0,99999999,1", "1,2,3", "-1,0,2,2", "/"])
def test_boxes_that_make_no_sense(box: str) -> None:
    with pytest.raises(UsageError, match="region"):
        Region.read([box], HEADER, 64)


def test_a_slanted_grid(tmp_path: Path) -> None:
    """The axes of the map run along the columns and rows the other way round."""
    place = (0.0, 0.0, 2.0, 0.0, 2.0, 0.0)  # x = 2 row, y = 2 col
    header = SceneHeader("u16", 16, 4, WIDTH, LINES, geotransform=place, crs="EPSG:4326")
    corners = [[260, 10], [270, 10], [270, 20], [260, 10]]  # rows 130 to 135, columns 5 to 10
    assert touched({"type": "Polygon", "coordinates": [corners]}, header, tmp_path) == {12}


def test_regions_that_overlap_are_one() -> None:
    """What lies in several boxes counts once, not as a hole."""

    def tiles(*boxes: str) -> set[int]:
        region = Region.read(boxes, HEADER, 64)
        return {index for index in range(TILES) if region.touches(index)}

    scene = f"0,0,{WIDTH},{LINES}"
    assert tiles(scene) == tiles(scene, scene) == set(range(TILES))
    assert tiles("0,0,250,300", "70,0,330,300") == set(range(TILES))
