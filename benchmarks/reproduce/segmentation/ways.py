"""Ways from an image to what a codec leaves of it."""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Codec, round_trip
from benchmarks.codecs.learned.model import MIXTURE, load
from benchmarks.codecs.skybook import BUNDLE, bundle_codecs
from benchmarks.codecs.table import BASELINES, BETTER_KLT, KLTS
from ground.scene import Scene

Image = NDArray[np.uint16]
Way = Callable[[Image], Image]
ORIGINAL = "original"
PER_BAND = "jp2"


def original(image: Image) -> Image:
    """Return the image as it is."""
    return image


def ways_at(ratios: Iterable[float]) -> dict[str, Way]:
    """Return the flagship and JPEG 2000 at ratios, all headers counted: `skybook/20` and so on."""
    flagship = bundle_codecs(BUNDLE)[0]
    found: dict[str, Way] = {}
    for ratio in ratios:
        found[f"{BUNDLE}/{ratio:g}"] = partial(_coded, flagship, ratio=ratio)
        found[f"{PER_BAND}/{ratio:g}"] = partial(_coded, BASELINES[PER_BAND], ratio=ratio)
        found[f"{BETTER_KLT}/{ratio:g}"] = partial(_better_klt, ratio=ratio)
    return found


def learned_at(ratios: Iterable[float]) -> dict[str, Way]:
    """Return the learned codec of mixtures at ratios: `mixture/20` and so on; for four bands.

    Raises:
        SkybookError: it cannot run here.
    """
    codec = load().codec()
    return {f"{MIXTURE}/{ratio:g}": partial(_coded, codec, ratio=ratio) for ratio in ratios}


def _coded(codec: Codec, image: Image, ratio: float) -> Image:
    """Code and decode. Raises LimitError where the bytes are too few."""
    scene = Scene(image)
    decoded = round_trip(codec, scene, int(scene.raw_bytes / ratio))[1]
    return decoded.astype(np.uint16)


def _better_klt(image: Image, ratio: float) -> Image:
    decoded = [_coded(BASELINES[name], image, ratio) for name in KLTS]
    return min(decoded, key=lambda other: np.square(image.astype(np.float64) - other).sum())
