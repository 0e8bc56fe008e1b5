"""Samples: what was rebuilt, in numbers with a fraction, to those of the scene (SPEC.md, 12)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.lapped.refinement import Put
from ground.decode.nodata import keep_off_nodata
from ground.decode.rebuilder import Product
from onboard.codec.profile import Profile
from onboard.image.files import DTYPES
from onboard.link.header import SceneHeader

_PROFILE_ROWS = 16
"""Rows of pixels that become bands at once."""
_AT_ONCE = 1 << 16
"""Numbers that are rounded at once: they stay in the processor's cache."""


def samples_of(
    found: NDArray[np.float32], header: SceneHeader, profile: Profile | None
) -> NDArray[Any]:
    """Return the samples (bands, rows, cols) of bands or components in DN, which are changed."""
    bands = len(found) if profile is None else header.bands
    samples = np.empty((bands, *found.shape[1:]), DTYPES[header.sample_type])
    put_samples(found, samples, header, profile)
    return samples


def put_samples(
    found: NDArray[np.float32],
    samples: NDArray[Any],
    header: SceneHeader,
    profile: Profile | None,
    scale: float = 1.0,
) -> None:
    """Put samples where they belong, none of which has the value of nodata.

    Args:
        found: (bands or components, rows, cols), changed.
        samples: (bands, rows, cols), to be filled.
        header: header of the scene.
        profile: what makes bands of components.
        scale: what numbers are multiplied by to be DN.
    """
    row = max(found[:, :1].size, 1)
    step = _PROFILE_ROWS if profile else max(_AT_ONCE // row, 1)
    low, high = header.sample_range
    for first in range(0, found.shape[1], step):
        rows = slice(first, first + step)
        part: NDArray[Any] = found[:, rows]
        if scale != 1:
            part *= np.float32(scale)
        if profile:
            part = profile.samples(part)
        np.rint(part, out=part)
        np.clip(part, low, high, out=part)
        samples[:, rows] = part
        if header.nodata is not None:
            samples[:, rows] = keep_off_nodata(samples[:, rows], header)


def putting(
    product: Product, here: slice, first: int, profile: Profile | None, scale: float
) -> Put:
    """Return what puts refined parts of a canvas into some rows of a product.

    Args:
        product: product to fill.
        here: rows of the product; what lies beyond them or to their right is left out.
        first: row of the scene that the canvas begins with.
        profile: what makes bands of components.
        scale: what numbers are multiplied by to be DN.
    """
    image, before = product.image[:, here], here.start - first

    def put(rows: slice, cols: slice, refined: NDArray[np.float32]) -> None:
        into = image[:, rows.start - before : rows.stop - before, cols]
        bands, height, width = into.shape
        put_samples(refined[:bands, :height, :width], into, product.header, profile, scale)

    return put
