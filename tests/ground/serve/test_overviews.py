"""Coarse tiles of a stream are cut out of what its coarse layers give."""

from pathlib import Path

import numpy as np

import onboard
from ground.api.picture import open_picture
from ground.api.source import Choice
from ground.serve.pyramid import SIDE, Cache, Pyramid


def test_coarse_tiles_are_cut_out_of_an_overview(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :4160]
    image = (2000 + 500 * np.sin(x / 90) + 3 * y).astype(np.uint16)[None]
    path = tmp_path / "a.sky"
    path.write_bytes(onboard.encode(image, ratio=20))
    picture = open_picture(path, Choice(linear=True))
    pyramid = Pyramid(picture, Cache(1 << 24))
    assert pyramid.last == 5
    assert picture.overview is not None
    for zoom, step in ((1, 16), (2, 8)):
        overview, worth = picture.overview(step)
        tile, mask = pyramid.tile(zoom, 1, 0)
        np.testing.assert_array_equal(tile, overview[:, :, SIDE : 2 * SIDE])
        np.testing.assert_array_equal(mask, worth[:, SIDE : 2 * SIDE])
        rows, cols = pyramid.shape(zoom)
        assert overview.shape[1:] == (rows, cols)
    fine, _ = pyramid.tile(3, 1, 0)
    mean = image[:, :, 4 * SIDE : 8 * SIDE].reshape(1, 32, 4, SIDE, 4).mean(axis=(2, 4))
    assert np.abs(fine - mean).max() < 100
    whole, _ = pyramid.tile(0, 0, 0)
    assert whole.shape == (1, 4, 130)
