"""Masks and alpha bands become nodata, and no valid sample does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from ground.products.geotiff import read
from ground.scene import Scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
HOLE = np.zeros((20, 30), np.bool_)
HOLE[:4, :5] = True
IMAGE = np.arange(1, 1 + 3 * 20 * 30, dtype=np.uint16).reshape(3, 20, 30)


def masked(folder: Path, image: np.ndarray, internal: bool = True, **profile: Any) -> Path:
    path = folder / "in.tif"
    bands, rows, cols = image.shape
    size = {"count": bands, "height": rows, "width": cols, "dtype": image.dtype.name}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal),
        rasterio.open(path, "w", driver="GTiff", **size, **profile) as dataset,
    ):
        dataset.write(image)
        dataset.write_mask(np.where(HOLE, 0, 255).astype(np.uint8))
    return path


def check(scene: Scene, image: np.ndarray) -> None:
    """The hole is nodata; all other samples are as they were, and none is nodata."""
    assert (scene.valid == ~HOLE).all()
    np.testing.assert_array_equal(scene.image[:, ~HOLE], image[:, ~HOLE])


@pytest.mark.parametrize("internal", [True, False])
def test_a_mask_becomes_nodata(tmp_path: Path, internal: bool) -> None:
    scene = read(masked(tmp_path, IMAGE, internal))
    check(scene, IMAGE)
    assert scene.nodata == 0
    assert scene.remarks == ("mask as nodata 0",)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_the_nodata_value_is_that_of_no_valid_sample(tmp_path: Path, dtype: type) -> None:
    limits = np.iinfo(dtype)
    image = np.zeros((3, 20, 30), dtype)
    image[0, 10:] = limits.max
    scene = read(masked(tmp_path, image))
    check(scene, image)
    assert scene.nodata is not None
    assert not (image[:, ~HOLE] == scene.nodata).any()


def test_the_nodata_value_of_the_file_is_kept_where_it_can_be(tmp_path: Path) -> None:
    assert read(masked(tmp_path, IMAGE, nodata=7)).nodata == 7
    image = IMAGE.copy()
    image[:, 15, 15] = 7
    scene = read(masked(tmp_path, image, nodata=7))
    check(scene, image)
    assert scene.nodata == 0


def test_bits_in_use_hold_the_nodata_value(tmp_path: Path) -> None:
    image = np.where(HOLE, 1, IMAGE * 2 % 2048 // 2 * 2 + 1).astype(np.uint16)
    scene = read(masked(tmp_path, image, nbits=12))
    check(scene, image)
    assert scene.nodata is not None
    assert scene.nodata < 1 << 12


def test_where_every_value_is_taken_the_rarest_is_nodata_and_it_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.permutation(np.arange(3 * 20 * 30) % 256).reshape(3, 20, 30).astype(np.uint8)
    image[1] = image[0] ^ 1
    scene = read(masked(tmp_path, image))
    check(scene, image)
    assert "valid samples have, too" in scene.remarks[0]


def test_where_nothing_can_be_nodata_the_mask_is_left_behind_and_it_is_said(tmp_path: Path) -> None:
    image = (np.arange(20 * 30) % 256).astype(np.uint8).reshape(1, 20, 30)
    scene = read(masked(tmp_path, image))
    np.testing.assert_array_equal(scene.image, image)
    assert scene.nodata is None
    assert scene.remarks[0].startswith("mask left behind")


def test_alpha_is_validity_and_no_band(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    alpha = np.where(HOLE, 0, 255).astype(np.uint8)
    alpha[12, 12] = 100
    image = np.concatenate([IMAGE.astype(np.uint8), alpha[None]])
    profile = {"count": 4, "height": 20, "width": 30, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(path, "w", driver="GTiff", alpha="YES", **profile) as dataset:
        dataset.write(image)
    scene = read(path)
    assert len(scene.image) == 3
    check(scene, image[:3])
    assert scene.facts.colours == (3, 4, 5)
    assert scene.remarks[0] == "alpha between transparent and opaque"
    assert scene.remarks[1].startswith("alpha band as nodata")


def test_nodata_of_single_bands_is_named(tmp_path: Path) -> None:
    image = IMAGE.copy()
    image[:, HOLE] = 0
    image[0, 10, 10] = 0
    path = tmp_path / "in.tif"
    profile = {"count": 3, "height": 20, "width": 30, "dtype": "uint16", "nodata": 0}
    with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
        dataset.write(image)
    remark = "nodata in single bands of 1 pixels: they come back as valid samples"
    assert read(path).remarks == (remark,)
