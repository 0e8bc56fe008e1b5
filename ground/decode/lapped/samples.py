"""Samples: what was rebuilt, in numbers with a fraction, to those of the scene (SPEC.md, 12)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.decode.nodata import keep_off_nodata
from onboard.codec.profile import Profile
from onboard.image.files import DTYPES
from onboard.link.header import SceneHeader

_PROFILE_ROWS = 16
"""Rows of pixels that become bands at once."""


def samples_of(
    found: NDArray[np.float32], header: SceneHeader, profile: Profile | None
) -> NDArray[Any]:
    """Return the samples (bands, rows, cols) of bands or components in DN."""
    if profile is None:
        return _rounded(found, header)
    samples = np.empty((header.bands, *found.shape[1:]), DTYPES[header.sample_type])
    for first in range(0, found.shape[1], _PROFILE_ROWS):
        rows = slice(first, first + _PROFILE_ROWS)
        samples[:, rows] = _rounded(profile.samples(found[:, rows]), header)
    return samples


def _rounded(
    refined: NDArray[np.float32] | NDArray[np.float64], header: SceneHeader
) -> NDArray[Any]:
    """Return samples, none of which has the value of nodata."""
    low, high = header.sample_range
    np.rint(refined, out=refined)
    np.clip(refined, low, high, out=refined)
    return keep_off_nodata(refined.astype(DTYPES[header.sample_type]), header)
