"""Every kind of product of a recording with gaps, by the command line, as a station writes them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from ground.products import geotiff
from ground.products.legend import LEGEND
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.facts import Facts
from onboard.link.segment import Kind, Segment, unpack_segments
from tests.conftest import Run

xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")


@pytest.fixture
def lossy(tmp_path: Path) -> Path:
    """A stream with a place, a time, nodata above, and without its tile 4."""
    image = procedural(5, 192, 192, nodata=False).image.astype(np.uint16)
    image[:, :30] = 0
    facts = Facts(((1e-4, -0.1),))
    place = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)
    names = ("B02", "B03", "B04", "B08")
    scene = Scene(image, 0, place, "EPSG:32633", names, facts, None, (2_145_916_837, 0))
    encoder = Encoder(bundles.load("skybook"))
    header = replace(scene.header(), tile=64)
    segments = encoder.encode(image, header, Options(scene_id=9, ratio=8.0))
    lost = (Kind.TILE, 4)
    kept = [s for s in segments if (Segment.unpack(s)[0].kind, Segment.unpack(s)[0].tile) != lost]
    path = tmp_path / "pass.sky"
    path.write_bytes(b"".join(kept))
    return path


def test_each_kind_holds_the_same_and_tells_lost_from_nodata(
    run: Run, lossy: Path, tmp_path: Path
) -> None:
    for name in ("a.tif", "a.nc", "a.zarr"):
        done = run("ground", "decode", lossy, "-o", name, "--stac")
        assert done.returncode == 4, done.stderr  # incomplete
        assert "concealed 11.11 %" in done.stdout
        item = json.loads((tmp_path / "a.stac.json").read_text())
        assert item["assets"]["image"]["href"] == f"./{name}"
        assert item["properties"]["skybook:complete"] == "no"
        assert item["properties"]["skybook:bytes_received"] == str(lossy.stat().st_size)
    scene = geotiff.read(tmp_path / "a.tif")
    mask = geotiff.read(tmp_path / "a.mask.tif").image[0]
    assert (mask[64:128, 64:128] == 3).all()
    assert (mask[:30] == 4).all()
    np.testing.assert_array_equal(scene.valid, mask != 4)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read_masks(1) > 0, mask < 3)
        assert dataset.tags(ns="SKYBOOK")["SKYBOOK_SCENE_ID"] == "9"
    with (
        xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf", mask_and_scale=False) as file,
        xarray.open_zarr(tmp_path / "a.zarr", group="0", mask_and_scale=False) as folder,
    ):
        for cube in (file, folder):
            np.testing.assert_array_equal(cube["image"], scene.image)
            np.testing.assert_array_equal(cube["mask"], mask)


def test_what_is_salvaged_is_shown_and_named(run: Run, lossy: Path, tmp_path: Path) -> None:
    parts = [segment.pack() for segment in unpack_segments(lossy.read_bytes())]
    number = next(n for n, one in enumerate(parts) if Segment.unpack(one)[0].tile == 8)
    parts[number] = parts[number][:-9] + bytes([parts[number][-9] ^ 4]) + parts[number][-8:]
    lossy.write_bytes(b"".join(parts))
    done = run("ground", "decode", lossy, "-o", "a.zarr", "--linear", "--json", "a.json")
    assert done.returncode == 4, done.stderr
    assert "salvaged: 1 put right, 0 in part" in done.stdout
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["salvaged"] == {"put_right": 1, "in_part": 0}
    assert told["mask_percent"]["salvaged"] == pytest.approx(100 / 9)
    with xarray.open_zarr(tmp_path / "a.zarr", group="0") as cube:
        assert (cube["mask"][128:, 128:] == 5).all()
        assert cube["mask"].attrs["flag_meanings"].split()[5] == "salvaged"
    run("ground", "convert", lossy, "b.tif")
    with rasterio.open(tmp_path / "b.mask.tif") as mask, rasterio.open(tmp_path / "b.tif") as image:
        assert (mask.read(1)[128:, 128:] == 5).all()
        assert image.read_masks(1)[128:, 128:].all()
        assert mask.colormap(1)[5][:3] == LEGEND[5].colour


def test_an_input_is_never_inside_a_folder_that_is_replaced(run: Run, lossy: Path) -> None:
    folder = lossy.with_name("a.zarr")
    assert run("ground", "decode", lossy, "-o", folder).returncode == 4
    inside = folder / "pass.sky"
    inside.write_bytes(lossy.read_bytes())
    done = run("ground", "decode", inside, "-o", folder)
    assert done.returncode == 2
    assert "holds the input" in done.stderr
    assert inside.exists()


def test_an_item_needs_an_image(run: Run, lossy: Path) -> None:
    done = run("ground", "decode", lossy, "--dump", "a.npz", "--stac")
    assert done.returncode == 2
    assert "--stac: expected -o, too" in done.stderr
