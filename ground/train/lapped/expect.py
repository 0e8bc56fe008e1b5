"""What a training will take, found by taking a few steps of each of its stages."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ground.scenes.folders import Item
from ground.train.lapped.recipe import LappedRecipe
from ground.train.lapped.train import train

STAGES = ("transform", "contexts", "refinement", "polish", "seams")
_STEPS = 6
"""Steps of each stage that are tried; the first, which warms up, does not count."""


def expect(
    recipe: LappedRecipe, training: Sequence[Item], tell: Callable[[str], None]
) -> dict[str, float]:
    """Return the seconds that each stage will take, what comes before its first step included.

    A few steps of each are tried, of which nothing is kept.

    Args:
        recipe: recipe of the training.
        training: scenes to train on.
        tell: called with what is trained on.

    Raises:
        as `train`.
    """
    counts = [
        recipe.transform_steps,
        recipe.context_steps,
        recipe.refinement_steps,
        recipe.polish_steps,
        recipe.seam_steps,
    ]
    transform, contexts, refinement, polish, seams = (min(count, _STEPS) for count in counts)
    trial = replace(
        recipe,
        transform_steps=transform,
        context_steps=contexts,
        refinement_steps=refinement,
        polish_steps=polish,
        seam_steps=seams,
    )
    ends: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def note(stage: str, _step: int, _of: int, _loss: float) -> None:
        ends[stage].append(time.perf_counter())

    before = time.perf_counter()
    with TemporaryDirectory() as folder:
        train(trial, training, Path(folder), note, tell)
    found = {}
    for stage, steps in zip(STAGES, counts, strict=True):
        if not ends[stage]:
            continue
        first, last = ends[stage][0], ends[stage][-1]
        each = (last - first) / max(len(ends[stage]) - 1, 1)
        found[stage] = first - before + each * (steps - 1)
        before = last
    return found
