"""Polygons within a bound on the error: `--region-max-error FILE.geojson D`."""

import json
from pathlib import Path

import numpy as np
import pytest

from ground.products.geotiff import read, write
from ground.scene import Scene
from tests.conftest import Run
from tests.onboard.codec.bounded.tiles import smooth

IMAGE = smooth((1, 4, 130, 200), 7)[0].astype(np.uint16)
TRIANGLE = [[70, 10], [90, 10], [70, 120], [70, 10]]
"""Columns and rows; it touches tiles 1 and 5 of a grid of 4 columns."""
PLACE = (500_000.0, 10.0, 0.0, 5_100_000.0, 0.0, -10.0)


def write_polygon(folder: Path, corners: object, crs: str | None) -> None:
    """Write `place.geojson`."""
    shape: dict[str, object] = {"type": "Polygon", "coordinates": [corners]}
    if crs is not None:
        shape["crs"] = {"type": "name", "properties": {"name": crs}}
    (folder / "place.geojson").write_text(json.dumps(shape))


def exact_tiles(run: Run, folder: Path) -> set[tuple[int, int]]:
    """Return rows and columns of the tiles that come back as they were."""
    done = run("ground", "decode", "a.sky", "-o", "back.tif")
    assert done.returncode == 0, done.stderr
    same = (read(folder / "back.tif").image == IMAGE).all(axis=0)
    cells = [(row, col) for row in range(3) for col in range(4)]
    return {(r, c) for r, c in cells if same[64 * r : 64 * r + 64, 64 * c : 64 * c + 64].all()}


def test_in_pixels(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    write_polygon(tmp_path, TRIANGLE, "pixels")
    region = ("--region-max-error", "place.geojson", "0")
    done = run("onboard", "encode", "a.npy", "--bundle", "skybook", *region, "-o", "a.sky")
    assert done.returncode == 0, done.stderr
    assert exact_tiles(run, tmp_path) == {(0, 1), (1, 1)}
    done = run("onboard", "encode", "a.npy", "--bundle", "skybook", *region, "-o", region[1])
    assert done.returncode == 2
    assert (tmp_path / "place.geojson").read_text().startswith("{")


def test_on_the_map(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "a.tif", Scene(IMAGE, transform=PLACE, crs="EPSG:32633"))
    corners = [[500_000 + 10 * col, 5_100_000 - 10 * row] for col, row in TRIANGLE]
    write_polygon(tmp_path, corners, "urn:ogc:def:crs:EPSG::32633")
    region = ("--region-max-error", "place.geojson", "0", "--ratio", "8")
    done = run("ground", "encode", "a.tif", "--bundle", "skybook", *region, "-o", "a.sky")
    assert done.returncode == 0, done.stderr
    assert exact_tiles(run, tmp_path) == {(0, 1), (1, 1)}


@pytest.mark.parametrize(
    ("corners", "crs", "code", "said"),
    [
        (TRIANGLE, None, 2, "its coordinates are EPSG:4326, but the scene header has no geotrans"),
        (TRIANGLE, "EPSG:32633", 2, "pixels have the CRS 'pixels'"),
        ([[0, 0], [1, 1]], "pixels", 3, "three corners or more"),
        ([[0, 0], [1e300, 1], [2, 2]], "pixels", 2, "beyond 2^32 pixels"),
    ],
)
def test_polygons_that_cannot_be(
    run: Run, tmp_path: Path, corners: object, crs: str | None, code: int, said: str
) -> None:
    np.save(tmp_path / "a.npy", IMAGE[:, :20, :20])
    write_polygon(tmp_path, corners, crs)
    region = ("--region-max-error", "place.geojson", "0")
    done = run("onboard", "encode", "a.npy", "--bundle", "skybook", *region, "-o", "a.sky")
    assert done.returncode == code
    assert said in done.stderr
    assert not (tmp_path / "a.sky").exists()
