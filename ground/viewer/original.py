"""Original: the picture that was encoded, to hold beside what came down."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.picture import Picture
from ground.api.windows import Window
from ground.products.legend import NODATA
from ground.scene import Scene
from ground.serve.pyramid import Pyramid
from onboard.errors import InputError


def original_of(original: Scene, picture: Picture) -> Picture:
    """Return the original as a picture beside another one.

    Raises:
        InputError: they are of two sizes.
    """
    if original.image.shape != picture.shape:
        expected, found = (" x ".join(map(str, s)) for s in (picture.shape, original.image.shape))
        raise InputError(f"original: expected {expected} samples as of the scene, found {found}")
    mask = np.where(original.valid, np.uint8(0), np.uint8(NODATA))

    def within(rows: slice, cols: slice) -> Window:
        return original.image[:, rows, cols], mask[rows, cols]

    return Picture(original, {}, within)


def error_of(pyramid: Pyramid, original: Picture) -> Picture:
    """Return how far each sample is off, in DN; at coarse zooms that is a mean.

    Its mask is that of the picture; where the original has no data there is no error.
    """
    picture = pyramid.picture
    unread: NDArray[Any] = np.broadcast_to(np.uint16(0), picture.shape)
    scene = replace(picture.scene, image=unread, nodata=None)

    def within(rows: slice, cols: slice) -> Window:
        image, mask = pyramid.window(pyramid.last, rows, cols)
        meant, known = original.read(rows, cols)
        off = np.abs(image.astype(np.int32) - meant).astype(np.uint16)
        return off, np.where(known == NODATA, known, mask)

    return Picture(scene, {}, within)
