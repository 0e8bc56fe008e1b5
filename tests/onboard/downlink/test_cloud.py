"""Cloud fraction: clouds are found, bright land is not, and labelled scenes agree."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.products import geotiff
from ground.scenes.procedural import CLOUD, CROPS, FOREST, ROOF, WATER, procedural
from onboard.downlink.cloud import Clouds, cloud_fractions
from onboard.image.tiles import TileGrid
from tests.conftest import SHARED

LABELLED = SHARED / "other"
TILE = 64
CLOUDY = 0.25
NAMES = ("B02", "B03", "B04", "B08")
LANDSAT = (2e-5, -0.1)
"""Landsat's own scale and offset."""


def flat(spectrum: NDArray[np.int64], tiles: int = 1) -> NDArray[np.uint16]:
    """Return tiles (tiles, 4, 64, 64) of one colour."""
    return np.broadcast_to(spectrum[:4, None, None], (tiles, 4, TILE, TILE)).astype(np.uint16)


def everywhere(tiles: NDArray[np.uint16]) -> NDArray[np.bool_]:
    return np.ones((len(tiles), *tiles.shape[2:]), np.bool_)


def test_cloud_is_cloud_and_land_is_not() -> None:
    for spectrum in (*CROPS, FOREST, WATER, ROOF):
        land = flat(spectrum)
        assert cloud_fractions(land, everywhere(land), NAMES).tolist() == [0], spectrum
    cloud = flat(CLOUD)
    assert cloud_fractions(cloud, everywhere(cloud), NAMES).tolist() == [255]


def test_the_share_is_that_of_the_valid_pixels() -> None:
    tiles = flat(FOREST, 3)
    tiles[0, :, :16] = CLOUD[:4, None, None]
    tiles[1, :, :32] = CLOUD[:4, None, None]
    present = everywhere(tiles)
    present[1, 48:] = False
    present[2] = False
    assert cloud_fractions(tiles, present, NAMES).tolist() == [255 // 4, 255 * 2 // 3, 0]


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
            names = NAMES[:bands] if bands == 4 else ()
            assert cloud_fractions(tiles, everywhere(tiles), names).tolist() == [255 * white]


@pytest.mark.parametrize("names", [NAMES, ("blue", "green", "red", "NIR"), ()])
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_bands_changes_nothing(names: tuple[str, ...], order: tuple[int, ...]) -> None:
    image = procedural(4, 256, 256, 4).image
    tiles = image.reshape(4, 4, 64, 4, 64).transpose(1, 3, 0, 2, 4).reshape(16, 4, 64, 64)
    wanted = cloud_fractions(tiles, everywhere(tiles), names)
    assert len(set(wanted.tolist())) > 1
    moved = tuple(names[band] for band in order) if names else ()
    found = cloud_fractions(tiles[:, list(order)], everywhere(tiles), moved)
    assert found.tolist() == wanted.tolist()


def test_without_infrared_the_visible_bands_tell() -> None:
    for spectrum, share in ((CLOUD, 255), (ROOF, 0)):
        tiles = flat(spectrum)[:, :3]
        assert cloud_fractions(tiles, everywhere(tiles), NAMES[:3]).tolist() == [share]


def test_scale_and_offset_are_undone() -> None:
    tiles = np.concatenate([flat(spectrum) for spectrum in (FOREST, ROOF, CLOUD)])
    wanted = cloud_fractions(tiles, everywhere(tiles), NAMES)
    for scale, offset in ((1e-4, -0.1), (5e-5, 0.0), (2.75e-5, -0.2)):
        moved = np.rint((tiles * 1e-4 - offset) / scale).astype(np.uint16)
        found = cloud_fractions(moved, everywhere(moved), NAMES, (scale, offset))
        assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize("nodata", [None, 0])
def test_the_offset_of_sentinel_2_since_2022_changes_no_rank(nodata: int | None) -> None:
    image = procedural(4, 64, 512, 4).image
    clouds = Clouds(TILE, NAMES, None, nodata)
    shifted = np.where(image > 0, image + np.uint16(1_000), 0).astype(np.uint16)
    if nodata is None:
        image, shifted = image + np.uint16(image == 0), np.maximum(shifted, 1_001)
    wanted = clouds.of_strip(image)
    assert len(set(wanted)) > 1
    assert clouds.of_strip(shifted) == wanted
    assert Clouds(TILE, NAMES, (1e-4, -0.1), nodata).of_strip(shifted) == wanted


def test_labelled_scenes() -> None:
    """Tiles of a Landsat 8 scene, labelled by its quality band."""
    folder = LABELLED / "landsat8_sattestdata"
    if not folder.is_dir():
        pytest.skip("the labelled scenes are not there")
    bands = [geotiff.read(folder / f"l8_{name}.tif").image[0] for name in ("B2", "B3", "B4", "B5")]
    counts = np.stack(bands).astype(np.int32)
    quality = geotiff.read(folder / "l8_BQA.tif").image[0].astype(np.int32)
    cloud = np.asarray(quality >> 14 == 3)
    filled = np.asarray((counts > 0).all(axis=0))
    grid = TileGrid(counts.shape[2], counts.shape[1], TILE)
    found, told = [], []
    for index in range(grid.count):
        row, col, rows, cols = grid.box(index)
        place = (slice(row, row + rows), slice(col, col + cols))
        if filled[place].any():
            tile = counts[None, :, *place]
            fractions = cloud_fractions(tile, filled[None, *place], NAMES, LANDSAT)
            found.append(int(fractions[0]) / 255)
            told.append(float(cloud[place][filled[place]].mean()))
    guess, truth = np.array(found), np.array(told)
    assert np.corrcoef(guess, truth)[0, 1] > 0.9
    assert np.abs(guess - truth).mean() < 0.03
    wrong = np.count_nonzero((guess > CLOUDY) != (truth > CLOUDY))
    assert (truth > CLOUDY).any()
    assert wrong <= 0.1 * len(truth)
