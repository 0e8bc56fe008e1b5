"""Command line of the ground: encode, decode, receive, merge, missing, scene, train."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from ground import geotiff
from ground.decodecommand import add_decode_command
from ground.linkcommands import add_link_commands
from ground.scenes import procedural, spyndex_scene
from onboard import bundle as bundles
from onboard.commands.commandline import Commands, command_parser, print_result, run_command
from onboard.commands.encode import encode_text, encode_to_file
from onboard.commands.options import add_encode_options, cuc_time
from onboard.encoder import Encoder
from onboard.errors import UsageError


def _encode(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    scene = geotiff.read(arguments.input)
    encoder = Encoder(bundle, arguments.engine, arguments.threads)
    header = replace(scene.header(), start_time=cuc_time(arguments.start_time))
    result = encode_to_file(encoder, scene.image, header, arguments)
    print_result(result, encode_text(result, arguments.output), arguments.json)
    return 0


def _scene(arguments: argparse.Namespace) -> int:
    if arguments.name == "spyndex":
        scene = spyndex_scene()
    else:
        scene = procedural(arguments.seed, arguments.rows, arguments.cols)
    geotiff.write(arguments.output, scene)
    bands, rows, cols = scene.image.shape
    print(f"{arguments.output}: {bands} bands, {rows} x {cols}, {scene.image.dtype}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    try:
        from ground.recipe import Recipe, find_recipe, kind_of  # noqa: PLC0415
        from ground.train import Progress as Line  # noqa: PLC0415 (torch is loaded only here)
        from ground.train import train  # noqa: PLC0415
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
    from ground.lappedrecipe import LappedRecipe  # noqa: PLC0415
    from ground.lappedtrain import train  # noqa: PLC0415
    from ground.train import train_items  # noqa: PLC0415

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


def _add_encode(commands: Commands) -> None:
    encode = commands.add_parser(
        "encode",
        help="encode a GeoTIFF with the onboard encoder",
        epilog="example: python -m ground encode scene.tif --bundle corsa-2level-1024 -o scene.sky",
    )
    encode.add_argument("input", type=Path, help="GeoTIFF, uint8, uint16 or int16")
    add_encode_options(encode)
    encode.set_defaults(run=_encode)


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("ground", __doc__)
    _add_encode(commands)
    add_decode_command(commands)
    add_link_commands(commands)
    scene = commands.add_parser(
        "scene",
        help="write a test scene: the real spyndex one, or a procedural one",
        epilog="example: python -m ground scene spyndex -o scene.tif",
    )
    scene.add_argument("name", choices=("spyndex", "procedural"))
    scene.add_argument("-o", "--output", type=Path, required=True, help="GeoTIFF to write")
    scene.add_argument("--seed", type=int, default=0)
    scene.add_argument("--rows", type=int, default=512)
    scene.add_argument("--cols", type=int, default=512)
    scene.set_defaults(run=_scene)

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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
