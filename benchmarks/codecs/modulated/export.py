"""Export: a trained network as a model, its entropy coder in whole numbers, errors fitted."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.modulated.lambdas import CODES, Lambdas, share_of
from benchmarks.codecs.modulated.layout import Sensor
from benchmarks.codecs.modulated.model import Model
from benchmarks.codecs.modulated.network import ModulatedHyperprior
from benchmarks.codecs.modulated.quality import Regression, block_errors
from benchmarks.codecs.modulated.scales import HyperSynthesis
from benchmarks.codecs.modulated.tables import hyper_tables, latent_tables
from benchmarks.codecs.modulated.training import Frames

FITTED_CODES = (6, 20, 56, 128, 255)
"""Codes of lambda at which errors are measured to be fitted."""
_SIDE, _FRAMES = 256, 8
"""Of each sensor as many frames at most, no larger."""


def export(
    network: ModulatedHyperprior,
    frames: Frames,
    origin: str,
    tell: Callable[[str], None] = lambda _text: None,
) -> Model:
    """Return the model of a trained network.

    Args:
        network: the network.
        frames: of each sensor, to which its regression is fitted.
        origin: what it was trained with, in words.
        tell: called with what is fitted.
    """
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    hyper = [name[: -len(".weight")] for name in weights if _is_hyper(name, ".weight")]
    model = Model(
        network.layout,
        {k: v.astype(np.float16) for k, v in weights.items() if not _is_hyper(k)},
        HyperSynthesis.of([(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in hyper]),
        hyper_tables(np.exp(weights["hyper_spread"].astype(np.float64))),
        latent_tables(),
        {sensor.name: (sensor, None) for sensor, _ in frames},
        origin,
    )
    fitted = {}
    for sensor, images in frames:
        fitted[sensor.name] = sensor, fit(model, sensor, images)
        tell(f"{sensor.name}: {fitted[sensor.name][1]}")
    return Model(
        model.layout,
        model.network,
        model.hyper_synthesis,
        model.hyper_tables,
        model.latent_tables,
        fitted,
        origin,
    )


def fit(model: Model, sensor: Sensor, images: Sequence[NDArray[np.uint16]]) -> Regression:
    """Fit how the error of frames follows from lambda, equations 2 and 3 of the paper."""
    codec = model.codec(sensor.name)
    masks = codec.transforms.mask(share_of(np.arange(CODES, dtype=np.uint8))).mean(axis=0)
    chosen = images[:: -(-len(images) // _FRAMES)]
    least, errors = [], []
    for image in chosen:
        frame = image[None, :_SIDE, :_SIDE]
        least.append(codec.least_errors(frame).ravel() / sensor.scale**2)
        decoded = (codec.decoded_at(frame, Lambdas.same(1, code)) for code in FITTED_CODES)
        found = [block_errors(frame, each, 0).ravel() for each in decoded]
        errors.append(np.stack(found, axis=-1) / sensor.scale**2)
    codes = np.array(FITTED_CODES, np.uint8)
    return Regression.fit(masks, np.concatenate(least), np.concatenate(errors), codes)


def _is_hyper(name: str, end: str = "") -> bool:
    return name.startswith("hyper_synthesis.") and name.endswith(end)
