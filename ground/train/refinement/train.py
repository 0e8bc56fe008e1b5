"""Train the decoder network of a bundle further, on streams that are made while it learns.

A pool of streams is kept, and each step the oldest gives way to a new one, so that no rounding is
seen for long. One seed gives one result on a CPU, also of a run that was interrupted.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ground.scene import Scene
from ground.scenes.folders import Item
from ground.train.checkpoint import CHECKPOINT, LOG
from ground.train.lapped.model import Refinement
from ground.train.lapped.turned import turned, turned_borders
from ground.train.refinement.cameras import coarser, of_other_bands
from ground.train.refinement.checkpoint import (
    Training,
    load_training,
    network_of,
    save_training,
)
from ground.train.refinement.recipe import RefinementRecipe
from ground.train.refinement.streams import (
    LOST,
    Coding,
    Shown,
    Streams,
    read_scenes,
    window_of,
)
from onboard.errors import UsageError

_WARM_UP = 100
"""Steps until the learning rate is there."""
_RATIOS = (8.0, 20.0, 40.0)
"""Of the streams that it is validated on."""
_KINDS = {"plain": (False, False), "trellis": (True, False), "other_bands": (True, True)}
"""Kinds of these: whether along a trellis, and of scenes as `of_other_bands` gives them."""

Report = Callable[[int, int, float], None]


def train(
    recipe: RefinementRecipe,
    training: Sequence[Item],
    validation: Sequence[Item],
    output: Path,
    report: Report = lambda _step, _of, _loss: None,
    tell: Callable[[str], None] = lambda _text: None,
) -> Refinement:
    """Train, or go on from the checkpoint in `output`.

    Args:
        recipe: recipe of the run.
        training: scenes to train on.
        validation: scenes to validate on.
        output: folder for `checkpoint.pt` and `log.jsonl`.
        report: called after every step with step, steps and loss.
        tell: called with what is trained on, and with what validation gave.

    Raises:
        InputError: there are no scenes for the network of the bundle.
        UsageError: the checkpoint was made by another recipe.
        BundleError: there is no such bundle, or no decoder network of it.
    """
    output.mkdir(parents=True, exist_ok=True)
    begun = _begun(recipe, output / CHECKPOINT)
    if begun.step < recipe.steps or not (output / CHECKPOINT).exists():
        draws = _Draws(recipe, read_scenes(training, recipe.bundle, recipe.crop, tell))
        examples = _examples(read_scenes(validation, recipe.bundle, recipe.crop, tell), recipe)
        _Run(recipe, draws, examples, output, report, tell).descend(begun)
    return begun.network.eval()


def _begun(recipe: RefinementRecipe, path: Path) -> Training:
    """Return what was trained before, or the network of the bundle."""
    if not path.exists():
        return Training(network_of(recipe.bundle), {}, 0)
    made_by, begun = load_training(path)
    if made_by != recipe:
        raise UsageError(f"{path}: made by another recipe; choose another output folder")
    return begun


@dataclass
class _Run:
    """One training run."""

    recipe: RefinementRecipe
    draws: "_Draws"
    examples: dict[str, list[Shown]]
    output: Path
    report: Report
    tell: Callable[[str], None]

    def descend(self, begun: Training) -> None:
        """Take the steps that are left; the randomness of each depends on the seed and it."""
        recipe, network = self.recipe, begun.network.train()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate)
        if begun.optimiser:
            optimiser.load_state_dict(begun.optimiser)
        else:
            self._keep(begun, [])
        first, size = begun.step, recipe.pool
        pool = {number % size: self.draws.draw(number) for number in range(first, first + size)}
        losses: list[float] = []
        for step in range(first, recipe.steps):
            pool[step % size] = self.draws.draw(step + size)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * _share_of_rate(step, recipe.steps)
            value = _loss(network, pool, recipe, np.random.default_rng([recipe.seed, 1, step]))
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            losses.append(float(value.detach()))
            self.report(step + 1, recipe.steps, losses[-1])
            if (step + 1) % recipe.validate_every == 0 or step + 1 == recipe.steps:
                begun.optimiser, begun.step = optimiser.state_dict(), step + 1
                self._keep(begun, losses)
                losses.clear()

    def _keep(self, training: Training, losses: Sequence[float]) -> None:
        """Validate, log, and write the checkpoint."""
        stays = _validated(training.network, self.examples)
        loss = round(float(np.mean(losses)), 5) if losses else None
        save_training(self.output / CHECKPOINT, self.recipe, training)
        with (self.output / LOG).open("a") as log:
            log.write(json.dumps({"step": training.step, "loss": loss, **stays}) + "\n")
        shares = ", ".join(f"{kind} {share:.5f}" for kind, share in stays.items())
        self.tell(f"step {training.step}: error that stays in validation scenes: {shares}")


def _share_of_rate(step: int, steps: int) -> float:
    """Return the learning rate of a step over the largest: a cosine after a short rise."""
    rising = min(1.0, (step + 1) / _WARM_UP)
    return rising * (0.5 + 0.5 * math.cos(math.pi * step / steps))


class _Draws:
    """Draws of scenes and of how they are coded; each depends on the seed and its number."""

    def __init__(self, recipe: RefinementRecipe, scenes: Sequence[Scene]) -> None:
        self._recipe, self._scenes = recipe, scenes
        self._streams = Streams(recipe.bundle, recipe.border_weight)
        sizes = np.array([scene.image[0].size for scene in scenes], np.float64)
        self._shares = sizes / sizes.sum()

    def draw(self, number: int) -> Shown:
        """Return what the network is shown of a stream."""
        recipe, rng = self._recipe, np.random.default_rng([self._recipe.seed, 0, number])
        scene = window_of(self._scenes[rng.choice(len(self._scenes), p=self._shares)], rng)
        may_be_coarser = min(scene.image.shape[1:]) >= 2 * recipe.crop
        if rng.random() < recipe.coarser_share and may_be_coarser:
            scene = coarser(scene, rng)
        if rng.random() < recipe.other_bands_share:
            scene = of_other_bands(scene, rng)
        lost = rng.random() < recipe.loss_share
        coding = Coding(
            ratio=float(np.exp(rng.uniform(*np.log((recipe.least_ratio, recipe.most_ratio))))),
            trellis=bool(rng.random() < recipe.trellis_share),
            fitted=bool(rng.random() < 0.5),
            lost=LOST if lost else 0.0,
        )
        return self._streams.shown(scene, coding, rng)


def _loss(
    network: Refinement, pool: dict[int, Shown], recipe: RefinementRecipe, rng: np.random.Generator
) -> Tensor:
    """Return the share of the error that stays in crops of streams drawn.

    That is of the error of the whole stream, so that crops count by what they add to it, and every
    rate and scene counts alike.
    """
    chosen = [pool[int(place)] for place in rng.integers(len(pool), size=recipe.batch)]
    crops = zip(*(shown.crop(recipe.crop, rng) for shown in chosen), strict=True)
    turn = int(rng.integers(8))
    image, step, known, border, original, counts = (
        (turned_borders if place == 3 else turned)(torch.from_numpy(np.stack(part)), turn)
        for place, part in enumerate(crops)
    )
    errors = torch.tensor([max(shown.error, 1e-3) for shown in chosen])
    with torch.autocast("cpu", torch.bfloat16, enabled=recipe.half):
        refined = network(image, step, known, border)
    after = torch.square(refined - original) * counts
    return (after.mean((1, 2, 3)) / errors).mean()


def _examples(scenes: Sequence[Scene], recipe: RefinementRecipe) -> dict[str, list[Shown]]:
    """Return streams to validate on, by how they are coded."""
    streams, rng = Streams(recipe.bundle), np.random.default_rng(recipe.seed)
    windows = [window_of(scene, rng) for scene in scenes]
    others = [of_other_bands(window, rng) for window in windows]
    return {
        kind: [
            streams.shown(window, Coding(ratio, trellis), rng)
            for window, ratio in product(others if other else windows, _RATIOS)
        ]
        for kind, (trellis, other) in _KINDS.items()
    }


@torch.no_grad()
def _validated(network: Refinement, examples: dict[str, list[Shown]]) -> dict[str, float]:
    """Return the share of the error that stays, the geometric mean over streams of each kind."""
    found = {}
    for kind, streams in examples.items():
        logs = []
        for shown in streams:
            refined = network(*(torch.from_numpy(part[None]) for part in shown.maps))[0].numpy()
            error = (np.square(refined - shown.original) * shown.counts).mean()
            logs.append(math.log(error / max(shown.error, 1e-3)))
        found[kind] = round(math.exp(float(np.mean(logs))), 5)
    return found
