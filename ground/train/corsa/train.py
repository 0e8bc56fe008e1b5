"""Train a VQVAE-FPN from a recipe. One seed gives one result on a CPU, also across a restart."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ground.metrics import PEAK_16_BIT, psnr_of_level
from ground.scenes.folders import train_items
from ground.train.checkpoint import CHECKPOINT, DAMAGED, LOG, write
from ground.train.corsa.components import start_linear_path
from ground.train.corsa.losses import log_mse, structure_loss
from ground.train.corsa.model import SAMPLE_SCALE, VqvaeFpn
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import TileSet
from onboard.errors import InputError, UsageError

START_TILES = 600


@dataclass(frozen=True)
class Progress:
    """One line of the log: what happened up to `step`."""

    step: int
    loss_db: float
    validation_psnr16: float
    perplexity: tuple[float, ...]
    used: tuple[float, ...]


def train(
    recipe: Recipe,
    data: Path,
    output: Path,
    report: Callable[[int, Progress | None], None] = lambda _step, _line: None,
    tell: Callable[[str], None] = lambda _text: None,
) -> VqvaeFpn:
    """Train, or go on from the checkpoint in `output`.

    Args:
        recipe: recipe of the run.
        data: folder of scenes, as `ground.scenes.folders.find_scenes` takes it.
        output: folder for `checkpoint.pt` and `log.jsonl`.
        report: function that is called after every step with its number, and with a line of the
            log when there is one.
        tell: function that is called with what is trained on, before it begins.
    """
    training, validation = (
        TileSet.read(items, recipe, lambda text, name=name: tell(f"{name}: {text}"))  # type: ignore[misc]
        for name, items in zip(("training", "validation"), train_items(data), strict=True)
    )
    return fit(recipe, training, validation, output, report)


def fit(
    recipe: Recipe,
    training: TileSet,
    validation: TileSet,
    output: Path,
    report: Callable[[int, Progress | None], None] = lambda _step, _line: None,
    start_tiles: int = START_TILES,
) -> VqvaeFpn:
    """Train on tiles, as `train`; codebooks start from `start_tiles` of them at most."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    model = VqvaeFpn(recipe.architecture)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(_groups(model, recipe), lr=0.0)
    first = _resume(output, recipe, model, optimiser)
    if first == 0:
        _start(model, training, recipe, start_tiles)
    losses: list[float] = []
    for step in range(first, recipe.steps):
        losses.append(_step(model, optimiser, training, recipe, step))
        line = None
        if (step + 1) % recipe.validate_every == 0 or step + 1 == recipe.steps:
            line = _progress(model, validation, recipe, step + 1, losses)
            losses.clear()
            _save(output, recipe, model, optimiser, line)
        report(step + 1, line)
    return model


def load(checkpoint: Path) -> tuple[Recipe, VqvaeFpn]:
    """Return the recipe and the model, in evaluation mode, of a checkpoint.

    Raises:
        InputError: the file is missing or not a checkpoint of ours.
    """
    try:
        state = torch.load(checkpoint, weights_only=True)
        entries = state["recipe"] | {
            k: tuple(state["recipe"][k]) for k in ("depths", "dims", "codewords")
        }
        recipe = Recipe(**entries)
        model = VqvaeFpn(recipe.architecture)
        model.load_state_dict(state["model"])
    except DAMAGED as error:
        raise InputError(
            f"{checkpoint}: expected a checkpoint of `ground train`: {error}"
        ) from error
    model.eval()
    return recipe, model


def _groups(model: VqvaeFpn, recipe: Recipe) -> list[dict[str, Any]]:
    """Group parameters by learning rate: a fast linear path ruins the transform it starts as."""
    layers = [*model.encoder.skips, *model.decoder.linear, *model.predictions]
    linear = {id(layer.weight): layer.weight for layer in layers}
    encoder = [p for p in model.encoder.parameters() if id(p) not in linear]
    decoder = [p for p in model.decoder.parameters() if id(p) not in linear]
    return [
        {"params": list(linear.values()), "top": recipe.linear_rate, "from": recipe.decoder_steps},
        {"params": encoder, "top": recipe.encoder_rate, "from": recipe.decoder_steps},
        {"params": decoder, "top": recipe.decoder_rate, "from": 0},
    ]


def _rate(step: int, start: int, steps: int) -> float:
    """Share of the top learning rate: 0 until `start`, a ramp, flat, a cosine in the last half."""
    ramp = min(1.0, max(0.0, (step - start + 1) / 50))
    late = max(0.0, 2 * step / steps - 1)
    return ramp * float(0.5 + 0.5 * np.cos(np.pi * late))


def _turn(maps: Tensor, turn: int) -> Tensor:
    """Return maps in one of the eight orientations of the square."""
    maps = maps.transpose(-1, -2) if turn & 1 else maps
    return maps.flip([axis for axis, bit in ((-1, 2), (-2, 4)) if turn & bit])


def _step(
    model: VqvaeFpn, optimiser: torch.optim.Adam, tiles: TileSet, recipe: Recipe, step: int
) -> float:
    """Take a step; its randomness depends on the seed and the step alone. Return the loss in dB."""
    rng = np.random.default_rng([recipe.seed, step])
    torch.manual_seed(int(rng.integers(1 << 31)))
    samples, targets, steps = tiles.batch(rng.integers(len(tiles.steps), size=recipe.batch))
    turn = int(rng.integers(8))
    for group in optimiser.param_groups:
        group["lr"] = group["top"] * _rate(step, group["from"], recipe.steps)
    encoder_learns = step >= recipe.decoder_steps
    model.encoder.requires_grad_(encoder_learns)
    model.predictions.requires_grad_(encoder_learns)
    model.quantizers.train(encoder_learns)
    decoded, made = model(_turn(samples, turn).contiguous(memory_format=torch.channels_last))
    error = log_mse(decoded, _turn(targets, turn), steps, recipe.coarse_bands)
    loss = error + recipe.commitment * torch.stack([q.commitment for q in made]).sum()
    if recipe.structure:
        loss = loss + recipe.structure * structure_loss(decoded, _turn(targets, turn), steps)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimiser.step()
    return float(error.detach())


@torch.no_grad()
def _start(model: VqvaeFpn, tiles: TileSet, recipe: Recipe, most: int) -> None:
    """Take over what fits of another model, then set the codebooks by k-means.

    Where bands have two resolutions, the linear path is made of the tiles at hand.

    From a model of the same architecture the codebooks are taken over, too.
    """
    if recipe.start_from:
        mine = model.state_dict()
        other = load(Path(recipe.start_from))[1]
        given = other.state_dict()
        if other.shape == model.shape:
            model.load_state_dict(given)
            return
        fitting = {
            key: weight
            for key, weight in given.items()
            if key in mine and mine[key].shape == weight.shape and "quantizers" not in key
        }
        model.load_state_dict(fitting, strict=False)
    index = torch.randperm(len(tiles.steps))[:most].numpy()
    model.eval()
    samples = tiles.batch(index)[0] * SAMPLE_SCALE
    if recipe.coarse_bands:
        start_linear_path(model, samples, recipe.coarse_bands)
        return
    latents = model.encoder(samples)
    model.quantise(latents, start=range(model.shape.levels))


@torch.no_grad()
def _progress(
    model: VqvaeFpn, tiles: TileSet, recipe: Recipe, step: int, losses: Sequence[float]
) -> Progress:
    """Measure the mean PSNR16 over the validation tiles."""
    model.eval()
    errors = []
    for first in range(0, len(tiles.steps), recipe.batch):
        index = np.arange(first, min(first + recipe.batch, len(tiles.steps)))
        samples, targets, steps = tiles.batch(index)
        decoded, _ = model(samples.contiguous(memory_format=torch.channels_last))
        errors.append(float(log_mse(decoded, targets, steps, recipe.coarse_bands)) * len(index))
    model.train()
    psnr16 = psnr_of_level(sum(errors) / len(tiles.steps), PEAK_16_BIT)
    levels = range(model.shape.levels)
    perplexity = tuple(round(model.quantizer(level).perplexity(), 1) for level in levels)
    used = tuple(round(model.quantizer(level).used(), 4) for level in levels)
    return Progress(step, round(float(np.mean(losses)), 4), round(psnr16, 4), perplexity, used)


def _save(
    output: Path, recipe: Recipe, model: VqvaeFpn, optimiser: torch.optim.Adam, line: Progress
) -> None:
    """Write the checkpoint, then log the line."""
    state = {
        "recipe": asdict(recipe),
        "step": line.step,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    write(output / CHECKPOINT, state)
    with (output / LOG).open("a") as log:
        log.write(json.dumps(asdict(line)) + "\n")


def _resume(output: Path, recipe: Recipe, model: VqvaeFpn, optimiser: torch.optim.Adam) -> int:
    """Load the checkpoint in `output`, if any; return the step to go on from.

    Raises:
        UsageError: the checkpoint was made by another recipe.
    """
    path = output / CHECKPOINT
    if not path.exists():
        return 0
    made_by, loaded = load(path)
    if made_by != recipe:
        raise UsageError(f"{path}: made by another recipe; choose another output folder")
    model.load_state_dict(loaded.state_dict())
    state = torch.load(path, weights_only=True)
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
