"""Commands `resources` and `stream`."""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.codecs.skybook import BUNDLE
from benchmarks.resources.bybands import COUNTED_SIDE, SIDE, by_bands_text, measure_by_bands
from benchmarks.resources.measure import FULL, QUICK, QUICK_RUNS, RUNS, measure_resources
from benchmarks.resources.report import plot_streaming, resources_text, streaming_text
from benchmarks.resources.runtimes import TFLITE_PYTHON
from benchmarks.resources.streaming import (
    PASS_LINES,
    QUICK_LINES,
    WIDTH,
    measure_streaming,
)
from onboard.commands.commandline import Commands, add_json_option, print_result


def _stream(arguments: argparse.Namespace) -> int:
    lines = QUICK_LINES if arguments.quick else arguments.lines
    runs = QUICK_RUNS if arguments.quick else arguments.runs
    with Console(stderr=True).status("starting") as status:
        found = measure_streaming(
            arguments.bundle,
            lines,
            arguments.width,
            runs,
            lambda done: status.update(f"line {done} of {lines}"),
        )
    print_result(found, streaming_text(found), arguments.json)
    if arguments.plot:
        plot_streaming(found, arguments.plot)
    return 0


def add_stream(commands: Commands) -> None:
    """Add `stream`."""
    stream = commands.add_parser(
        "stream",
        help="memory and speed of an endless line source",
        epilog="example: python -m benchmarks stream --plot memory.png --json stream.json",
    )
    stream.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    stream.add_argument("--lines", type=int, default=PASS_LINES, help="default: %(default)s")
    stream.add_argument("--width", type=int, default=WIDTH, help="default: %(default)s")
    stream.add_argument("--quick", action="store_true", help=f"{QUICK_LINES} lines, fewer runs")
    stream.add_argument(
        "--runs", type=int, default=RUNS, help="of the timing, default: %(default)s"
    )
    stream.add_argument("--plot", type=Path, metavar="FILE", help="memory against lines (PNG)")
    add_json_option(stream)
    stream.set_defaults(run=_stream)


def add_resources(commands: Commands) -> None:
    """Add `resources`."""
    resources = commands.add_parser(
        "resources",
        help="speed and memory of the onboard chain in every runtime, other codecs beside it",
        epilog="example: python -m benchmarks resources --bundle NAME --json resources.json",
    )
    resources.add_argument("--bundle", required=True, help="name or path of a model bundle")
    quick = f"{QUICK.runs} runs instead of {FULL.runs}"
    resources.add_argument("--quick", action="store_true", help=quick)
    python = f"Python that has tflite-runtime (default: {TFLITE_PYTHON}, if it is there)"
    resources.add_argument("--tflite-python", type=Path, metavar="FILE", help=python)
    against = "a checkout of an older version: its C and its decoder, too"
    resources.add_argument("--against", type=Path, metavar="FOLDER", help=against)
    by_bands = "only what a sample costs in scenes of 1 to 16 bands, on numpy and in C"
    resources.add_argument("--by-bands", action="store_true", help=by_bands)
    add_json_option(resources)
    resources.set_defaults(run=_resources)


def _resources(arguments: argparse.Namespace) -> int:
    if arguments.by_bands:
        return _by_bands(arguments)
    scale = QUICK if arguments.quick else FULL
    with Console(stderr=True).status(f"{arguments.bundle}: {scale.runs} runs"):
        found = measure_resources(
            arguments.bundle,
            scale,
            tflite_python=arguments.tflite_python,
            against=arguments.against,
        )
    print_result(found, resources_text(found), arguments.json)
    return 0


def _by_bands(arguments: argparse.Namespace) -> int:
    sides = (SIDE // 2, COUNTED_SIDE // 2) if arguments.quick else (SIDE, COUNTED_SIDE)
    with Console(stderr=True).status(f"{arguments.bundle} by bands: {QUICK_RUNS} runs"):
        found = measure_by_bands(arguments.bundle, QUICK_RUNS, *sides)
    print_result(found, by_bands_text(found), arguments.json)
    return 0
