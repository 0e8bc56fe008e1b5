"""Maps of qualities: from files to blocks, for Python and for C."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from ground.__main__ import main
from ground.decode.decoder import Decoder
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.spyndex import spyndex_scene
from onboard.bundle import find

ROWS, COLS = 96, 130
PLACE = (600_000.0, 10.0, 0.0, 5_000_000.0, 0.0, -10.0)
IMAGE = np.ascontiguousarray(spyndex_scene().image[:, :ROWS, :COLS])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    geotiff.write(Path("scene.tif"), Scene(IMAGE, transform=PLACE, crs="EPSG:32633"))
    return tmp_path


def blocks(name: str, *options: str) -> NDArray[Any]:
    made = ["quality-map", name, "--scene", "scene.tif", "--quality-block", "32", *options]
    assert main([*made, "-o", "m.npy"]) == 0
    return np.load("m.npy")


def square(west: float, north: float, east: float, south: float, **told: object) -> dict[str, Any]:
    """Return a feature of pixels."""
    corners = [[west, north], [east, north], [east, south], [west, south], [west, north]]
    shape = {"type": "Polygon", "coordinates": [corners]}
    return {"type": "Feature", "properties": told, "geometry": shape}


def features(*found: dict[str, Any]) -> str:
    crs = {"type": "name", "properties": {"name": "pixels"}}
    document = {"type": "FeatureCollection", "crs": crs, "features": found}
    Path("m.geojson").write_text(json.dumps(document))
    return "m.geojson"


def test_arrays_and_rasters_are_the_same_map(folder: Path) -> None:
    plane = np.full((ROWS, COLS), np.nan, np.float32)
    plane[40:50, 70:75], plane[90:, 129:] = 71.25, np.inf
    np.save("p.npy", plane)
    profile = {"height": ROWS, "width": COLS, "count": 1, "dtype": "float32", "nodata": -1}
    with rasterio.open("p.tif", "w", transform=from_origin(0, 0, 1, 1), **profile) as raster:
        raster.write(np.where(np.isnan(plane), -1, plane), 1)
    wanted = [[0, 0, 0, 0, 0], [0, 0, 7_125, 0, 0], [0, 0, 0, 0, 65_535]]
    assert blocks("p.npy").tolist() == blocks("p.tif").tolist() == wanted
    np.save("b.npy", np.where(np.isnan(plane[::32, ::32]), 0, 60.0).astype(np.float32))
    assert blocks("b.npy").tolist() == [[0] * 5] * 3
    np.save("r.npy", np.full((3, 5), 65.535))
    assert (blocks("r.npy", "--quality-unit", "rmse") == 6_000).all()
    np.save("u.npy", np.full((3, 5), 5_432, np.uint16))
    assert (blocks("u.npy") == 5_432).all()


def test_polygons_have_a_quality_each_and_the_finest_counts(folder: Path) -> None:
    fine, coarse = square(40, 5, 70, 20, psnr=72), square(0, 0, 200, 40, rmse=65.535)
    found = blocks(features(fine, coarse))
    assert found.tolist() == [[6_000, 7_200, 7_200, 6_000, 6_000], [6_000] * 5, [0] * 5]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.npy", np.zeros((3, 7)), "130 of 1 pixels or 5 of 32 pixels, found 7"),
        ("m.npy", np.zeros(3), "rows and columns"),
        ("m.npy", np.full((3, 5), -4.0), "PSNR: expected 0..200 dB, found -4"),
        ("m.geojson", [square(0, 0, 9, 9)], "expected a property"),
        ("m.geojson", [square(0, 0, 9, 9, psnr=60, rmse=3)], "expected a property"),
        ("m.geojson", [square(0, 0, 9, 9, psnr="fine")], "expected a number"),
        ("m.tif", b"no raster", "expected a raster"),
        ("m.npy", b"no array", "expected .npy"),
    ],
)
def test_what_is_no_map_is_refused(
    folder: Path, name: str, content: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    elif isinstance(content, list):
        features(*content)
    else:
        np.save(name, content)
    made = ["encode", "scene.tif", "--bundle", "skybook", "--psnr", "60", "-o", "o.sky"]
    assert main([*made, "--quality-block", "32", "--quality-map", name]) in (2, 3)
    assert said in capsys.readouterr().err
    assert not Path("o.sky").exists()


def test_a_map_is_encoded_and_some_of_it_without_loss(folder: Path) -> None:
    name = features(
        square(10, 70, 20, 90, max_error=0),
        square(100, 0, 129, 31, psnr=80),
        square(0, 0, 1, 1, psnr=58),
    )
    made = ["encode", "scene.tif", "--bundle", "skybook", "--psnr", "64", "-o", "o.sky"]
    assert main([*made, "--quality-map", name, "--quality-block", "32", "--json", "o.json"]) == 0
    found = Decoder(find("skybook")).decode(Path("o.sky").read_bytes()).scene.image
    away = (found.astype(float) - IMAGE) ** 2
    assert (away[:, 64:, :64] == 0).all()
    assert 3 * away[:, :32, 96:128].mean() < away[:, :32, 64:96].mean()
    assert (
        main(["decode", "o.sky", "-o", "d.tif", "--original", "scene.tif", "--json", "d.json"]) == 0
    )
    reached = json.loads(Path("d.json").read_text())["psnr16_of_blocks"]
    assert set(reached) == {"64", "32", "16"}
    assert 63 < reached["32"]["mean"] < 70
    assert 2 < reached["32"]["std"] < 12
    told = json.loads(Path("o.json").read_text())["quality_blocks"]
    assert (told["side"], told["count"], told["missed"]) == (32, 13, 0)
