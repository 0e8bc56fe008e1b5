"""Recipes: the learned codecs that can be trained."""

from dataclasses import dataclass

from benchmarks.codecs.learned.layout import CONDITIONAL, FACTORISED, Layout
from benchmarks.codecs.modulated.frames import SENTINEL, TWELVE
from benchmarks.codecs.modulated.layout import Sensor


@dataclass(frozen=True)
class Recipe:
    """A network and what it is for.

    Attributes:
        layout: of the network.
        sensor: whose images it codes.
    """

    layout: Layout
    sensor: Sensor


RECIPES = {
    "mixture": Recipe(
        Layout(
            bands=4,
            maps=(32, 64),
            latents=192,
            prior=CONDITIONAL,
            groups=(192,),
            components=3,
            hyper=48,
            hidden=128,
        ),
        SENTINEL,
    ),
    "factorised-12": Recipe(
        Layout(
            bands=12,
            maps=(64, 128),
            latents=256,
            prior=FACTORISED,
            groups=(256,),
            components=3,
            hyper=0,
            hidden=0,
        ),
        TWELVE,
    ),
    "elic-12": Recipe(
        Layout(
            bands=12,
            maps=(64, 128),
            latents=256,
            prior=CONDITIONAL,
            groups=(16, 16, 32, 64, 128),
            components=1,
            hyper=64,
            hidden=128,
            attention=True,
        ),
        TWELVE,
    ),
}
"""Mixtures after Cheng and others; a factorised prior and uneven groups after ELIC for 12 bands."""
