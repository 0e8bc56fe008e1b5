"""Command line of the benchmarks: demo, rd, bounded, sensors, ablation, reproduce, modulated,
learned, resources, parts, link, stream, upsets, fuzz, cfdp, ground, energy, probe, roofline,
board-report."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.ablation.command import add_ablation
from benchmarks.archive.command import add_ground
from benchmarks.boardreport.command import add_board_report
from benchmarks.boards.command import add_probe, add_roofline
from benchmarks.bounded.command import add_bounded
from benchmarks.cfdp.command import add_cfdp
from benchmarks.codecs.learned.command import add_learned
from benchmarks.codecs.modulated.command import add_modulated
from benchmarks.energy.command import add_energy
from benchmarks.faults.command import add_fuzz, add_upsets
from benchmarks.link.command import add_link
from benchmarks.parts.command import add_parts
from benchmarks.quality.command import add_demo_and_rd
from benchmarks.reproduce.command import add_reproduce
from benchmarks.resources.command import add_resources, add_stream
from benchmarks.sensors.command import add_sensors
from onboard.commands.commandline import command_parser, run_command


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("benchmarks", __doc__)
    add_demo_and_rd(commands)
    add_bounded(commands)
    add_sensors(commands)
    add_ablation(commands)
    add_reproduce(commands)
    add_modulated(commands)
    add_learned(commands)
    add_resources(commands)
    add_parts(commands)
    add_board_report(commands)
    add_stream(commands)
    add_upsets(commands)
    add_fuzz(commands)
    add_link(commands)
    add_cfdp(commands)
    add_ground(commands)
    add_energy(commands)
    add_probe(commands)
    add_roofline(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
