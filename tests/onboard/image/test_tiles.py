"""The tile grid and what fills tiles at the border."""

from pathlib import Path

import numpy as np
import pytest

from onboard.errors import LimitError, UsageError
from onboard.image.tiles import TileGrid, positions


def test_grid_of_a_scene() -> None:
    grid = TileGrid(250, 121, 120)
    assert (grid.columns, grid.rows, grid.count) == (3, 2, 6)
    assert [grid.box(i) for i in range(6)] == [
        (0, 0, 120, 120),
        (0, 120, 120, 120),
        (0, 240, 120, 10),
        (120, 0, 1, 120),
        (120, 120, 1, 120),
        (120, 240, 1, 10),
    ]


def test_tiles_cover_the_scene_once() -> None:
    image = np.arange(7 * 10).reshape(1, 7, 10)
    grid = TileGrid(10, 7, 4)
    found = np.zeros_like(image)
    for index in range(grid.count):
        row, col, rows, cols = grid.box(index)
        found[:, row : row + rows, col : col + cols] += grid.cut(image, index)[:, :rows, :cols]
    assert np.array_equal(found, image)


def test_border_is_reflected() -> None:
    image = np.array([[[1, 2, 3]]])
    assert TileGrid(3, 1, 8).cut(image, 0)[0].tolist() == [[1, 2, 3, 3, 2, 1, 1, 2]] * 8
    assert (TileGrid(1, 1, 8).cut(np.array([[[7]]]), 0) == 7).all()


@pytest.mark.parametrize(
    ("width", "height", "tile"),
    [(0, 1, 8), (1, 0, 8), (1 << 24 | 1, 1, 8), (1, 1, 0), (1, 1, 257), (1 << 24, 1 << 24, 8)],
)
def test_limits(width: int, height: int, tile: int) -> None:
    with pytest.raises(LimitError):
        TileGrid(width, height, tile)


def test_positions_touch_all_pixels() -> None:
    assert positions(120, 120, 4) == (30, 30)
    assert positions(1, 9, 4) == (1, 3)


@pytest.mark.parametrize("index", [-1, 4])
def test_tile_outside_the_grid(index: int) -> None:
    with pytest.raises(UsageError, match=f"expected 0..3, found {index}"):
        TileGrid(10, 10, 8).box(index)


def test_tiles_of_a_mapped_scene(tmp_path: Path) -> None:
    image = np.lib.format.open_memmap(tmp_path / "scene.npy", "w+", np.uint16, (2, 9, 10))
    image[:] = np.arange(image.size).reshape(image.shape)
    grid = TileGrid(10, 9, 8)
    for index in range(grid.count):
        assert np.array_equal(grid.cut(image, index), grid.cut(np.array(image), index))
