"""Cloud fraction: clouds are found, bright land is not, and labelled scenes agree."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.products import geotiff
from ground.scenes.procedural import CLOUD, CROPS, FOREST, ROOF, WATER
from onboard.downlink.cloud import cloud_fractions
from onboard.image.tiles import TileGrid
from tests.conftest import SHARED

LABELLED = SHARED / "other"
TILE = 64
CLOUDY = 0.25


def flat(spectrum: NDArray[np.int64], tiles: int = 1) -> NDArray[np.uint16]:
    """Return tiles (tiles, 4, 64, 64) of one colour."""
    return np.broadcast_to(spectrum[:4, None, None], (tiles, 4, TILE, TILE)).astype(np.uint16)


def everywhere(tiles: NDArray[np.uint16]) -> NDArray[np.bool_]:
    return np.ones((len(tiles), *tiles.shape[2:]), np.bool_)


def test_cloud_is_cloud_and_land_is_not() -> None:
    for spectrum in (*CROPS, FOREST, WATER, ROOF):
        land = flat(spectrum)
        assert cloud_fractions(land, everywhere(land)).tolist() == [0], spectrum
    cloud = flat(CLOUD)
    assert cloud_fractions(cloud, everywhere(cloud)).tolist() == [255]


def test_the_share_is_that_of_the_valid_pixels() -> None:
    tiles = flat(FOREST, 3)
    tiles[0, :, :16] = CLOUD[:4, None, None]
    tiles[1, :, :32] = CLOUD[:4, None, None]
    present = everywhere(tiles)
    present[1, 48:] = False
    present[2] = False
    assert cloud_fractions(tiles, present).tolist() == [255 // 4, 255 * 2 // 3, 0]


@pytest.mark.parametrize("bands", [1, 3, 6])
def test_other_bands_go_by_their_brightness(bands: int) -> None:
    tiles = np.full((2, bands, TILE, TILE), 2_400, np.uint16)
    tiles[1] = 2_600
    assert cloud_fractions(tiles, everywhere(tiles)).tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_the_ends_of_every_sample_type(dtype: type[np.integer]) -> None:
    limits = np.iinfo(dtype)
    for value in (limits.min, limits.max):
        for bands in (4, 5):
            tiles = np.full((1, bands, 3, 5), value, dtype)
            white = value > 2_500
            assert cloud_fractions(tiles, everywhere(tiles)).tolist() == [255 * white]


def test_labelled_scenes() -> None:
    """Tiles of a Landsat 8 scene, labelled by its quality band."""
    folder = LABELLED / "landsat8_sattestdata"
    if not folder.is_dir():
        pytest.skip("the labelled scenes are not there")
    bands = [geotiff.read(folder / f"l8_{name}.tif").image[0] for name in ("B2", "B3", "B4", "B5")]
    counts = np.stack(bands).astype(np.int32)
    quality = geotiff.read(folder / "l8_BQA.tif").image[0].astype(np.int32)
    image = counts // 5 - 1_000  # Landsat's own scale, 2e-5 and -0.1, to reflectance x 10000
    cloud = np.asarray(quality >> 14 == 3)
    filled = np.asarray((counts > 0).all(axis=0))
    grid = TileGrid(image.shape[2], image.shape[1], TILE)
    found, told = [], []
    for index in range(grid.count):
        row, col, rows, cols = grid.box(index)
        place = (slice(row, row + rows), slice(col, col + cols))
        if filled[place].any():
            fractions = cloud_fractions(image[None, :, *place], filled[None, *place])
            found.append(int(fractions[0]) / 255)
            told.append(float(cloud[place][filled[place]].mean()))
    guess, truth = np.array(found), np.array(told)
    assert np.corrcoef(guess, truth)[0, 1] > 0.9
    assert np.abs(guess - truth).mean() < 0.03
    wrong = np.count_nonzero((guess > CLOUDY) != (truth > CLOUDY))
    assert (truth > CLOUDY).any()
    assert wrong <= 0.1 * len(truth)
