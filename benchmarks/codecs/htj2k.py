"""HTJ2K (JPEG 2000 part 15): all bands in one codestream, without a band transform."""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded, OnePass, budget_of, samples_of
from ground.scene import Scene
from onboard.errors import LimitError
from onboard.image.files import Image

FINEST, COARSEST = 1e-6, 1.0
"""Quantisation steps, relative to the range of the samples."""
SEARCH_STEPS = 24
CLOSE_ENOUGH = 0.998


class Htj2k:
    """HTJ2K with the 9/7 wavelet, by OpenJPH."""

    variable_rate = True

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code within a budget, see `Codec`."""
        image = samples_of(scene)
        return _at_step(image, _step_within(image, budget_of(scene, budget)))

    def decode(self, coded: Coded) -> Image:
        """Decode the codestream, see `Codec`."""
        import imagecodecs  # noqa: PLC0415 (an optional package)

        decoded: Image = imagecodecs.htj2k_decode(coded.parts[0]).reshape(coded.shape)
        return decoded

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Search the step that gives a ratio."""
        image = samples_of(scene)
        step = _step_within(image, int(scene.raw_bytes / ratio))
        return OnePass(
            f"9/7 wavelet, step {step:.3g} that gives ratio {ratio}, its search not timed",
            partial(_at_step, image, step),
        )


def _at_step(image: NDArray[np.uint16], step: float) -> Coded:
    """Code (bands, rows, cols), bands independent, at a quantisation step."""
    import imagecodecs  # noqa: PLC0415 (an optional package)

    planes = image[0] if len(image) == 1 else image
    layout: dict[str, Any] = {} if len(image) == 1 else {"planar": True}
    stream = imagecodecs.htj2k_encode(planes, step, reversible=False, rgb=False, **layout)
    return Coded((bytes(stream),), image.shape)


def _step_within(image: NDArray[np.uint16], budget: int) -> float:
    """Return the step that codes into at most `budget` bytes, as near below as 0.2 % where it can.

    HTJ2K has no rate control of its own: its length follows the step, which is bisected.

    Raises:
        LimitError: the coarsest encoding is longer than the budget.
    """
    length = _at_step(image, COARSEST).length
    if length > budget:
        raise LimitError(f"HTJ2K: expected to fit {budget} bytes, found the coarsest {length}")
    best = (length, COARSEST)
    fine, coarse = FINEST, COARSEST
    for _ in range(SEARCH_STEPS):
        step = math.sqrt(fine * coarse)
        length = _at_step(image, step).length
        if length > budget:
            fine = step
        else:
            coarse, best = step, max(best, (length, step))
        if best[0] >= CLOSE_ENOUGH * budget:
            break
    return best[1]
