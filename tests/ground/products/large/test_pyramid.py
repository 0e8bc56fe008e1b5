"""A scene and its overviews, block by block."""

import numpy as np
import pytest

from ground.products.large.pyramid import Place, Pyramid, sizes_of
from ground.products.overview import halved


@pytest.mark.parametrize("shape", [(1, 1), (256, 256), (257, 1), (700, 1_301), (129, 2_100)])
def test_overviews_are_those_of_the_whole_scene_in_whatever_order_blocks_come(
    shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(1, 60_000, (2, *shape)).astype(np.uint16)
    mask = rng.choice(np.array([0, 1, 3, 4, 5], np.uint8), shape, p=[0.5, 0.1, 0.2, 0.1, 0.1])
    image[:, mask == 4] = 0
    found: dict[Place, tuple[np.ndarray, np.ndarray]] = {}

    def put(place: Place, *block: np.ndarray) -> None:
        assert place not in found
        found[place] = block[0].copy(), block[1].copy()

    pyramid = Pyramid(image, 0, put)
    assert pyramid.sizes == sizes_of(*shape)
    assert max(pyramid.sizes[-1]) <= 256
    places = [*np.ndindex(-(-shape[0] // 256), -(-shape[1] // 256))]
    for row, col in rng.permutation(places).tolist():
        here = slice(256 * row, 256 * row + 256), slice(256 * col, 256 * col + 256)
        pyramid.add(Place(0, row, col), image[:, *here], mask[here])
    for level, (rows, cols) in enumerate(pyramid.sizes):
        assert mask.shape == (rows, cols)
        for row, col in np.ndindex(-(-rows // 256), -(-cols // 256)):
            here = slice(256 * row, 256 * row + 256), slice(256 * col, 256 * col + 256)
            part = found.pop(Place(level, row, col))
            np.testing.assert_array_equal(part[0], image[:, *here])
            np.testing.assert_array_equal(part[1], mask[here])
        image, mask = halved(image, mask, 0)
    assert not found
