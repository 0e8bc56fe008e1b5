"""Command line of the ground: encode, decode, convert, batch, serve, view, watch, receive, ingest,
merge, missing, features, scene, fit, profile, train."""

import argparse
import sys
from collections.abc import Sequence

from ground.commands.batch import add_batch_command
from ground.commands.convert import add_convert_command
from ground.commands.decode import add_decode_command
from ground.commands.dump import add_features_command
from ground.commands.encode import add_encode_command
from ground.commands.fit import add_fit_command
from ground.commands.ingest import add_ingest_command
from ground.commands.merge import add_merge_command
from ground.commands.missing import add_missing_command
from ground.commands.profile import add_profile_command
from ground.commands.qualitymap import add_quality_map_command
from ground.commands.receive import add_receive_commands
from ground.commands.scene import add_scene_command
from ground.commands.serve import add_serve_command, add_view_command
from ground.commands.train import add_train_command
from ground.commands.watch import add_watch_command
from onboard.commands.commandline import command_parser, run_command


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("ground", __doc__)
    add_encode_command(commands)
    add_quality_map_command(commands)
    add_decode_command(commands)
    add_convert_command(commands)
    add_batch_command(commands)
    add_serve_command(commands)
    add_receive_commands(commands)
    add_ingest_command(commands)
    add_merge_command(commands)
    add_missing_command(commands)
    add_features_command(commands)
    add_scene_command(commands)
    add_fit_command(commands)
    add_profile_command(commands)
    add_train_command(commands)
    add_view_command(commands)
    add_watch_command(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
