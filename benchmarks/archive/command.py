"""Command `ground`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.archive import granule
from benchmarks.archive.measure import measure_batch
from benchmarks.archive.report import ground_text, plot_batch
from benchmarks.machine import machine
from ground.extra import load
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError

Say = Callable[[str], None]
_QUICK_SCENES, _QUICK_SIDE = 4, 128


def _runs(arguments: argparse.Namespace, usual: int) -> int:
    """Return how many times a part is measured, unless told."""
    told: int | None = arguments.runs
    return told or (1 if arguments.quick else usual)


def _batch(arguments: argparse.Namespace, _folder: Path, say: Say) -> dict[str, Any]:
    scenes, side = arguments.scenes, arguments.side
    if arguments.quick:
        scenes, side = _QUICK_SCENES, _QUICK_SIDE
    runs = _runs(arguments, 5)
    return measure_batch(sorted({1, *arguments.workers}), scenes, side, runs, say)


def _granule(arguments: argparse.Namespace, folder: Path, say: Say) -> dict[str, Any]:
    side = granule.QUICK_SIDE if arguments.quick else granule.SIDE
    return granule.measure_granule(side, _runs(arguments, 1), arguments.threads, folder, say)


def _window(arguments: argparse.Namespace, folder: Path, say: Say) -> dict[str, Any]:
    load("products", "xarray")
    from benchmarks.archive import windows  # noqa: PLC0415 (xarray, zarr)

    side, places = (windows.QUICK_SIDE, 2) if arguments.quick else (windows.SIDE, 8)
    return windows.measure_windows(side, places, folder, say)


def _zarr(arguments: argparse.Namespace, folder: Path, say: Say) -> dict[str, Any]:
    load("zarr", "zarr")
    from benchmarks.archive import zarrs  # noqa: PLC0415 (zarr)

    side = zarrs.QUICK_SIDE if arguments.quick else zarrs.SIDE
    return zarrs.measure_zarr(side, _runs(arguments, 5), arguments.data, folder, say)


_PARTS: dict[str, Callable[[argparse.Namespace, Path, Say], dict[str, Any]]] = {
    "batch": _batch,
    "granule": _granule,
    "window": _window,
    "zarr": _zarr,
}


def _ground(arguments: argparse.Namespace) -> int:
    if min(arguments.workers) < 1 or arguments.scenes < 2 or arguments.side < 64:
        raise UsageError("--workers, --scenes, --side: expected at least 1, 2 and 64")
    if (arguments.runs is not None and arguments.runs < 1) or arguments.threads < 1:
        raise UsageError("--runs, --threads: expected at least 1")
    found: dict[str, Any] = {"machine": machine()}
    with Console(stderr=True).status("starting", refresh_per_second=1) as status:
        for name in arguments.only:
            with TemporaryDirectory() as folder:
                found[name] = _PARTS[name](arguments, Path(folder), status.update)
    print_result(found, ground_text(found), arguments.json)
    if arguments.plot and "batch" in found:
        plot_batch(found["batch"], arguments.plot)
    return 0


def add_ground(commands: Commands) -> None:
    """Add `ground`."""
    parser = commands.add_parser(
        "ground",
        help="the ground segment: `ground batch` by its workers (skybook[cluster]), a granule's "
        "memory and speed, bytes that windows read, the Zarr codec beside JPEG 2000",
        epilog="examples:\n"
        "  python -m benchmarks ground --json ground.json\n"
        "  python -m benchmarks ground --only granule --quick",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = ", ".join(_PARTS)
    parser.add_argument(
        "--only", nargs="+", choices=[*_PARTS], default=[*_PARTS], help=f"of {parts} (all)"
    )
    parser.add_argument("--quick", action="store_true", help="small scenes, one run: a minute")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[2], help="batch: besides one (2)"
    )
    parser.add_argument("--scenes", type=int, default=24, help="batch: default %(default)s")
    parser.add_argument(
        "--side", type=int, default=1_024, help="batch: rows and columns (%(default)s)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="batch: plot of speeds (PNG)")
    parser.add_argument(
        "--runs",
        type=int,
        help="of what is timed, in turn: medians count (batch, zarr 5; granule 1)",
    )
    parser.add_argument("--threads", type=int, default=2, help="granule: of decoding (2)")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="zarr: scenes besides that of spyndex"
    )
    add_json_option(parser)
    parser.set_defaults(run=_ground)
