"""Moments: what bands of images have in common, and the profiles that follow from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene
from onboard.codec.profile import SHIFT, Profile
from onboard.errors import InputError

PIXELS_A_BAND = 16
"""Pixels with data that a profile needs for each of its bands."""
_LINES = 64
"""Lines that are taken together."""
_MOST_PIXELS = 1 << 18
"""That are looked at: more change nothing."""


@dataclass(frozen=True)
class Moments:
    """Sums over pixels with data.

    Attributes:
        pixels: how many.
        sums: (bands,), of samples.
        values: (bands, bands), of products of samples.
        gradients: (bands, bands), of products of differences of neighbouring 2x2 averages.
    """

    pixels: int
    sums: NDArray[np.float64]
    values: NDArray[np.float64]
    gradients: NDArray[np.float64]

    @classmethod
    def of(cls, scenes: list[Scene]) -> "Moments":
        """Return those of scenes of the same bands, some of their lines if there are many."""
        blocks = [(s, n) for s in scenes for n in range(0, s.image.shape[1], _LINES)]
        pixels = sum(s.image.shape[1] * s.image.shape[2] for s in scenes)
        taken = blocks[:: max(pixels // _MOST_PIXELS, 1)]
        bands = len(scenes[0].image)
        found = cls(0, np.zeros(bands), np.zeros((bands, bands)), np.zeros((bands, bands)))
        for scene, first in taken:
            found += cls._of_lines(scene.image[:, first : first + _LINES], scene.nodata)
        return found

    @classmethod
    def _of_lines(cls, lines: NDArray[np.generic], nodata: int | None) -> "Moments":
        samples = np.asarray(lines).astype(np.float64)
        here = np.ones(samples.shape[1:], np.bool_)
        if nodata is not None:
            here = (samples != nodata).any(axis=0)
            samples *= here
        flat = samples.reshape(len(samples), -1)
        rows, cols = (side // 2 * 2 for side in here.shape)
        shape = len(samples), rows // 2, 2, cols // 2, 2
        small = samples[:, :rows, :cols].reshape(shape).mean(axis=(2, 4))
        whole = here[:rows, :cols].reshape(shape[1:]).all(axis=(1, 3))
        gradients = np.zeros((len(samples), len(samples)))
        for axis in (0, 1):
            both = whole.take(range(1, whole.shape[axis]), axis) & whole.take(
                range(whole.shape[axis] - 1), axis
            )
            away = (np.diff(small, axis=axis + 1) * both).reshape(len(samples), -1)
            gradients += away @ away.T
        return cls(int(here.sum()), flat.sum(axis=1), flat @ flat.T, gradients)

    def __add__(self, other: "Moments") -> "Moments":
        """Return those of both."""
        return Moments(
            self.pixels + other.pixels,
            self.sums + other.sums,
            self.values + other.values,
            self.gradients + other.gradients,
        )

    def profiles(self) -> dict[str, Profile]:
        """Return the KLT of the values and that of the gradients, about the means.

        Raises:
            InputError: there are too few pixels.
        """
        bands = len(self.sums)
        if self.pixels < PIXELS_A_BAND * bands:
            raise InputError(
                f"profile: expected {PIXELS_A_BAND} pixels with data for each of {bands} bands, "
                f"{PIXELS_A_BAND * bands} in all, beside what is held back; found {self.pixels}"
            )
        means = self.sums / self.pixels
        covariance = self.values / self.pixels - np.outer(means, means)
        offsets = np.rint(means).astype(np.int64)
        return {
            "values": Profile(offsets, _klt(covariance)),
            "gradients": Profile(offsets, _klt(self.gradients)),
        }


def _klt(covariance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the KLT in 1/2^14, the strongest row first, the largest entry of each above 0."""
    basis = np.linalg.eigh(covariance)[1][:, ::-1].T
    largest = np.abs(basis).argmax(axis=1)[:, None]
    basis *= np.sign(np.take_along_axis(basis, largest, axis=1))
    rounded: NDArray[np.int64] = np.rint(basis * (1 << SHIFT)).astype(np.int64)
    return rounded
