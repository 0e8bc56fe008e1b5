"""Command line of the export: bundles, decoders, C sources, engine `c`, checks of them, keys."""

import argparse
import sys
from collections.abc import Sequence

from export.commands.bounded import add_bounded_command
from export.commands.bundle import add_bundle_command
from export.commands.c import add_c_commands
from export.commands.decoder import add_decoder_command
from export.commands.engine import add_engine_command
from export.commands.small import add_small_command
from export.commands.uplink import add_uplink_commands
from export.commands.verify import add_verify_command
from onboard.commands.commandline import command_parser, run_command


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("export", __doc__)
    add_bundle_command(commands)
    add_bounded_command(commands)
    add_decoder_command(commands)
    add_verify_command(commands)
    add_c_commands(commands)
    add_small_command(commands)
    add_engine_command(commands)
    add_uplink_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
