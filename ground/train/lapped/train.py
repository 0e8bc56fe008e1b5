"""Train the lapped codec in stages: transform, context model and tables, refinement, polish, seams.

One seed gives one result on a CPU. Each finished stage is kept, and a run goes on from there.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ground.decode.lapped.synthesis import CELL, tile_borders
from ground.scenes.folders import Item, read_tiles
from ground.train.checkpoint import CHECKPOINT, LOG
from ground.train.lapped import fit as lappedfit
from ground.train.lapped.checkpoint import Trained, load, save
from ground.train.lapped.contexts import dead_zone
from ground.train.lapped.draws import both_kinds, draw_codes, rebuilt, split
from ground.train.lapped.model import ContextModel, LappedTransform, Refinement, laplace_bits
from ground.train.lapped.recipe import WINDOW, LappedRecipe
from ground.train.lapped.steps import steps_of
from ground.train.lapped.turned import turned
from onboard.codec.lapped.context import BLOCK, FREQUENCIES
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.kinds import PLAIN
from onboard.errors import UsageError

_STRIDE = 96
_LOG_EVERY = 250

Report = Callable[[str, int, int, float], None]


def train(
    recipe: LappedRecipe,
    training: Sequence[Item],
    output: Path,
    report: Report = lambda _stage, _step, _of, _loss: None,
    tell: Callable[[str], None] = lambda _text: None,
) -> Trained:
    """Train, or go on after the last finished stage in `output`.

    Args:
        recipe: recipe of the run.
        training: scenes to train on.
        output: folder for `checkpoint.pt` and `log.jsonl`.
        report: function that is called after every step with stage, step, steps and loss.
        tell: function that is called with what is trained on, before it begins.
    """
    windows = read_tiles(training, WINDOW, _STRIDE, recipe.bands, tell)
    output.mkdir(parents=True, exist_ok=True)
    path = output / CHECKPOINT
    made_by, made = load(path) if path.exists() else (recipe, Trained(LappedTransform()))
    if made_by != recipe:
        raise UsageError(f"{path}: made by another recipe; choose another output folder")
    run = _Run(recipe, windows, output, report)
    if not path.exists():
        run.transform(made.transform)
        save(path, recipe, made)
    if made.coder is None:
        made.coder = run.coder(made.transform)
        save(path, recipe, made)
    if made.refinement is None:
        made.refinement = run.refinement(made.coder)
        save(path, recipe, made)
    if not made.polished:
        run.polish(made.refinement, made.coder)
        made.polished = True
        save(path, recipe, made)
    if not made.seamless:
        run.seams(made.refinement, made.coder)
        made.seamless = True
        save(path, recipe, made)
    return made


@dataclass
class _Run:
    """One training run."""

    recipe: LappedRecipe
    windows: NDArray[np.uint16]
    output: Path
    report: Report

    def transform(self, transform: LappedTransform) -> None:
        """Train analysis and synthesis for rate and distortion, with a context model of its own."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        contexts = ContextModel(recipe.bands, recipe.layers)
        optimiser = torch.optim.Adam(
            [
                {"params": list(transform.parameters()), "top": recipe.transform_rate},
                {"params": list(contexts.parameters()), "top": recipe.context_rate / 2},
            ],
            lr=0.0,
            betas=(0.9, 0.99),
        )

        def loss(rng: np.random.Generator) -> Tensor:
            planes = self._planes(rng)
            latents = self._latents(transform, planes)
            symbols = latents + (dead_zone(latents) - latents).detach()
            scale, mean = contexts(symbols)
            bits = laplace_bits(symbols - mean, scale).mean()
            back = transform.synthesise(symbols.reshape(-1, FREQUENCIES, *symbols.shape[2:]))
            return bits + torch.square(back - planes).mean() / recipe.rate_weight

        self._descend("transform", recipe.transform_steps, optimiser, transform, loss)

    def coder(self, transform: LappedTransform) -> LappedModel:
        """Train the context model on the symbols of the final transform, then fit the tables."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        contexts = ContextModel(recipe.bands, recipe.layers)
        optimiser = torch.optim.Adam(
            [{"params": list(contexts.parameters()), "top": recipe.context_rate}], lr=0.0
        )

        def loss(rng: np.random.Generator) -> Tensor:
            with torch.no_grad():
                planes = self._planes(rng)
                latents = self._latents(transform, planes)
                symbols = dead_zone(latents)
                symbols[:, ::FREQUENCIES] = latents[:, ::FREQUENCIES].round()
            scale, mean = contexts(symbols)
            return laplace_bits(symbols - mean, scale).mean()

        self._descend("contexts", recipe.context_steps, optimiser, contexts, loss)
        return self._fitted(transform, contexts)

    def _fitted(self, transform: LappedTransform, contexts: ContextModel) -> LappedModel:
        recipe = self.recipe
        integer_contexts = lappedfit.integer_contexts(contexts)
        tables = lappedfit.start_tables(lappedfit.groups_of(integer_contexts.layers))
        coder = LappedModel(
            AdaptiveFrontEnd(recipe.bands),
            lappedfit.integer_transform(transform),
            integer_contexts,
            lappedfit.fit_quantizer(tables, recipe.skip),
            tables,
        )
        tiles = split(self.windows, recipe.tile)
        chosen = np.random.default_rng(recipe.seed).permutation(len(tiles))[: recipe.fit_tiles]
        present = np.ones((64, recipe.tile, recipe.tile), np.bool_)
        batches = [
            PreparedTiles.of(coder, tiles[part], present[: len(part)])
            for part in np.array_split(chosen, max(1, len(chosen) // 64))
        ]
        return lappedfit.fit(coder, batches, recipe.seed)

    def refinement(self, coder: LappedModel) -> Refinement:
        """Train the refinement network on what streams of plain tiles decode to."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        network = Refinement(recipe.bands, recipe.depth, recipe.blocks)
        draws = [(draw, PLAIN) for draw in range(recipe.draws)]
        rate, steps = recipe.refinement_rate, recipe.refinement_steps
        self._refine(network, coder, "refinement", draws, rate, steps, recipe.border_weight)
        return network

    def polish(self, network: Refinement, coder: LappedModel) -> None:
        """Train it further, every other draw of tiles being dependent."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        rate, steps, weight = recipe.polish_rate, recipe.polish_steps, recipe.border_weight
        draws = both_kinds(recipe.draws, recipe.draws)
        self._refine(network, coder, "polish", draws, rate, steps, weight)

    def seams(self, network: Refinement, coder: LappedModel) -> None:
        """Polish it further, on twice as many draws; where tiles meet counts most."""
        recipe = self.recipe
        torch.manual_seed(recipe.seed)
        rate, steps, weight = recipe.seam_rate, recipe.seam_steps, recipe.seam_weight
        draws = both_kinds(2 * recipe.draws, 2 * recipe.draws)
        self._refine(network, coder, "seams", draws, rate, steps, weight)

    def _refine(
        self,
        network: Refinement,
        coder: LappedModel,
        stage: str,
        draws: Sequence[tuple[int, str]],
        rate: float,
        steps: int,
        weight: float,
    ) -> None:
        """Train a refinement network.

        Args:
            network: network to train.
            coder: codec that makes what it is trained on.
            stage: name of the stage.
            draws: seed of each, and whether its tiles are dependent.
            rate: largest learning rate.
            steps: steps to take.
            weight: weight of the error within 4 pixels of a tile's border.
        """
        recipe = self.recipe
        network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam([{"params": list(network.parameters()), "top": rate}], lr=0.0)
        made = [rebuilt(coder, self.windows, recipe, *draw) for draw in draws]
        images, sizes, known = (
            torch.from_numpy(np.concatenate(part)) for part in zip(*made, strict=False)
        )
        border, heavy = self._borders(weight)

        def loss(rng: np.random.Generator) -> Tensor:
            chosen = rng.integers(len(images), size=recipe.batch // 3)
            originals = self.windows[chosen % len(self.windows)].astype(np.float32)
            turn = int(rng.integers(8))
            image, target, share = (
                turned(part, turn)
                for part in (images[chosen], torch.from_numpy(originals), known[chosen])
            )
            step = sizes[chosen][:, None, None, None]
            places = border.expand(len(chosen), -1, -1, -1)
            refined = network(image, step.expand_as(share), share, places)
            # What lost its layers cannot be rebuilt; it counts little.
            counts = (
                torch.where(share < 1, 0.05, 1.0)
                .repeat_interleave(CELL, 2)
                .repeat_interleave(CELL, 3)
            ) * heavy
            before, after = (
                (torch.square(part - target) * counts).mean((1, 2, 3)) for part in (image, refined)
            )
            # The share of the error that stays: so every rate and scene counts alike.
            return (after / before.clamp_min(1e-3)).clamp(max=2.0).mean()

        self._descend(stage, steps, optimiser, network, loss)

    def _borders(self, weight: float) -> tuple[Tensor, Tensor]:
        """Return where tiles meet in a window, and what each pixel counts, 1 on average."""
        cells = self.recipe.tile // CELL, WINDOW // CELL
        border = torch.from_numpy(tile_borders(cells[0], 0, (cells[1], cells[1])))
        near = (border != 0).any(0).float()
        near = near.repeat_interleave(CELL, 0).repeat_interleave(CELL, 1)
        counts = 1 + (weight - 1) * near
        return border[None], counts / counts.mean()

    def _planes(self, rng: np.random.Generator) -> Tensor:
        """Draw tiles, turn them, rotate their bands; return planes in steps drawn at random."""
        recipe = self.recipe
        chosen = self.windows[rng.integers(len(self.windows), size=recipe.batch)]
        row, col = rng.integers(WINDOW - recipe.tile + 1, size=2)
        part = chosen[:, :, row : row + recipe.tile, col : col + recipe.tile]
        tiles = np.rint(part * rng.uniform(0.7, 1.3, (recipe.batch, 1, 1, 1))).astype(np.uint16)
        present = np.ones((recipe.batch, recipe.tile, recipe.tile), np.bool_)
        analysed = AdaptiveFrontEnd(recipe.bands).analyse(tiles, present)
        codes = draw_codes(tiles, rng)
        scale = 2.0**analysed.shifts / steps_of(codes)
        planes = torch.from_numpy(analysed.planes)[:, None]
        steps = torch.from_numpy(np.repeat(scale, recipe.bands).astype(np.float32))
        return turned(planes * steps[:, None, None, None], int(rng.integers(8))).contiguous()

    def _latents(self, transform: LappedTransform, planes: Tensor) -> Tensor:
        """Return the latents (tiles, channels, rows, cols) of the planes of whole tiles."""
        tiles, side = len(planes) // self.recipe.bands, self.recipe.tile // BLOCK
        return transform.analyse(planes).reshape(tiles, -1, side, side)

    def _descend(
        self,
        stage: str,
        steps: int,
        optimiser: torch.optim.Optimizer,
        model: nn.Module,
        loss: Callable[[np.random.Generator], Tensor],
    ) -> None:
        """Take all steps of a stage; the randomness of each depends on the seed and its number."""
        losses: list[float] = []
        for step in range(steps):
            rng = np.random.default_rng([self.recipe.seed, step])
            late = step / steps
            share = min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * late))
            for group in optimiser.param_groups:
                group["lr"] = group["top"] * share
            value = loss(rng)
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            losses.append(float(value.detach()))
            self.report(stage, step + 1, steps, losses[-1])
            if (step + 1) % _LOG_EVERY == 0 or step + 1 == steps:
                line = {"stage": stage, "step": step + 1, "loss": round(float(np.mean(losses)), 5)}
                with (self.output / LOG).open("a") as log:
                    log.write(json.dumps(line) + "\n")
                losses.clear()
