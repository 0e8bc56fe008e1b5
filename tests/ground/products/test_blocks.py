"""Blocks of a cloud-optimised GeoTIFF that GDAL wrote: all there, or not."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from ground.products.geotiff import COG_OPTIONS, write
from ground.products.large.blocks import has_all_blocks
from ground.scene import Scene


@pytest.fixture(scope="module", params=["NO", "YES"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, or a BigTIFF, with a mask and overviews."""
    path = tmp_path_factory.mktemp("blocks") / "a.tif"
    image = np.random.default_rng(1).integers(0, 4_000, (2, 600, 300)).astype(np.uint16)
    hidden = np.zeros((600, 300), np.bool_)
    hidden[:100] = True
    write(path, Scene(image), hidden)
    if request.param == "YES":
        with rasterio.open(path) as dataset:
            rasterio.shutil.copy(
                dataset, path.with_name("b.tif"), **{**COG_OPTIONS, "BIGTIFF": "YES"}
            )
        path = path.with_name("b.tif")
    return path


def test_a_file_is_whole(whole: Path) -> None:
    assert has_all_blocks(whole)


def test_of_every_block_its_beginning_and_end_are_missed(whole: Path, tmp_path: Path) -> None:
    """Also of overviews and masks: wherever bytes are zeros that should have been written."""
    content = whole.read_bytes()
    cut = tmp_path / "a.tif"
    for length in range(0, len(content), len(content) // 50 | 1):
        cut.write_bytes(content[:length])
        assert not has_all_blocks(cut), length
        cut.write_bytes(content[:length] + bytes(len(content) - length))
        assert not has_all_blocks(cut), length
    cut.write_bytes(content[:-1])
    assert not has_all_blocks(cut)


def test_what_is_no_such_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for content in (b"", b"II*\0", b"II*\0" + b"\xff" * 40, bytes(99), b"II*\0\x08" + bytes(99)):
        path.write_bytes(content)
        assert not has_all_blocks(path)
