"""Bayer mosaics: where samples go, and what is none."""

import numpy as np
import pytest

from onboard.errors import InputError
from onboard.image.bayer import cell_of, join, split


def test_planes_are_the_places_of_a_cell() -> None:
    mosaic = np.arange(24, dtype=np.uint16).reshape(1, 4, 6)
    planes = split(mosaic)
    assert planes[:, 1, 2].tolist() == [16, 17, 22, 23]
    assert np.array_equal(join(planes), mosaic)
    assert (cell_of("rggb"), cell_of(None)) == (2, 1)


@pytest.mark.parametrize("shape", [(2, 4, 4), (1, 3, 4), (1, 4, 3), (4, 4)])
def test_what_is_no_mosaic(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected one band, rows and columns even, found"):
        split(np.zeros(shape, np.uint8))
