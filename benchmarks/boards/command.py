"""Commands `probe` and `roofline`: what this machine is, and how fast boards would encode."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.boards.check import WITHIN, check, measure_numpy
from benchmarks.boards.probe import power_files, probe
from benchmarks.boards.profiles import (
    FOLDER,
    THIS_MACHINE,
    load_profile,
    load_profiles,
    pack_profile,
)
from benchmarks.boards.report import probe_text, roofline_text
from benchmarks.boards.roofline import IMPLEMENTATIONS, estimate, roofline_row
from benchmarks.boards.workload import COUNTS, RATIO, Span, Workload, workload_of
from benchmarks.codecs.skybook import BUNDLE
from onboard.bundle import load
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError
from onboard.outputs import open_whole

_PROBED = FOLDER / f"{THIS_MACHINE}.toml"


def add_probe(commands: Commands) -> None:
    """Add `probe`."""
    parser = commands.add_parser(
        "probe",
        help="measure this machine and write its hardware profile",
        epilog="example: python -m benchmarks probe -o this-machine.toml --json",
    )
    text = f"profile (default: {FOLDER.name}/{_PROBED.name})"
    parser.add_argument("-o", "--output", type=Path, default=_PROBED, metavar="FILE", help=text)
    add_json_option(parser)
    parser.set_defaults(run=_probe)


def add_roofline(commands: Commands) -> None:
    """Add `roofline`."""
    parser = commands.add_parser(
        "roofline",
        help="estimate encoding speed on boards, checked against this machine",
        description=f"Exit code 1 if an estimate for this machine is more than {WITHIN:g} x off.",
        epilog="example: python -m benchmarks roofline --bundle skybook --json roofline.json",
    )
    parser.add_argument("--bundle", default=BUNDLE, help="name or path (default: %(default)s)")
    text = "name or path of a profile; may be repeated (default: all)"
    parser.add_argument("--profile", action="append", default=[], metavar="NAME", help=text)
    text = "speed measured here on one core, compared too; for example c=5.2"
    parser.add_argument(
        "--measured", action="append", default=[], type=_speed, metavar="NAME=MPIXEL", help=text
    )
    parser.add_argument("--no-check", action="store_true", help="do not measure this machine")
    add_json_option(parser)
    parser.set_defaults(run=_roofline)


def _speed(argument: str) -> tuple[str, float]:
    name, _, speed = argument.partition("=")
    try:
        return name, float(speed)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected NAME=MPIXEL, found {argument!r}") from error


def _probe(arguments: argparse.Namespace) -> int:
    with Console(stderr=True).status("probing"):
        found = probe()
    with open_whole(arguments.output) as file:
        file.write(pack_profile(found).encode())
    meters = power_files()
    result = {
        "profile": str(arguments.output),
        **{f"{key}.value": figure.value for key, figure in found.figures.items()},
        **{f"{key}.unit": figure.unit for key, figure in found.figures.items()},
        "runtimes": [runtime.name for runtime in found.runtimes],
        "power_files": meters,
    }
    print_result(result, probe_text(found, arguments.output, meters), arguments.json)
    return 0


def _roofline(arguments: argparse.Namespace) -> int:
    workload = workload_of(load(arguments.bundle))
    profiles = [load_profile(name) for name in arguments.profile] or load_profiles()
    rows = [
        (profile, estimate(profile, workload, made))
        for profile in profiles
        for made in IMPLEMENTATIONS.values()
    ]
    checks: list[dict[str, Any]] = []
    if arguments.no_check and arguments.measured:
        raise UsageError("--measured: expected a check, found --no-check")
    if not arguments.no_check:
        with Console(stderr=True).status("probing and encoding"):
            here = probe()
            measured = {"numpy": measure_numpy(arguments.bundle), **dict(arguments.measured)}
        checks = check(here, workload, measured)
    result = {
        "bundle": workload.name,
        "ratio": RATIO,
        **_work_row(workload),
        "estimates": [roofline_row(found) for _, found in rows],
        "checks": checks,
    }
    print_result(result, roofline_text(workload, rows, checks), arguments.json)
    return int(not all(row["within"] for row in checks))


def _work_row(work: Workload) -> dict[str, float]:
    """Return the work per pixel, flat."""
    row = {"coded_share": work.coded}
    for name in COUNTS:
        span: Span = getattr(work, name)
        row |= {f"{name}_per_pixel_low": span.low, f"{name}_per_pixel_high": span.high}
    return row
