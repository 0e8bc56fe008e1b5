"""The table of products: each writes a scene and its mask, other suffixes are refused."""

from pathlib import Path

import numpy as np
import pytest

from ground.decode.mask import Mask
from ground.products.decoded import is_mask
from ground.products.geotiff import read
from ground.products.kinds import PRODUCTS, product_of
from ground.products.legend import CONCEALED, LEGEND, NODATA
from ground.scene import Scene
from onboard.errors import UsageError

SCENE = Scene(np.full((2, 5, 6), 9, np.uint16), crs="EPSG:32633")
MASK = np.zeros((5, 6), np.uint8)


@pytest.mark.parametrize("suffix", [".tif", ".tiff"])
def test_a_geotiff_comes_with_its_mask(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    assert product_of(path).write(path, SCENE, MASK, None) == []
    np.testing.assert_array_equal(read(path).image, SCENE.image)
    assert is_mask(tmp_path / "a.mask.tif")
    assert not is_mask(path)


@pytest.mark.parametrize("suffix", PRODUCTS)
def test_a_product_leaves_nothing_but_the_files_it_names(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    product = product_of(path)
    for _ in range(2):  # the second one replaces the first
        product.check_place(path)
        assert product.write(path, SCENE, MASK, None) == []
        assert {*tmp_path.iterdir()} == {path, *product.files_of(path).values()}


@pytest.mark.parametrize("name", ["a.png", "a.jp2", "a", "a.tif.gz"])
def test_no_product_has_another_suffix(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected \.tif, \.tiff, \.nc or \.zarr, found"):
        product_of(Path(name))


@pytest.mark.parametrize("suffix", PRODUCTS)
def test_a_reference_system_that_makes_no_sense_is_left_out_and_said(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    (reason,) = PRODUCTS[suffix].write(path, Scene(SCENE.image, crs="nowhere"), MASK, None)
    assert reason.startswith("written without CRS")
    assert path.exists()


@pytest.mark.parametrize("suffix", PRODUCTS)
def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "none" / f"a{suffix}"
    with pytest.raises(UsageError, match="expected a place to write to"):
        PRODUCTS[suffix].write(path, SCENE, MASK, None)


def test_what_is_no_zarr_is_not_replaced_by_one(tmp_path: Path) -> None:
    for path in (tmp_path / "file.zarr", tmp_path / "folder.zarr"):
        path.write_text("mine") if path.stem == "file" else path.mkdir()
        with pytest.raises(UsageError, match="is there and is no Zarr"):
            product_of(path).check_place(path)


def test_the_legend_names_every_value_of_the_mask() -> None:
    assert {entry.value: entry.name.upper() for entry in LEGEND} == {m: m.name for m in Mask}
    assert (CONCEALED, NODATA) == (Mask.CONCEALED, Mask.NODATA)
