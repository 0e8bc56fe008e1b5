"""Overviews: an image and its mask at half the size, without what is no measurement."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.products.legend import CONCEALED, NODATA, hidden

_ROWS_AT_ONCE = 512
_LINES_AT_ONCE = 16
"""Of what is all measured: so few stay in the processor's cache."""


def halved(
    image: NDArray[Any], mask: NDArray[np.uint8], nodata: int | None
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return image (bands, rows, cols) and mask (rows, cols) with pixels of 2 x 2.

    A pixel is the mean of those that hold a measurement, and its mask the highest of theirs. Of
    none but concealed and nodata ones it is concealed, the mean of the concealed ones; of nodata
    alone it is nodata.

    Args:
        image: samples.
        mask: values of `legend.LEGEND`.
        nodata: value of samples of nodata; None for 0.
    """
    bands, rows, cols = image.shape
    shape = -(-rows // 2), -(-cols // 2)
    coarse, worth = np.empty((bands, *shape), image.dtype), np.empty(shape, np.uint8)
    for first in range(0, shape[0], _ROWS_AT_ONCE):
        here = slice(first, min(first + _ROWS_AT_ONCE, shape[0]))
        fine = slice(2 * here.start, 2 * here.stop)
        one = mask[fine.start, :1]
        is_one = bool((mask[fine] == one).all())
        if not hidden(one if is_one else mask[fine]).any():
            worth[here] = one if is_one else _quarters(mask[None, fine])[:, 0].max(axis=0)
            for first_line in range(here.start, here.stop, _LINES_AT_ONCE):
                lines = slice(first_line, min(first_line + _LINES_AT_ONCE, here.stop))
                coarse[:, lines] = _means(image[:, 2 * lines.start : 2 * lines.stop])
            continue
        codes = _quarters(mask[None, fine])[:, 0]
        counts, worth[here] = _counting(codes)
        weights = counts.astype(np.float32)
        total = np.maximum(weights.sum(axis=0), 1)
        for band in range(bands):
            quarters = _quarters(image[band : band + 1, fine])[:, 0].astype(np.float32)
            mean = (quarters * weights).sum(axis=0) / total
            coarse[band, here] = np.rint(mean)
            coarse[band, here][worth[here] == NODATA] = nodata or 0
    return coarse, worth


def _means(image: NDArray[Any]) -> NDArray[np.int32]:
    """Return means of four pixels, half to even, the border repeated where a side is odd."""
    _, rows, cols = image.shape
    if rows % 2 or cols % 2:
        image = np.pad(image, ((0, 0), (0, rows % 2), (0, cols % 2)), "edge")
    wide = np.add(image[:, ::2], image[:, 1::2], dtype=np.int32)
    total: NDArray[np.int32] = wide[:, :, ::2] + wide[:, :, 1::2]
    total += 1 + (total >> 2 & 1)
    total >>= 2
    return total


def _quarters(image: NDArray[Any]) -> NDArray[Any]:
    """Return (4, bands, rows / 2, cols / 2), the border repeated where a side is odd."""
    _, rows, cols = image.shape
    even = np.pad(image, ((0, 0), (0, rows % 2), (0, cols % 2)), "edge")
    return np.stack([even[:, row::2, col::2] for row in range(2) for col in range(2)])


def _counting(codes: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Return which of four pixels count, (4, rows, cols), and the value of them together."""
    measured = ~hidden(codes)
    concealed = codes == CONCEALED
    any_measured, any_concealed = measured.any(axis=0), concealed.any(axis=0)
    counts = np.where(any_measured, measured, concealed)
    best = np.where(measured, codes, 0).max(axis=0)
    rest = np.where(any_concealed, CONCEALED, NODATA)
    return counts, np.where(any_measured, best, rest).astype(np.uint8)
