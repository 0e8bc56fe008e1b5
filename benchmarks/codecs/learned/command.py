"""Command `learned`: trains learned codecs that are measured beside ours."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.codecs.learned.model import MIXTURE, LearnedModel
from benchmarks.codecs.learned.recipes import RECIPES, Recipe
from benchmarks.codecs.modulated.command import add_training_options, steps_of
from benchmarks.codecs.modulated.frames import TRAIN, read_images
from ground.scenes.procedural import procedural
from onboard.commands.commandline import Commands, print_result
from onboard.outputs import open_whole

STEPS, QUICK_STEPS = 300_000, 200
_SIDE = 256
_RATE, _BATCH = 4e-4, 2
Images = Sequence[NDArray[np.uint16]]


def add_learned(commands: Commands) -> None:
    """Add `learned`."""
    learned = commands.add_parser(
        "learned",
        help="train a learned codec of all bands together, a baseline of rd",
        description="Makes weights that `rd` takes as --bundle.",
        epilog="example: python -m benchmarks learned --data FOLDER -o mixture.npz",
    )
    add_training_options(learned, STEPS, QUICK_STEPS)
    learned.add_argument("--recipe", choices=RECIPES, default=MIXTURE, help="default: mixture")
    learned.set_defaults(run=_learned)


def _learned(arguments: argparse.Namespace) -> int:
    steps = steps_of(arguments, STEPS, QUICK_STEPS)
    recipe = RECIPES[arguments.recipe]
    images = _images(arguments.data, recipe)
    tell = Console(stderr=True).print
    model = trained(arguments.recipe, recipe, images, steps, tell, arguments.checkpoint)
    with open_whole(arguments.output) as file:
        file.write(model.pack())
    found = {"output": str(arguments.output), "recipe": model.name, "origin": model.origin}
    print_result(found, f"{arguments.output}: {model.origin}", arguments.json)
    return 0


def trained(
    name: str,
    recipe: Recipe,
    images: Images,
    steps: int,
    tell: Callable[[str], None],
    checkpoint: Path | None = None,
) -> LearnedModel:
    """Train on images (bands, rows, cols)."""
    from benchmarks.codecs.learned.export import export  # noqa: PLC0415 (torch)
    from benchmarks.codecs.learned.initial import begun  # noqa: PLC0415 (torch)
    from benchmarks.codecs.modulated import training  # noqa: PLC0415 (torch)

    schedule = replace(training.Recipe.of(steps), rate=_RATE, batch=_BATCH)
    network = begun(recipe.layout, schedule.seed, recipe.sensor.scale, images)
    training.train(network, [(recipe.sensor, images)], schedule, tell, checkpoint)
    origin = f"{steps} steps of {schedule.batch} crops of {len(images)} {recipe.sensor.name}"
    return export(network, name, recipe.sensor, origin)


def _images(folder: Path | None, recipe: Recipe) -> Images:
    """Return what to train on: images of the recipe's bands; without a folder, a procedural one."""
    bands = recipe.layout.bands
    if folder is None:
        return [procedural(1, _SIDE, _SIDE, bands, nodata=False).image.astype(np.uint16)]
    return [image.samples for image in read_images(folder, TRAIN, wanted=recipe.sensor)]
