"""STAC items of products, and the times they tell."""

import hashlib
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from ground.products.kinds import PRODUCTS
from ground.products.stac import EXTENSIONS, item_path, write_item
from ground.products.utc import utc_of
from ground.scene import Scene
from onboard.link.cuc import parse_time
from onboard.link.facts import Facts
from tests.ground.products.test_decoded import ORIGIN, product


def item_for(path: Path, scene: Scene, mask: np.ndarray) -> dict[str, object]:
    kind = PRODUCTS[path.suffix]
    kind.write(path, scene, mask, ORIGIN)
    assert write_item(path, kind.files_of(path), scene, ORIGIN, mask) == []
    return json.loads(item_path(path).read_text())


@pytest.mark.parametrize("suffix", PRODUCTS)
def test_an_item_is_valid_and_names_its_files(tmp_path: Path, suffix: str) -> None:
    pystac = pytest.importorskip("pystac")
    validation = pytest.importorskip("pystac.validation")
    item_for(tmp_path / f"a{suffix}", *product())
    item = pystac.Item.from_file(str(item_path(tmp_path / f"a{suffix}")))
    # The schemas of extensions are not in any package, and are not fetched here.
    item.stac_extensions = []
    validation.validate_dict(item.to_dict(include_self_link=False))
    for asset in item.assets.values():
        assert Path(asset.get_absolute_href()).exists()
    assert set(item.assets) == {"image", "mask"} if suffix.startswith(".tif") else {"image"}


def test_an_item_says_what_the_extensions_ask_for(tmp_path: Path) -> None:
    found = item_for(tmp_path / "a.tif", *product())
    assert extensions_of(found) == list(EXTENSIONS)
    assert found["properties"]["processing:software"].keys() == {"skybook", "bundle skybook"}
    assert found["properties"]["datetime"] == "2026-01-01T00:00:00Z"
    assert found["properties"]["proj:code"] == "EPSG:32633"
    assert found["properties"]["proj:shape"] == [600, 520]
    assert found["properties"]["proj:transform"] == [10, 0, 500000, 0, -10, 5100000]
    west, south, east, north = found["bbox"]
    assert 15.0 == west < east < 15.1
    assert 45.9 < south < north < 46.1
    image = found["assets"]["image"]
    band = {"name": "B04", "data_type": "uint16", "nodata": 0, "raster:scale": 1e-4}
    assert image["bands"][1].items() >= band.items()
    digest = hashlib.sha256((tmp_path / "a.tif").read_bytes()).hexdigest()
    assert image["file:checksum"] == f"1220{digest}"
    assert image["file:size"] == (tmp_path / "a.tif").stat().st_size
    classes = found["assets"]["mask"]["classification:classes"]
    assert [entry["name"] for entry in classes][3:] == ["concealed", "nodata", "salvaged"]


def test_without_a_place_there_is_no_geometry(tmp_path: Path) -> None:
    scene, mask = product()
    bare = Scene(scene.image, start_time=scene.start_time)
    found = item_for(tmp_path / "a.tif", bare, mask)
    assert found["geometry"] is None
    assert "bbox" not in found


def test_an_item_names_the_extensions_that_it_has_fields_of(tmp_path: Path) -> None:
    """The schema of `raster`, for one, refuses an item that has none of its fields."""
    scene, mask = product()
    bare = Scene(scene.image, start_time=scene.start_time)
    assert extensions_of(item_for(tmp_path / "a.tif", bare, mask)) == [
        "proj",
        "file",
        "classification",
        "processing",
    ]
    assert extensions_of(item_for(tmp_path / "a.nc", scene, mask)) == [
        "proj",
        "raster",
        "file",
        "processing",
    ]
    assert "file" not in extensions_of(item_for(tmp_path / "a.zarr", scene, mask))


def extensions_of(item: dict[str, object]) -> list[str]:
    """Return the prefixes of the extensions that an item names."""
    names = {f"https://stac-extensions.github.io/{n}/schema.json": p for p, n in EXTENSIONS.items()}
    return [names[address] for address in item["stac_extensions"]]


def test_a_time_of_acquisition_among_the_tags_will_do(tmp_path: Path) -> None:
    scene, mask = product()
    tags = (("IMAGERY", "ACQUISITIONDATETIME", "2024-05-01 10:00:00"),)
    found = item_for(tmp_path / "a.tif", Scene(scene.image, facts=Facts(tags=tags)), mask)
    assert found["properties"]["datetime"] == "2024-05-01T10:00:00Z"


def test_without_a_time_there_is_no_item_and_why_is_said(tmp_path: Path) -> None:
    scene, mask = product()
    (reason,) = write_item(tmp_path / "a.tif", {}, Scene(scene.image), ORIGIN, mask)
    assert reason.startswith("no STAC item: expected a time")
    assert not item_path(tmp_path / "a.tif").exists()


@pytest.mark.parametrize(
    ("tai", "utc"),
    [
        ("1960-01-01T00:00:00", "1960-01-01T00:00:00"),
        ("1972-01-01T00:00:10", "1972-01-01T00:00:00"),
        ("1999-01-01T00:00:31", "1998-12-31T23:59:60"),
        ("1999-01-01T00:00:32", "1999-01-01T00:00:00"),
        ("2017-01-01T00:00:37", "2017-01-01T00:00:00"),
        ("2026-05-01T10:00:37.5", "2026-05-01T10:00:00.500000"),
    ],
)
def test_tai_is_ahead_of_utc_by_the_leap_seconds(tai: str, utc: str) -> None:
    wanted = utc.replace("23:59:60", "00:00:00").replace("1998-12-31T00", "1999-01-01T00")
    assert utc_of(parse_time(tai)) == datetime.fromisoformat(wanted)
