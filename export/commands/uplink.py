"""Commands `keygen`, `sign` and `delta`: what goes up."""

import argparse
import os
from pathlib import Path

from onboard import bundle as bundles
from onboard.bundle import Bundle, signature
from onboard.bundle import delta as bundledelta
from onboard.bundle.container import PROFILE_MAGIC
from onboard.bundle.profiles import unpack_profile
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import UsageError
from onboard.outputs import open_whole, refuse_overwriting


def add_uplink_commands(commands: Commands) -> None:
    """Add `keygen`, `sign` and `delta`."""
    keygen = commands.add_parser(
        "keygen",
        help="make a pair of keys to sign bundles with",
        epilog="example: python -m export keygen -o flight.pem, which also writes flight.pub.pem",
    )
    keygen.add_argument("-o", "--output", type=Path, required=True, help="private key (.pem)")
    keygen.set_defaults(run=_keygen)
    sign = commands.add_parser(
        "sign",
        help="sign a bundle or a spectral profile (Ed25519)",
        epilog="example: python -m export sign skybook --key flight.pem -o signed.skyb",
    )
    sign.add_argument("bundle", help="name or path of a model bundle, or path of a profile (.prof)")
    sign.add_argument("--key", type=Path, required=True, help="private key (.pem), no password")
    sign.add_argument("-o", "--output", type=Path, required=True, help="NAME.skyb, NAME.prof")
    sign.set_defaults(run=_sign)
    delta = commands.add_parser(
        "delta",
        help="write what is new in a bundle: a few KB if only tables or codebooks are",
        epilog="example: python -m export delta skybook signed.skyb -o update.skyd",
    )
    delta.add_argument("old", help="name or path of the bundle that is on board")
    delta.add_argument("new", help="name or path of the bundle to come, signed or not")
    delta.add_argument("-o", "--output", type=Path, required=True, help="UPDATE.skyd")
    delta.set_defaults(run=_delta)
    for command in (keygen, sign, delta):
        add_json_option(command)


def _keygen(arguments: argparse.Namespace) -> int:
    paths = arguments.output, arguments.output.with_suffix(".pub.pem")
    for path, key, mode in zip(paths, signature.make_keys(), (0o600, 0o644), strict=True):
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise UsageError(f"{path}: expected a place for a new key: {error.strerror}") from error
        with os.fdopen(file, "wb") as stream:
            stream.write(key)
    result = {"private_key": str(paths[0]), "public_key": str(paths[1])}
    text = f"{paths[0]}: private key, keep it on the ground\n{paths[1]}: public key, for on board"
    print_result(result, text, arguments.json)
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    inputs = [bundles.find(arguments.bundle), arguments.key]
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, inputs)
    packed = bundles.read_file(inputs[0])
    if packed[:4] == PROFILE_MAGIC:
        name = f"profile of {unpack_profile(packed).bands} bands"
    else:
        name = Bundle.unpack(packed).name
    signed = signature.sign(packed, signature.read_key(arguments.key))
    with open_whole(arguments.output) as file:
        file.write(signed)
    result = {"name": name, "bytes": len(signed)}
    print_result(result, f"{arguments.output}: {name}, signed", arguments.json)
    return 0


def _delta(arguments: argparse.Namespace) -> int:
    inputs = [bundles.find(arguments.old), bundles.find(arguments.new)]
    refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, inputs)
    old = bundles.load(arguments.old)
    new = bundles.read_file(bundles.find(arguments.new))
    delta = bundledelta.make(old, new)
    with open_whole(arguments.output) as file:
        file.write(delta)
    result = {"old": old.name, "bytes": len(delta), "bundle_bytes": len(new)}
    text = f"{arguments.output}: {len(delta)} bytes instead of {len(new)}"
    print_result(result, text, arguments.json)
    return 0
