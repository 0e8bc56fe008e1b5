"""Commands `install` and `rollback`."""

import argparse
from dataclasses import asdict
from pathlib import Path

from onboard.bundle import install as uplink
from onboard.bundle import signature
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.engine.engines import ENGINES


def add_uplink_commands(commands: Commands) -> None:
    """Add `install` and `rollback`."""
    install = commands.add_parser(
        "install",
        help="check a bundle or delta that came up, and make it the active one",
        epilog="example: python -m onboard install update.skyd --slots slots "
        "--public-key flight.pub.pem; then encode with --bundle slots/",
    )
    install.add_argument("update", type=Path, help="bundle (.skyb) or delta (.skyd)")
    install.add_argument("--public-key", type=Path, metavar="PEM", help="of who must have signed")
    install.set_defaults(run=_install)
    rollback = commands.add_parser(
        "rollback",
        help="make the bundle in the other slot the active one",
        epilog="example: python -m onboard rollback --slots slots",
    )
    rollback.set_defaults(run=_rollback)
    for command in (install, rollback):
        command.add_argument("--slots", type=Path, required=True, help="folder of the two slots")
        command.add_argument("--engine", choices=ENGINES, help="for the self test")
        add_json_option(command)


def _install(arguments: argparse.Namespace) -> int:
    key = None if arguments.public_key is None else signature.read_key(arguments.public_key)
    done = uplink.install(arguments.update, arguments.slots, key, arguments.engine)
    outcome = f"self test passed on {done.engine}" if done.changed else "was in use already"
    checked = "checked" if done.signature_checked else "not checked (no --public-key)"
    text = f"{done.slot}: {done.name} is active; {outcome}; signature {checked}"
    print_result(asdict(done), text, arguments.json)
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    done = uplink.rollback(arguments.slots, arguments.engine)
    text = f"{done.slot}: {done.name} is active again; self test passed on {done.engine}"
    print_result(asdict(done), text, arguments.json)
    return 0
