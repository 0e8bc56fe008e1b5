"""Profiles and cubes for tests."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.train.profile.moments import Moments
from onboard.codec.profile import SHIFT, Profile


@cache
def cube(bands: int, rows: int = 130, cols: int = 90, seed: int = 4) -> NDArray[np.uint16]:
    """Return a scene of few materials and some noise, its corner without data."""
    base = procedural(seed, rows, cols, 6, nodata=False).image.astype(np.float64)
    rng = np.random.default_rng(seed)
    at = np.linspace(0, 5, bands)
    low = np.minimum(at.astype(int), 4)
    image = base[low] + (at - low)[:, None, None] * (base[low + 1] - base[low])
    image += 5 * rng.standard_normal(image.shape)
    found = np.clip(np.rint(image), 1, 65_535).astype(np.uint16)
    found[:, 50:, 70:] = 0
    return found


@cache
def learnt(bands: int) -> Profile:
    """Return the profile of another scene than `cube` gives by default."""
    scene = Scene(cube(bands, 192, 192, 5)[:, :, :70])
    return Moments.of([scene]).profiles()["values"]


def drawn(bands: int, seed: int, middle: int = 1_000) -> Profile:
    """Return a profile that fits nothing: an orthonormal matrix at random."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((bands, bands)))[0]
    matrix = np.rint(basis * (1 << SHIFT)).astype(np.int64)
    return Profile(np.full(bands, middle, np.int64), matrix)
