"""Tiles over HTTP, looked at with GDAL's tools, rasterio and an eye that is Pillow's."""

import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import rasterio
from PIL import Image

from ground.api.source import Choice
from ground.api.windows import Windows
from ground.products.legend import hidden
from ground.serve.library import Library
from ground.serve.pyramid import Cache, Pyramid
from ground.serve.requests import answer
from onboard.errors import InputError, UsageError
from tests.ground.serve.conftest import PLACE, Served

A, C = "sub%20dir/a.sky", "c.zarr"


def got(served: Served, path: str) -> bytes:
    with urlopen(f"{served.server.url}/{path}") as reply:
        found: bytes = reply.read()
    return found


def test_a_folder_lists_what_it_serves_and_follows_no_link(served: Served) -> None:
    pictures = json.loads(got(served, ""))["pictures"]
    assert list(pictures) == ["c.zarr", "damaged.sky", "sub dir/a.sky"]
    told = json.loads(urlopen(pictures["sub dir/a.sky"]).read())
    assert told["shape"] == [4, 300, 420]
    assert told["bands"] == ["B02", "B03", "B04", "B08"]
    assert told["zooms"] == [0, 1]
    assert told["origin"]["SKYBOOK_MODEL"] == "skybook"


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
@pytest.mark.parametrize(("name", "what"), [(A, "scene.vrt"), (A, "gdal.xml"), (C, "scene.vrt")])
def test_gdal_opens_and_translates(served: Served, name: str, what: str, tmp_path: Path) -> None:
    url = f"{served.server.url}/{name}/{what}"
    done = subprocess.run(["gdalinfo", "-json", url], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert told["size"] == [420, 300]
    assert told["geoTransform"] == list(PLACE)
    assert 'ID["EPSG",32633]' in told["coordinateSystem"]["wkt"]
    assert [band["type"] for band in told["bands"]] == ["UInt16"] * 4
    assert [band["noDataValue"] for band in told["bands"]] == [0] * 4
    assert told["bands"][0]["overviews"] == [{"size": [210, 150]}]
    if what == "scene.vrt":
        assert told["bands"][3]["description"] == "B08"
        assert told["bands"][0]["scale"] == 1e-4
        assert told["bands"][0]["mask"]["flags"] == ["PER_DATASET"]
    output = tmp_path / "a.tif"
    subprocess.run(["gdal_translate", "-q", url, output], check=True)
    with rasterio.open(output) as dataset:
        image, shown = dataset.read(), dataset.read_masks(1) > 0
    _compare(image, shown if what == "scene.vrt" else None, name, served)


def _compare(image: Any, shown: Any, name: str, served: Served) -> None:
    """Compare what came with what decoding all of the stream gives."""
    whole: Any = served.whole
    mask = whole.mask.values
    sure = np.isin(mask, (0, 4))
    assert (mask == 3).any()
    off = np.abs(image.astype(int) - whole.image.values)[:, sure].max()
    assert off <= (1 if name == A else 2)  # the bound of the Zarr
    if shown is not None and name == A:
        np.testing.assert_array_equal(shown, ~hidden(mask))


def test_rasterio_opens_it_by_ranges(served: Served) -> None:
    with rasterio.open(f"{served.server.url}/{A}/scene.vrt") as dataset:
        window = dataset.read(1, window=((100, 110), (200, 220)))
        assert dataset.tags(ns="SKYBOOK")["SKYBOOK_MODEL"] == "skybook"
    whole: Any = served.whole
    assert np.abs(window.astype(int) - whole.image.values[0, 100:110, 200:220]).max() <= 1


def test_one_tile_decodes_the_tiles_under_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    decode = Windows._decode

    def noted(self: Windows, rows: range, cols: range) -> Any:
        asked.append((rows, cols))
        return decode(self, rows, cols)

    monkeypatch.setattr(Windows, "_decode", noted)
    library = Library.of(folder, Choice(linear=True), 1 << 20)
    for _ in range(2):  # the second time it is kept
        assert answer(library, f"/{A}/tiles/1/1/1.tif", "http://h").status == 200
    assert asked == [(range(256, 300), range(256, 420))]


def test_tiles_for_the_eye_are_transparent_where_nothing_was_measured(served: Served) -> None:
    image = np.asarray(Image.open(BytesIO(got(served, f"{A}/tiles/1/0/0.png"))))
    assert image.shape == (256, 256, 4)
    whole: Any = served.whole
    gone = hidden(whole.mask.values[:256, :256])
    np.testing.assert_array_equal(image[..., 3] == 0, gone)
    assert image[~gone][:, :3].std() > 10


def test_tiles_of_web_maps_lie_where_the_scene_is(served: Served) -> None:
    """Against the place that rasterio gives the middle of the scene."""
    with rasterio.open(f"{served.server.url}/{A}/gdal.xml") as dataset:
        middle = dataset.xy(150, 210)
        from rasterio.warp import transform

        (x,), (y,) = transform(dataset.crs, "EPSG:3857", *[[side] for side in middle])
    half, tiles = 20037508.342789244, 1 << 14
    col, row = (x + half) / (2 * half) * tiles, (half - y) / (2 * half) * tiles
    path = f"{A}/xyz/14/{int(col)}/{int(row)}.png"
    image = np.asarray(Image.open(BytesIO(got(served, path))))
    at = int(row % 1 * 256), int(col % 1 * 256)
    own = np.asarray(Image.open(BytesIO(got(served, f"{A}/tiles/1/0/0.png"))))
    near = own[148:153, 208:213, :3].reshape(-1, 3).astype(int)
    assert np.abs(near - image[at][:3]).max(axis=1).min() <= 3
    beside = np.asarray(Image.open(BytesIO(got(served, f"{A}/xyz/14/0/0.png"))))
    assert not beside.any()


def test_mask_of_tiles_is_that_of_the_decoder(served: Served) -> None:
    with rasterio.MemoryFile(got(served, f"{A}/mask/1/0/0.tif")) as file, file.open() as dataset:
        mask = dataset.read(1)
    whole: Any = served.whole
    np.testing.assert_array_equal(mask, whole.mask.values[:256, :256])


def test_coarse_tiles_are_made_of_fine_ones_in_little_memory(folder: Path) -> None:
    from ground.api.picture import Picture, open_picture

    picture = open_picture(folder / "sub dir" / "a.sky", Choice(linear=True))
    cache = Cache(3 << 20)

    class Small(Picture):
        side = 512

    whole = Pyramid(picture, Cache(1 << 26)).tile(0, 0, 0)
    small = Pyramid(Small(picture.scene, picture.origin, picture.read), cache)
    for one, other in zip(whole, small.tile(0, 0, 0), strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0 < cache.bytes <= 3 << 20


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("damaged.sky/scene.json", 422),
        (f"{A}/tiles/9/0/0.tif", 400),
        (f"{A}/tiles/0/1/0.tif", 400),
        (f"{A}/tiles/0/0/x.tif", 400),
        (f"{A}/scene.json?scene=5", 422),
        (f"{A}/scene.json?array=image", 400),
        (f"{C}/scene.json?array=none", 400),
        (f"{A}/scene.json?frame=5", 400),
        ("notes.txt/scene.json", 404),
        ("link.sky/scene.json", 404),
        ("linked/secret.sky/scene.json", 404),
        (f"{C}/zarr.json", 404),
    ],
)
def test_what_is_asked_wrongly_is_told(served: Served, path: str, status: int) -> None:
    with pytest.raises(HTTPError) as refused:
        got(served, path)
    assert refused.value.code == status
    assert json.loads(refused.value.read())["error"]


def test_another_host_or_method_is_refused(served: Served) -> None:
    for request, status in (
        (Request(served.server.url, headers={"Host": "example.org"}), 421),
        (Request(served.server.url, data=b"x"), 405),
    ):
        with pytest.raises(HTTPError) as refused:
            urlopen(request)
        assert refused.value.code == status


def test_a_file_alone_is_served_alone(folder: Path) -> None:
    library = Library.of(folder / "c.zarr", Choice(), 1 << 20)
    assert list(library.names()) == ["c.zarr"]
    assert answer(library, f"/{A}/scene.json", "http://h").status == 404
    assert answer(library, "/c.zarr/scene.json", "http://h").status == 200
    with pytest.raises(InputError, match="found none"):
        Library.of(folder / "none", Choice(), 1)


def test_an_address_that_is_taken_is_told(served: Served) -> None:
    from ground.serve.server import Server

    with pytest.raises(UsageError, match="expected an address"):
        Server(served.server.reply, "127.0.0.1", served.server.server_address[1])
