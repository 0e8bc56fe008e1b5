"""Stand-ins: procedural scenes of every content, for where no data are given."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.sensors.bayer import PATTERN, planes_of
from benchmarks.sensors.contents import Sample
from ground.scene import Scene
from ground.scenes.procedural import procedural

SIDE = 256
_EARLIER = 100
"""Added to the seed of a scene for an earlier one of its sensor."""
_BRIGHT = 3_000
"""DN that 8 bits end at."""
_SMOOTH = 2.0
"""Pixels that the optics of a smooth thermal camera blur by."""
_DEGREE = 100
"""DN of a kelvin."""
_NOISE = 12.0
"""DN of a noisy thermal camera."""


def standins(side: int) -> list[Sample]:
    """Return one scene of each content."""
    return [
        Sample(
            key,
            f"procedural {key}",
            "procedural",
            make(seed, side),
            (make(seed + _EARLIER, side),) if key == "cube" else (),
        )
        for seed, (key, make) in enumerate(_MAKERS.items(), 1)
    ]


def _bands(count: int) -> Callable[[int, int], Scene]:
    return lambda seed, side: procedural(seed, side, side, count, nodata=False)


def _rgb(bits: int) -> Callable[[int, int], Scene]:
    def make(seed: int, side: int) -> Scene:
        image = procedural(seed, side, side, 3, nodata=False).image[::-1]
        most = (1 << bits) - 1
        scaled = np.clip(np.rint(image * (most / _BRIGHT)), 0, most)
        return Scene(scaled.astype(np.uint8 if bits <= 8 else np.uint16), significant_bits=bits)

    return make


def _bayer(seed: int, side: int) -> Scene:
    colours = _rgb(11)(seed, side)
    return replace(colours, image=planes_of(colours.image), bayer=PATTERN)


def _pan(seed: int, side: int) -> Scene:
    image = procedural(seed, side, side, 4, nodata=False).image
    grey = np.clip(np.rint(image.mean(axis=0, keepdims=True) / 3), 0, 2_047)
    return Scene(grey.astype(np.uint16), significant_bits=11)


def _thermal(blur: float, noise: float) -> Callable[[int, int], Scene]:
    def make(seed: int, side: int) -> Scene:
        rng = np.random.default_rng(seed)
        land = 300 * _DEGREE + 2 * _DEGREE * _clouds(rng, side, blur)
        land += noise * rng.standard_normal((side, side))
        return Scene(np.rint(land)[None].astype(np.uint16))

    return make


def _clouds(rng: np.random.Generator, side: int, blur: float) -> NDArray[np.float64]:
    """Return fractal noise of deviation 1, its power falling as f^-3, blurred by a Gaussian."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = 1
    response = frequency**-1.5 * np.exp(-2 * (np.pi * blur * frequency) ** 2)
    response[0, 0] = 0
    plane = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * response, (side, side))
    return np.asarray(plane / plane.std(), np.float64)


_MAKERS: Mapping[str, Callable[[int, int], Scene]] = {
    "bands4": _bands(4),
    "bands6_7": _bands(6),
    "bands10_12": _bands(12),
    "cube": _bands(48),
    "rgb8": _rgb(8),
    "rgb11": _rgb(11),
    "pan": _pan,
    "bayer": _bayer,
    "thermal_noisy": _thermal(0, _NOISE),
    "thermal_smooth": _thermal(_SMOOTH, 2.0),
}
