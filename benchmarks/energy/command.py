"""Command `energy`: joules per megapixel, with the kind and source of each figure."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.boards.profiles import load_profile, load_profiles
from benchmarks.boards.roofline import estimate
from benchmarks.boards.sysfs import SYSFS
from benchmarks.boards.workload import workload_of
from benchmarks.codecs.skybook import BUNDLE
from benchmarks.energy.measure import (
    QUICK_ROUNDS,
    ROUNDS,
    SIDE,
    Cost,
    estimated_costs,
    measure_costs,
    speed_ratio,
)
from benchmarks.energy.meters import find_meter
from benchmarks.energy.report import energy_text
from benchmarks.energy.run import SECONDS, load_run, record_run, run_costs
from benchmarks.energy.trace import read_trace
from benchmarks.resources.timing import RATIO
from onboard.bundle import load
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError
from onboard.outputs import open_output

METERS = ("auto", "hwmon", "rapl", "battery", "csv")
_DESCRIPTION = """\
Measures with a power meter. Where there is none, or with --profile, the figures are estimates: the
range of a board's power at work over its roofline speed. For an external meter that writes a CSV
file (columns time, in s, and watts): start it, run with --record, stop it; then give --trace and
--run."""


def add_energy(commands: Commands) -> None:
    """Add `energy`."""
    energy = commands.add_parser(
        "energy",
        help="joules per megapixel, measured or estimated, beside OpenJPEG",
        description=_DESCRIPTION,
        epilog="example: python -m benchmarks energy --meter hwmon --json energy.json",
    )
    energy.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    energy.add_argument(
        "--meter", choices=METERS, default="auto", help="default: the first of hwmon, rapl, battery"
    )
    rail = "of hwmon: label or chip/label, shell pattern; may be repeated, rails are added up"
    energy.add_argument("--rail", action="append", default=[], metavar="PATTERN", help=rail)
    energy.add_argument("--record", type=Path, metavar="RUN", help="write the run's times (JSON)")
    energy.add_argument("--trace", type=Path, metavar="FILE", help="what the meter wrote (CSV)")
    energy.add_argument("--run", dest="times", type=Path, metavar="RUN", help="made by --record")
    energy.add_argument("--sysfs", type=Path, default=SYSFS, help="default: %(default)s")
    profile = "estimate this board, name or path; may be repeated"
    energy.add_argument("--profile", action="append", default=[], metavar="NAME", help=profile)
    seconds = "of each codec in each round (default: what the meter needs)"
    energy.add_argument("--seconds", type=float, help=seconds)
    quick = f"{QUICK_ROUNDS} round instead of {ROUNDS}"
    energy.add_argument("--quick", action="store_true", help=quick)
    add_json_option(energy)
    energy.set_defaults(run=_energy)


def _energy(arguments: argparse.Namespace) -> int:
    _check(arguments)
    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    if arguments.record:
        _record(arguments, rounds)
        return 0
    notes: Sequence[str] = ()
    reasons: dict[str, str] = {}
    with Console(stderr=True).status("measuring"):
        if arguments.trace:
            costs = run_costs(load_run(arguments.times), read_trace(arguments.trace))
        elif arguments.profile:
            costs, reasons = _estimates(arguments)
        else:
            meter, notes = find_meter(arguments.meter, arguments.sysfs, arguments.rail)
            if meter:
                costs = measure_costs(arguments.bundle, meter, rounds, arguments.seconds, SIDE)
            else:
                costs, reasons = _estimates(arguments)
    _print(arguments, costs, reasons, [f"no meter: {note}" for note in notes])
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if bool(arguments.trace) != bool(arguments.times):
        raise UsageError("--trace FILE and --run RUN: expected both, found one")
    if arguments.meter == "csv" and not (arguments.record or arguments.trace):
        raise UsageError("--meter csv: expected --record RUN, or --trace FILE and --run RUN")
    ways = [way for way in ("record", "trace", "profile") if getattr(arguments, way)]
    if len(ways) > 1 or (ways and arguments.meter not in ("auto", "csv")):
        found = ", ".join(f"--{way}" for way in ways)
        raise UsageError(f"--meter {arguments.meter}: expected one way to measure, found {found}")


def _record(arguments: argparse.Namespace, rounds: int) -> None:
    with open_output(arguments.record):
        pass  # better refused now than after the run
    seconds = SECONDS if arguments.seconds is None else arguments.seconds
    with Console(stderr=True).status("marker and work: the meter must be recording"):
        run = record_run(arguments.bundle, rounds, seconds)
    run.save(arguments.record)
    result = {"run": str(arguments.record), "rounds": len(run.rounds)}
    print_result(result, f"{arguments.record}: times of {len(run.rounds)} rounds", arguments.json)


def _estimates(arguments: argparse.Namespace) -> tuple[list[Cost], dict[str, str]]:
    """Return estimates of the boards that were asked for, or of all."""
    profiles = [load_profile(name) for name in arguments.profile] or load_profiles()
    workload = workload_of(load(arguments.bundle))
    boards = [(profile, estimate(profile, workload)) for profile in profiles]
    codec, ratio = speed_ratio(arguments.bundle)
    return estimated_costs(codec, ratio, boards)


def _print(
    arguments: argparse.Namespace,
    costs: Sequence[Cost],
    reasons: dict[str, str],
    notes: Sequence[str],
) -> None:
    kinds = {cost.kind for cost in costs}
    result = {
        "kind": kinds.pop() if len(kinds) == 1 else None,
        "notes": list(notes),
        "ratio": RATIO,
        "figures": [cost.as_figures() for cost in costs],
        "without_estimate": reasons,
    }
    print_result(result, energy_text(costs, reasons, notes), arguments.json)
