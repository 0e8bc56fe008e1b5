"""Command line of the flight side."""

import argparse
import os
import sys
from collections.abc import Sequence

# Before numpy is loaded: products here are small, and a second thread of BLAS that waits for a busy
# core makes an encode take twice as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from onboard.commands.bundle import add_bundle_commands
from onboard.commands.commandline import command_parser, run_command
from onboard.commands.encode import add_encode_command
from onboard.commands.protect import add_protect_command
from onboard.commands.schedule import add_schedule_command
from onboard.commands.stream import add_stream_command


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("onboard", __doc__)
    add_encode_command(commands)
    add_stream_command(commands)
    add_protect_command(commands)
    add_schedule_command(commands)
    add_bundle_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
