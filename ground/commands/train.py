"""Command `train`: a model from a recipe."""

import argparse
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onboard.bundle.bundle import NAME
from onboard.commands.commandline import Commands, peak_rss_mb
from onboard.errors import UsageError

if TYPE_CHECKING:
    from ground.scenes.folders import Item
    from ground.train.corsa.recipe import Recipe
    from ground.train.lapped.recipe import LappedRecipe

_SHORT = Path("runs/mine")
_SAY_EVERY = 60.0
"""Seconds between lines of a stage, on a terminal or not."""


def add_train_command(commands: Commands) -> None:
    """Add `train`."""
    train = commands.add_parser(
        "train",
        help="train a model from a recipe; goes on where it was stopped",
        epilog="example: python -m ground train --data FOLDER -o runs/mine",
    )
    train.add_argument(
        "recipe",
        nargs="?",
        help="name of a shipped recipe, or path of a .toml; default: that of skybook for the bands "
        "that most scenes have, named like the output folder, once it was said what to expect",
    )
    train.add_argument("--data", type=Path, required=True, help="folder of scenes, see datasets")
    train.add_argument(
        "-o", "--output", type=Path, help=f"folder (default runs/NAME; {_SHORT} without a recipe)"
    )
    train.add_argument(
        "--expect",
        action="store_true",
        help="say what time and memory it will take here, from a few steps of each stage, and end",
    )
    train.add_argument("--start-from", help="checkpoint to take weights from, for the recipe's")
    train.add_argument(
        "--codewords",
        type=_codewords,
        metavar="N[,N]",
        help="codewords of each level, the finest first; one number for all",
    )
    train.add_argument(
        "--quantizer",
        help="of a CORSA recipe: vq, product, residual, sphere or scalar, instead of the recipe's",
    )
    train.add_argument("--steps", type=int, help="steps, instead of the recipe's")
    train.add_argument("--seed", type=int, help="seed, instead of the recipe's")
    train.set_defaults(run=_train)


@dataclass
class _Pace:
    """How fast a stage goes, and when to say so.

    Attributes:
        first: step before the first that was timed.
        begun: when that ended, seconds.
        said: when something was said last.
    """

    first: int = 0
    begun: float = 0.0
    said: float = 0.0

    def begin(self, first: int) -> None:
        """Begin a stage, or go on with it after a step."""
        self.first, self.begun, self.said = first, time.monotonic(), -math.inf

    def is_due(self, step: int, steps: int) -> bool:
        """Return whether to say something: at first, at the end, and about once a minute."""
        now = time.monotonic()
        if step < steps and now - self.said < _SAY_EVERY:
            return False
        self.said = now
        return True

    def left(self, step: int, steps: int) -> str:
        """Return the time to go, in words; nothing where it is not known yet, or none."""
        taken = time.monotonic() - self.begun
        if step - self.first < 2 or step == steps:
            return ""
        seconds = taken / (step - self.first) * (steps - step)
        return f", about {_in_words(seconds)} to go"


def _in_words(seconds: float) -> str:
    """Return a time in the unit that leaves a number worth reading."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _train(arguments: argparse.Namespace) -> int:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    try:
        from ground.scenes.folders import splits_of  # noqa: PLC0415
        from ground.train.corsa.recipe import Recipe  # noqa: PLC0415
        from ground.train.corsa.train import Progress as Line  # noqa: PLC0415 (torch is loaded only here)
        from ground.train.corsa.train import train  # noqa: PLC0415
        from ground.train.recipe import find_recipe, kind_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs torch: pip install 'skybook[train]' ({error})") from error
    changes = {
        key: getattr(arguments, key)
        for key in ("codewords", "quantizer", "steps", "seed", "start_from")
        if getattr(arguments, key) is not None
    }
    path = find_recipe(arguments.recipe or "skybook")
    if arguments.expect and kind_of(path) != "lapped":
        raise UsageError(f"--expect: of lapped recipes alone, found {kind_of(path)}")
    if kind_of(path) in ("bounded", "tables"):
        return _fit(arguments, path, changes)
    if kind_of(path) == "lapped":
        return _train_lapped(arguments, path, changes)
    if kind_of(path) == "refinement":
        return _train_refinement(arguments, path, changes)
    recipe = Recipe.read(path, **changes)
    print(splits_of(arguments.data)[1], flush=True)
    output = arguments.output or _folder(recipe)
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(recipe.name, total=recipe.steps)
        pace = _Pace()

        def report(step: int, line: Line | None) -> None:
            if not pace.begun:
                pace.begin(step)
            progress.update(task, completed=step)
            if line is None and pace.is_due(step, recipe.steps):
                console.print(f"step {step} of {recipe.steps}{pace.left(step, recipe.steps)}")
            if line is not None:
                left = pace.left(step, recipe.steps)
                console.print(
                    f"step {line.step} of {recipe.steps}: training error {line.loss_db:.2f} dB, "
                    f"validation PSNR16 {line.validation_psnr16:.2f} dB, "
                    f"perplexity {line.perplexity}, codewords used {line.used}{left}"
                )

        train(recipe, arguments.data, output, report, console.print)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0


def _codewords(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected whole numbers, found {text!r:.40}") from error


def _folder(recipe: "Recipe") -> Path:
    """Return the folder of a run: that of levels of one size is named by it."""
    sizes = recipe.codewords[:1] if len(set(recipe.codewords)) == 1 else recipe.codewords
    kind = [] if recipe.quantizer == "vq" else [recipe.quantizer]
    return Path("runs") / "-".join([recipe.name, *map(str, sizes), *kind])


def _train_lapped(arguments: argparse.Namespace, path: Path, changes: dict[str, Any]) -> int:
    # torch is loaded only here
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, TaskID  # noqa: PLC0415

    from ground.scenes.folders import splits_of, train_items  # noqa: PLC0415
    from ground.train.checkpoint import CHECKPOINT  # noqa: PLC0415
    from ground.train.lapped.recipe import LappedRecipe  # noqa: PLC0415
    from ground.train.lapped.train import train  # noqa: PLC0415

    recipe = LappedRecipe.read(path, **changes)
    print(splits_of(arguments.data)[1], flush=True)
    training = train_items(arguments.data)[0]
    if arguments.recipe is None:
        recipe = LappedRecipe.read(path, **changes, **_short_form(arguments, training))
    output = arguments.output or (Path("runs") / recipe.name if arguments.recipe else _SHORT)
    if arguments.expect or (arguments.recipe is None and not (output / CHECKPOINT).exists()):
        _say_what_to_expect(recipe, training, output)
    if arguments.expect:
        return 0
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}
        pace = _Pace()

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=steps)
                pace.begin(step)
            progress.update(tasks[stage], completed=step)
            if pace.is_due(step, steps):
                left = pace.left(step, steps)
                console.print(f"{stage}: step {step} of {steps}, loss {loss:.4f}{left}")

        train(recipe, training, output, report, console.print)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0


def _short_form(arguments: argparse.Namespace, training: Sequence["Item"]) -> dict[str, Any]:
    """Return what is not as in the recipe of skybook: the name, and the bands of most scenes."""
    from ground.scenes.folders import read_item  # noqa: PLC0415

    name = (arguments.output or _SHORT).resolve().name
    if not NAME.fullmatch(name):
        raise UsageError(f"-o: names the bundle, expected letters, digits, . _ -, found {name!r}")
    bands = Counter(len(read_item(item).image) for item in training)
    return {"name": name, "bands": bands.most_common(1)[0][0]}


def _say_what_to_expect(recipe: "LappedRecipe", training: Sequence["Item"], output: Path) -> None:
    from ground.train.lapped.expect import expect  # noqa: PLC0415 (torch is loaded only here)

    print(f"{recipe.name}: {recipe.bands} bands; a few steps of each stage are tried first")
    found = expect(recipe, training, lambda text: print(text, flush=True))
    stages = ", ".join(f"{stage} {_in_words(seconds)}" for stage, seconds in found.items())
    print(
        f"to expect here, as busy as it is: about {_in_words(sum(found.values()))} ({stages}), "
        f"{peak_rss_mb():.0f} MiB of memory; each stage that ends is kept in "
        f"{output / 'checkpoint.pt'}",
        flush=True,
    )


def _refuse_others(changes: dict[str, Any], own: set[str], what: str) -> None:
    """Refuse options that no training of something takes."""
    if foreign := sorted(changes.keys() - own):
        options = ", ".join("--" + key.replace("_", "-") for key in foreign)
        raise UsageError(f"{options}: not of {what}")


def _fit(arguments: argparse.Namespace, path: Path, changes: dict[str, Any]) -> int:
    """Fit what takes no steps: a bounded codec, or the tables of a lapped one."""
    from ground.scenes.folders import splits_of, train_items  # noqa: PLC0415
    from ground.train.bounded import train as bounded  # noqa: PLC0415
    from ground.train.bounded.recipe import BoundedRecipe  # noqa: PLC0415
    from ground.train.lapped import mixture  # noqa: PLC0415
    from ground.train.recipe import kind_of  # noqa: PLC0415

    is_bounded = kind_of(path) == "bounded"
    _refuse_others(changes, {"seed"}, "a bounded codec" if is_bounded else "a fit of tables")
    recipe = (BoundedRecipe if is_bounded else mixture.TablesRecipe).read(path, **changes)
    print(splits_of(arguments.data)[1], flush=True)
    items = train_items(arguments.data)[0]
    output = arguments.output or Path("runs") / path.stem
    if isinstance(recipe, BoundedRecipe):
        found = bounded.train(recipe, items, output)
    else:
        found = mixture.train(recipe, items, output, lambda text: print(text, flush=True))
    print(f"{found}: {found.stat().st_size} bytes")
    return 0


def _train_refinement(arguments: argparse.Namespace, path: Path, changes: dict[str, Any]) -> int:
    # torch is loaded only here
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from ground.scenes.folders import splits_of, train_items  # noqa: PLC0415
    from ground.train.refinement.recipe import RefinementRecipe  # noqa: PLC0415
    from ground.train.refinement.train import train  # noqa: PLC0415

    _refuse_others(changes, {"seed", "steps"}, "a decoder network")
    recipe = RefinementRecipe.read(path, **changes)
    print(splits_of(arguments.data)[1], flush=True)
    output = arguments.output or Path("runs") / recipe.name
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(recipe.name, total=recipe.steps)
        pace = _Pace()

        def report(step: int, steps: int, loss: float) -> None:
            if not pace.begun:
                pace.begin(step)
            progress.update(task, completed=step)
            if pace.is_due(step, steps):
                left = pace.left(step, steps)
                console.print(f"step {step} of {steps}, loss {loss:.4f}{left}")

        train(recipe, *train_items(arguments.data), output, report, console.print)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0
