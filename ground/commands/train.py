"""Command `train`: a model from a recipe."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from onboard.commands.commandline import Commands
from onboard.errors import UsageError


def add_train_command(commands: Commands) -> None:
    """Add `train`."""
    train = commands.add_parser(
        "train",
        help="train a model from a recipe; goes on where it was stopped",
        epilog="example: python -m ground train corsa-2level --data FOLDER -o runs/mine",
    )
    train.add_argument("recipe", help="name of a shipped recipe, or path of a .toml")
    train.add_argument("--data", type=Path, required=True, help="folder of scenes, see datasets")
    train.add_argument("-o", "--output", type=Path, help="folder (default runs/NAME-CODEWORDS)")
    train.add_argument("--start-from", help="checkpoint to take weights from, for the recipe's")
    train.add_argument("--codewords", type=int, help="codewords a level, instead of the recipe's")
    train.add_argument("--steps", type=int, help="steps, instead of the recipe's")
    train.add_argument("--seed", type=int, help="seed, instead of the recipe's")
    train.set_defaults(run=_train)


def _train(arguments: argparse.Namespace) -> int:
    try:
        from ground.train.corsa.recipe import Recipe  # noqa: PLC0415
        from ground.train.corsa.train import Progress as Line  # noqa: PLC0415 (torch is loaded only here)
        from ground.train.corsa.train import train  # noqa: PLC0415
        from ground.train.recipe import find_recipe, kind_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs torch: pip install 'skybook[train]' ({error})") from error
    changes = {
        key: getattr(arguments, key)
        for key in ("codewords", "steps", "seed", "start_from")
        if getattr(arguments, key) is not None
    }
    path = find_recipe(arguments.recipe)
    if kind_of(path) == "lapped":
        return _train_lapped(arguments, path, changes)
    recipe = Recipe.read(path, **changes)
    output = arguments.output or Path("runs") / f"{recipe.name}-{recipe.codewords}"
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(recipe.name, total=recipe.steps)

        def report(step: int, line: Line | None) -> None:
            progress.update(task, completed=step)
            if line is not None:
                console.print(
                    f"step {line.step}: training error {line.loss_db:.2f} dB, validation PSNR16 "
                    f"{line.validation_psnr16:.2f} dB, perplexity {line.perplexity}, "
                    f"codewords used {line.used}"
                )

        train(recipe, arguments.data, output, report)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0


def _train_lapped(arguments: argparse.Namespace, path: Path, changes: dict[str, Any]) -> int:
    # torch is loaded only here
    from ground.scenes.folders import train_items  # noqa: PLC0415
    from ground.train.lapped.recipe import LappedRecipe  # noqa: PLC0415
    from ground.train.lapped.train import train  # noqa: PLC0415

    recipe = LappedRecipe.read(path, **changes)
    output = arguments.output or Path("runs") / recipe.name
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=steps)
            progress.update(tasks[stage], completed=step)
            if step % 500 == 0 or step == steps:
                console.print(f"{stage}: step {step} of {steps}, loss {loss:.4f}")

        train(recipe, train_items(arguments.data)[0], output, report)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0
