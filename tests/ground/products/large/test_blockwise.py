"""GeoTIFFs that are made block by block, looked at with GDAL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from ground.products import geotiff
from ground.products.large.blockwise import Block, write_blocks
from ground.products.legend import hidden
from ground.products.overview import halved
from ground.scene import Scene
from onboard.errors import UsageError

PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)
ROWS, COLS = 700, 1_100


def windows(image: np.ndarray, mask: np.ndarray, side: int = 512) -> Iterator[Block]:
    for row in range(0, ROWS, side):
        for col in range(0, COLS, side):
            down, across = slice(row, min(row + side, ROWS)), slice(col, min(col + side, COLS))
            yield down, across, image[:, down, across], mask[down, across]


def scene_of(dtype: str, bits: int | None, bands: int = 3) -> tuple[Scene, np.ndarray]:
    """A scene with samples of all its range, and a mask of all values."""
    rng = np.random.default_rng(1)
    limits = np.iinfo(dtype)
    most = limits.max if bits is None else (1 << bits) - 1
    image = rng.integers(limits.min + 1, most, (bands, ROWS, COLS), endpoint=True).astype(dtype)
    mask = np.zeros((ROWS, COLS), np.uint8)
    mask[:300, :300] = rng.integers(0, 6, (300, 300))
    mask[600:, 900:] = 3
    image[:, mask == 4] = limits.min
    return Scene(image, int(limits.min), PLACE, "EPSG:32633", significant_bits=bits), mask


def check(path: Path, scene: Scene, mask: np.ndarray) -> None:
    """Compare both files, at all levels."""
    image, shown = scene.image, mask
    for level in range(4):
        more = {} if not level else {"overview_level": level - 1}
        with rasterio.open(path, **more) as one, rasterio.open(_mask(path), **more) as other:
            np.testing.assert_array_equal(one.read(), image)
            np.testing.assert_array_equal(one.read_masks(1) == 0, hidden(shown))
            np.testing.assert_array_equal(other.read(1), shown)
        image, shown = halved(image, shown, scene.nodata)
    for file in (path, _mask(path)):
        assert cog_validate(file, strict=True) == (True, [], [])
        with rasterio.open(file) as dataset:
            assert dataset.overviews(1) == [2, 4, 8]


def _mask(path: Path) -> Path:
    return path.with_suffix(".mask.tif")


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [("uint8", None), ("int8", None), ("uint16", None), ("int16", None), ("uint16", 12)],
)
def test_gdal_reads_image_mask_and_overviews(dtype: str, bits: int | None, tmp_path: Path) -> None:
    scene, mask = scene_of(dtype, bits)
    path = tmp_path / "a.tif"
    counts, reasons = write_blocks(path, scene, windows(scene.image, mask), dict)
    assert (counts, reasons) == (dict(zip(*np.unique(mask, return_counts=True), strict=True)), [])
    check(path, scene, mask)
    assert geotiff.read(path).significant_bits == bits


@pytest.mark.parametrize("bands", [1, 5])
def test_a_large_form_of_file_holds_the_same(
    bands: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(geotiff.COG_OPTIONS, "BIGTIFF", "YES")
    scene, mask = scene_of("uint16", None, bands)
    write_blocks(tmp_path / "a.tif", scene, windows(scene.image, mask), dict)
    assert (tmp_path / "a.tif").read_bytes()[2] == 43
    check(tmp_path / "a.tif", scene, mask)


def test_files_do_not_depend_on_threads_or_windows(tmp_path: Path) -> None:
    scene, mask = scene_of("uint16", None)
    files = []
    for threads, side in ((1, 2_048), (4, 256), (3, 512)):
        path = tmp_path / f"{threads}.tif"
        write_blocks(path, scene, windows(scene.image, mask, side), dict, threads)
        files.append((path.read_bytes(), _mask(path).read_bytes()))
    assert files[0] == files[1] == files[2]


def test_samples_of_more_bits_than_are_told_are_kept(tmp_path: Path) -> None:
    """Though blocks before them are coded already."""
    scene, mask = scene_of("uint16", 12)
    for sample in (4_096, 65_535):
        image = scene.image.copy()
        image[0, -1, -1] = sample
        mask[-1, -1] = 0
        path = tmp_path / f"{sample}.tif"
        write_blocks(path, replace(scene, image=image), windows(image, mask), dict)
        check(path, replace(scene, image=image), mask)
        with rasterio.open(path) as dataset:
            assert "NBITS" not in dataset.tags(1, ns="IMAGE_STRUCTURE")


def test_blocks_that_do_not_make_up_the_scene_are_told(tmp_path: Path) -> None:
    scene, mask = scene_of("uint16", None)
    every = list(windows(scene.image, mask))
    down, across, image, worth = every[0]
    cut = slice(0, 500), across, image[:, :500], worth[:500]
    moved = slice(10, 522), across, image, worth
    for blocks, words in (
        (every[:-1], "blocks: expected 770000 pixels"),
        ([cut], "multiples of 256, found 0 to 500 of 700"),
        ([moved], "multiples of 256, found 10 to 522 of 700"),
    ):
        with pytest.raises(UsageError, match=words):
            write_blocks(tmp_path / "a.tif", scene, blocks, dict)
    assert not [*tmp_path.iterdir()]
    assert down == slice(0, 512)
