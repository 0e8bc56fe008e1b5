"""Command `board-report`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.boardreport.quickrun import run_quickly
from benchmarks.boardreport.report import Results, html_report
from benchmarks.boards.profiles import load_profile, load_profiles
from benchmarks.codecs.skybook import BUNDLE
from benchmarks.files import read_result
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import InputError, SkybookError
from onboard.outputs import open_whole


def add_board_report(commands: Commands) -> None:
    """Add `board-report`."""
    report = commands.add_parser(
        "board-report",
        help="one HTML page: boards, runtimes, memory, energy, other codecs",
        description="What is not given as a file is measured quickly first (about two minutes).",
        epilog="example: python -m benchmarks board-report -o report.html",
    )
    report.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="HTML")
    bundle = "estimated on the boards, and measured (default: %(default)s)"
    report.add_argument("--bundle", default=BUNDLE, help=bundle)
    several = "what `resources --json` wrote; may be repeated, one bundle each"
    report.add_argument("--resources", type=Path, action="append", metavar="FILE", help=several)
    report.add_argument("--rd", type=Path, metavar="FILE", help="what `rd --json` wrote")
    report.add_argument("--energy", type=Path, metavar="FILE", help="what `energy --json` wrote")
    boards = "what `skybook bench` printed on a board; may be repeated"
    report.add_argument("--board", type=Path, action="append", metavar="FILE", help=boards)
    profile = "another board's profile; may be repeated"
    report.add_argument("--profile", action="append", default=[], metavar="FILE", help=profile)
    add_json_option(report)
    report.set_defaults(run=_board_report)


def _board_report(arguments: argparse.Namespace) -> int:
    profiles = [*load_profiles(), *map(load_profile, arguments.profile)]
    with Console(stderr=True).status("starting") as status:
        results = _results(arguments, status.update)
        status.update("estimating")
        text = html_report(results, profiles, arguments.bundle)
    with open_whole(arguments.output) as file:
        file.write(text.encode())
    result = {
        "output": str(arguments.output),
        "bytes": len(text.encode()),
        "boards": len(profiles),
        "bundles": [found["bundle"] for found in results.resources],
        "missing": results.missing,
    }
    notes = [f"{name}: not measured: {why}" for name, why in results.missing.items()]
    shown = f"{arguments.output}: {len(profiles)} boards, {result['bytes']} bytes"
    print_result(result, "\n".join([shown, *notes]), arguments.json)
    return 0


def _results(arguments: argparse.Namespace, report: Callable[[str], None]) -> Results:
    """Read the results that are given; measure the others quickly."""
    missing: dict[str, str] = {}
    boards = [_board(path) for path in arguments.board or ()]

    def result(command: str, path: Path | None, *options: str) -> dict[str, Any] | None:
        if path is not None:
            return read_result(path)
        report(f"{command}: measuring")
        try:
            return run_quickly(command, ["--bundle", arguments.bundle, *options])
        except SkybookError as error:
            missing[command] = str(error)
            return None

    resources = [result("resources", path, "--quick") for path in arguments.resources or [None]]
    energy = result("energy", arguments.energy, "--quick")
    rd = result("rd", arguments.rd)
    return Results([found for found in resources if found], rd, energy, boards, missing)


def _board(path: Path) -> dict[str, Any]:
    """Read what `skybook bench` printed."""
    found = read_result(path)
    if found.get("command") != "skybook bench" or found.get("passed") is not True:
        raise InputError(
            f"{path}: expected what `skybook bench` prints where all golden tiles pass, found "
            f"{found.get('command')!r}, passed: {found.get('passed')!r}"
        )
    return found
