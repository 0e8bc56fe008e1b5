"""Samples of large rasters, in a file without a name."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from ground.products import geotiff
from ground.products.large import mapped
from onboard.image.files import let_go


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_large_raster_is_mapped_and_can_be_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    wanted = np.random.default_rng(1).integers(0, 4_096, (3, 23, 17), np.uint16)
    options = {"driver": "GTiff", "count": 3, "height": 23, "width": 17, "dtype": "uint16"}
    with rasterio.open(path, "w", **options) as file:
        file.write(wanted)
    small = geotiff.read(path)
    assert not isinstance(small.image, np.memmap)
    monkeypatch.setattr(mapped, "_LARGE", wanted.nbytes)
    monkeypatch.setattr(mapped, "_ROWS_AT_ONCE", 5)
    large = geotiff.read(path)
    assert isinstance(large.image, np.memmap)
    for _ in range(2):
        assert np.array_equal(large.image, wanted)
        let_go(large.image[:, 3:])
    assert large.header() == small.header()
