"""Scenes as other cameras see them, so that a network learns what holds for any of them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene

_MOST_GAIN = 4.0
"""Of another camera; its least is the inverse."""
_MOST_NOISE = 20.0
"""DN, before the gain."""
_LARGEST = 65_535


def coarser(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return a scene of u16 as a camera with pixels twice as large sees it.

    One of two cameras, drawn: pixels are means of 2 x 2, or every second one, which is as sharp as
    a camera can be. Of a scene with an odd number of rows or columns the last one is left out.
    Where one of four pixels has no data the coarser one has none.
    """
    rows, cols = (length // 2 * 2 for length in scene.image.shape[1:])
    of_four = scene.image[:, :rows, :cols].reshape(-1, rows // 2, 2, cols // 2, 2)
    is_mean = rng.random() < 0.5
    seen = np.rint(of_four.mean((2, 4))) if is_mean else of_four[:, :, 0, :, 0]
    whole = present(scene)[:rows, :cols].reshape(rows // 2, 2, cols // 2, 2)
    return _with(scene, seen, np.asarray(whole.all((1, 3))))


def of_other_bands(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return a scene of u16 as a camera with other bands, gain and noise sees it.

    What is drawn: the order of the bands; in half of the draws each has a share of another one; in
    half there is noise of up to 20 DN more; and the gain of the samples, a quarter to four times,
    as far as they stay within 16 bits. Pixels without data stay so.
    """
    bands = len(scene.image)
    image = scene.image[rng.permutation(bands)].astype(np.float32)
    if rng.random() < 0.5:
        shares = rng.uniform(0, 0.5, (bands, 1, 1)).astype(np.float32)
        image += shares * (image[rng.permutation(bands)] - image)
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, np.float32)
        image += np.float32(rng.uniform(0, _MOST_NOISE)) * noise
    gain = _MOST_GAIN ** rng.uniform(-1, 1)
    image *= np.float32(min(gain, _LARGEST / max(float(image.max()), 1.0)))
    return _with(scene, np.rint(image), present(scene))


def present(scene: Scene) -> NDArray[np.bool_]:
    """Return where there is data; where no value says so, pixels of 0 in all bands have none."""
    return scene.valid if scene.nodata is not None else (scene.image != 0).any(axis=0)


def _with(scene: Scene, seen: NDArray[np.generic], known: NDArray[np.bool_]) -> Scene:
    """Return a scene of other samples, and without data where they are not known."""
    image = np.clip(seen, 1, _LARGEST).astype(np.uint16)
    image[:, ~known] = scene.nodata or 0
    return replace(scene, image=image)
