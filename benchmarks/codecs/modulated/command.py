"""Command `modulated`: trains the modulated hyperprior, the baseline of `reproduce mcos-*`."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.codecs.modulated.frames import SENSORS, TRAIN, Frame, read_frames
from benchmarks.codecs.modulated.layout import Layout
from benchmarks.codecs.modulated.model import Model
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError
from onboard.outputs import open_whole

STEPS, QUICK_STEPS, MOST_STEPS = 150_000, 400, 10**9


def add_modulated(commands: Commands) -> None:
    """Add `modulated`."""
    modulated = commands.add_parser(
        "modulated",
        help="train the modulated hyperprior, a learned baseline",
        description="Makes weights that `reproduce mcos-table2` and `mcos-fig7` take as --bundle.",
        epilog="example: python -m benchmarks modulated --data FOLDER -o weights.npz",
    )
    add_training_options(modulated, STEPS, QUICK_STEPS)
    modulated.add_argument(
        "--sensor", action="append", choices=SENSORS, help="train on it alone; may be repeated"
    )
    modulated.set_defaults(run=_modulated)


def add_training_options(parser: argparse.ArgumentParser, steps: int, quick: int) -> None:
    """Add what training takes of every learned codec, `steps` of it, with --quick `quick`."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of scenes")
    parser.add_argument("-o", "--output", type=Path, required=True, help="weights (.npz)")
    parser.add_argument("--steps", type=int, help=f"{steps}, with --quick {quick}; 0: as it begins")
    parser.add_argument("--quick", action="store_true", help="few steps, for a look")
    parser.add_argument("--checkpoint", type=Path, help="file to keep, and to go on from")
    add_json_option(parser)


def steps_of(arguments: argparse.Namespace, steps: int, quick: int) -> int:
    """Return how many steps are asked for.

    Raises:
        UsageError: fewer than none, or too many.
    """
    found = quick if arguments.quick else steps
    if arguments.steps is not None:
        found = int(arguments.steps)
    if not 0 <= found <= MOST_STEPS:
        raise UsageError(f"steps: expected 0..{MOST_STEPS}, found {found}")
    return found


def _modulated(arguments: argparse.Namespace) -> int:
    steps = steps_of(arguments, STEPS, QUICK_STEPS)
    wanted = arguments.sensor or SENSORS
    frames = [f for f in read_frames(arguments.data, TRAIN) if f.sensor.name in wanted]
    if not frames:
        raise UsageError(f"sensor: expected frames of {' or '.join(wanted)}, found none")
    tell = Console(stderr=True).print
    model = trained(frames, steps, Layout(), tell, arguments.checkpoint)
    with open_whole(arguments.output) as file:
        file.write(model.pack())
    sensors = {name: r and asdict(r) for name, (_, r) in model.sensors.items()}
    found = {"output": str(arguments.output), "origin": model.origin, "sensors": sensors}
    print_result(found, f"{arguments.output}: {model.origin}", arguments.json)
    return 0


def trained(
    frames: Sequence[Frame],
    steps: int,
    layout: Layout,
    tell: Callable[[str], None],
    checkpoint: Path | None = None,
) -> Model:
    """Train on frames."""
    from benchmarks.codecs.modulated.export import export  # noqa: PLC0415 (torch)
    from benchmarks.codecs.modulated.training import Recipe, begun, train  # noqa: PLC0415 (torch)

    sensors = {frame.sensor.name: frame.sensor for frame in frames}.values()
    of = [(sensor, [f.samples for f in frames if f.sensor == sensor]) for sensor in sensors]
    recipe = Recipe.of(steps)
    network = train(begun(of, recipe, layout), of, recipe, tell, checkpoint)
    count = ", ".join(f"{len(images)} {sensor.name}" for sensor, images in of)
    return export(network, of, f"{steps} steps of {recipe.batch} crops of {count}", tell)
