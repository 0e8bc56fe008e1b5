"""Decoded scenes as cloud-optimised GeoTIFFs, looked at with rasterio, rio-cogeo and gdalinfo."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import MaskFlags

from ground.products import geotiff
from ground.products.decoded import write_product
from ground.products.legend import LEGEND
from ground.products.origin import Origin
from ground.scene import Scene
from onboard.link.facts import Facts

ORIGIN = Origin("skybook", "ab" * 32, 7, 5, 1234, False, expected_psnr=61.25, peak=4095)
ROWS, COLS = 600, 520


def product() -> tuple[Scene, np.ndarray]:
    """A scene with nodata (0) above, and lost pixels in the middle, which have samples."""
    rng = np.random.default_rng(1)
    image = rng.integers(300, 4000, (2, ROWS, COLS)).astype(np.uint16)
    mask = np.zeros((ROWS, COLS), np.uint8)
    image[:, :64], mask[:64] = 0, 4
    mask[200:264, 100:164] = 3
    mask[300:310] = 2
    facts = Facts(
        calibration=((1e-4, -0.1),),
        tags=(("", "SENSOR", "mine"), ("2", "WAVELENGTH", "665"), ("MINE", "KEY", "value")),
    )
    place = (500000.0, 10.0, 0.0, 5100000.0, 0.0, -10.0)
    names = ("B03", "B04")
    time = (2_145_916_837, 0)
    return Scene(image, 0, place, "EPSG:32633", names, facts, 12, time), mask


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cog") / "a.tif"
    assert write_product(path, *product(), ORIGIN) == []
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.mask.tif"])
def test_image_and_mask_are_valid_cogs(written: Path, name: str) -> None:
    cogeo = pytest.importorskip("rio_cogeo.cogeo")
    assert cogeo.cog_validate(written.with_name(name), strict=True) == (True, [], [])
    with rasterio.open(written.with_name(name)) as dataset:
        assert dataset.overviews(1) == [2, 4]
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_the_file_says_what_the_scene_says_and_where_it_comes_from(written: Path) -> None:
    scene, mask = product()
    with rasterio.open(written) as dataset:
        np.testing.assert_array_equal(dataset.read(), scene.image)
        assert dataset.descriptions == scene.band_ids
        assert (dataset.scales, dataset.offsets) == ((1e-4, 1e-4), (-0.1, -0.1))
        tags = dataset.tags(ns="SKYBOOK")
        assert dataset.tags()["SENSOR"] == "mine"
        assert not any(key.startswith("SKYBOOK") for key in dataset.tags())
        assert dataset.tags(2) == {"WAVELENGTH": "665"}
        assert dataset.tags(ns="MINE") == {"KEY": "value"}
        assert dataset.tags(ns="IMAGERY") == {"ACQUISITIONDATETIME": "2026-01-01 00:00:00"}
    assert tags["SKYBOOK_MODEL"] == "skybook"
    assert tags["SKYBOOK_MODEL_HASH"] == "ab" * 32
    assert (tags["SKYBOOK_SCENE_ID"], tags["SKYBOOK_RUN"]) == ("7", "5")
    assert (tags["SKYBOOK_BYTES_RECEIVED"], tags["SKYBOOK_COMPLETE"]) == ("1234", "no")
    assert (tags["SKYBOOK_EXPECTED_PSNR_DB"], tags["SKYBOOK_EXPECTED_PSNR_PEAK"]) == (
        "61.25",
        "4095",
    )
    lost = 100 * np.count_nonzero(mask == 3) / mask.size
    assert float(tags["SKYBOOK_PERCENT_CONCEALED"]) == pytest.approx(lost, rel=1e-3)


def test_its_mask_hides_what_was_lost_and_nodata_alone_has_the_value(written: Path) -> None:
    _, mask = product()
    with rasterio.open(written) as dataset:
        assert dataset.mask_flag_enums == ([MaskFlags.per_dataset],) * 2
        np.testing.assert_array_equal(dataset.read_masks(1) > 0, mask < 3)
        np.testing.assert_array_equal((dataset.read() == dataset.nodata).all(axis=0), mask == 4)
    with rasterio.open(written, overview_level=0) as half:
        assert not half.read_masks(1)[100:132, 50:82].any()
        assert half.read_masks(1)[140:].all()


def test_read_again_what_was_lost_is_not_nodata(written: Path) -> None:
    scene, mask = product()
    back = geotiff.read(written)
    np.testing.assert_array_equal(back.image, scene.image)
    np.testing.assert_array_equal(back.valid, mask != 4)
    assert not [tag for tag in back.facts.tags if tag[1].startswith("SKYBOOK")]


def test_the_mask_has_names_and_colours(written: Path) -> None:
    with rasterio.open(written.with_name("a.mask.tif")) as dataset:
        colours = dataset.colormap(1)
    assert [colours[entry.value][:3] for entry in LEGEND] == [entry.colour for entry in LEGEND]


def test_a_whole_scene_without_nodata_has_no_mask(tmp_path: Path) -> None:
    scene, _ = product()
    whole = replace(scene, nodata=None)
    write_product(tmp_path / "a.tif", whole, np.zeros((ROWS, COLS), np.uint8), ORIGIN)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.mask_flag_enums == ([MaskFlags.all_valid],) * 2


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
def test_gdalinfo_says_it_all(written: Path) -> None:
    def told(name: str) -> dict[str, object]:
        command = ["gdalinfo", "-json", str(written.with_name(name))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stderr == ""
        return json.loads(done.stdout)

    image, mask = told("a.tif"), told("a.mask.tif")
    assert [band["description"] for band in image["bands"]] == ["B03", "B04"]
    assert image["bands"][0]["mask"]["flags"] == ["PER_DATASET"]
    assert len(image["bands"][0]["overviews"]) == 2
    assert image["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    assert mask["bands"][0]["colorInterpretation"] == "Palette"
