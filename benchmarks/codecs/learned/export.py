"""Export: a trained network as a model, what reads its streams in whole numbers."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.learned.layout import CONDITIONAL, Layout
from benchmarks.codecs.learned.mixture import MixtureTables
from benchmarks.codecs.learned.model import WHOLE, LearnedModel
from benchmarks.codecs.learned.network import LearnedNetwork
from benchmarks.codecs.learned.prior import checkerboard
from benchmarks.codecs.learned.whole import (
    WholeConditional,
    WholeFactorised,
    WholeGroup,
    WholePrior,
)
from benchmarks.codecs.modulated.convolution import FLOW_BITS, Layer
from benchmarks.codecs.modulated.lambdas import CODES, share_of
from benchmarks.codecs.modulated.layout import SCALES, SIGMA_STEP, Sensor
from benchmarks.codecs.modulated.scales import HyperSynthesis
from benchmarks.codecs.modulated.tables import hyper_tables
from benchmarks.codecs.modulated.transforms import Transforms

Weights = dict[str, NDArray[np.float32]]


def export(network: LearnedNetwork, name: str, sensor: Sensor, origin: str) -> LearnedModel:
    """Return the model of a trained network.

    Args:
        network: the network.
        name: of its recipe.
        sensor: it was trained on.
        origin: what it was trained with, in words.
    """
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    floating = {k: v.astype(np.float16) for k, v in weights.items() if not k.startswith(WHOLE)}
    if network.layout.prior == CONDITIONAL:
        prior: WholePrior = _conditional(network.layout, weights)
    else:
        masks = Transforms(network, 1).mask(share_of(np.arange(CODES, dtype=np.uint8)))
        prior = _factorised(masks.T, weights)
    return LearnedModel(name, network.layout, floating, prior, sensor, origin)


def _factorised(masks: NDArray[np.float32], weights: Weights) -> WholeFactorised:
    """Return the prior of masks (codes of lambda, latents)."""
    logits = np.rint(weights["prior.logits"] * (1 << FLOW_BITS)).astype(np.int64)
    scales = weights["prior.scales"] + np.log(masks[:, None]) / SIGMA_STEP
    found = np.rint(scales).clip(0, SCALES - 1).astype(np.uint8)
    return WholeFactorised(MixtureTables.made(), logits, found)


def _conditional(layout: Layout, weights: Weights) -> WholeConditional:
    synthesis = [name for name in weights if name.startswith("prior.hyper_synthesis.")]
    layers = [_layer(weights, name[: -len(".weight")]) for name in synthesis if "weight" in name]
    spreads = np.exp(weights["prior.hyper_spread"].astype(np.float64))
    groups = [
        _group(of, {k.removeprefix(begin): v for k, v in weights.items() if k.startswith(begin)})
        for number, of in enumerate(layout.slices)
        for begin in (f"prior.groups.{number}.",)
    ]
    return WholeConditional(
        MixtureTables.made(), hyper_tables(spreads), HyperSynthesis(layers), groups
    )


def _group(of: slice, weights: Weights) -> WholeGroup:
    told, inner, last = (_layer(weights, name) for name in ("told", "inner", "last"))
    around = Layer.of(weights["around.weight"] * checkerboard(3).numpy())
    before = Layer.of(weights["before.weight"]) if of.start else None
    return WholeGroup(of, told, around, inner, last, before)


def _layer(weights: Weights, name: str) -> Layer:
    return Layer.of(weights[f"{name}.weight"], weights[f"{name}.bias"])
