"""The table of products: each writes a scene and its mask, other suffixes are refused."""

from pathlib import Path

import numpy as np
import pytest

from ground.products.geotiff import is_mask, read
from ground.products.kinds import PRODUCTS, product_of
from ground.scene import Scene
from onboard.errors import UsageError

SCENE = Scene(np.full((2, 5, 6), 9, np.uint16), crs="EPSG:32633")
MASK = np.zeros((5, 6), np.uint8)


@pytest.mark.parametrize("suffix", PRODUCTS)
def test_every_product_comes_with_its_mask(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    assert product_of(path)(path, SCENE, MASK) == []
    np.testing.assert_array_equal(read(path).image, SCENE.image)
    assert is_mask(tmp_path / "a.mask.tif")
    assert not is_mask(path)


@pytest.mark.parametrize("name", ["a.png", "a.jp2", "a", "a.tif.gz"])
def test_no_product_has_another_suffix(name: str) -> None:
    with pytest.raises(UsageError, match=r"expected \.tif or \.tiff, found"):
        product_of(Path(name))


def test_a_reference_system_that_a_geotiff_cannot_hold_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    (reason,) = PRODUCTS[".tif"](path, Scene(SCENE.image, crs="nowhere"), MASK)
    assert reason.startswith("written without CRS and band ids: CRS")
    assert read(path).crs is None
