"""Commands of a model bundle: `install`, `rollback`, `info` and `selftest`."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onboard import bundle as bundles
from onboard.bundle import install as uplink
from onboard.bundle import signature
from onboard.bundle.profiles import SUFFIX, load_profile
from onboard.bundle.selftest import run_selftest
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.commands.options import bundle_files
from onboard.engine.engines import ENGINES
from onboard.errors import UsageError
from onboard.outputs import refuse_overwriting, telling_room


def add_bundle_commands(commands: Commands) -> None:
    """Add the commands."""
    _add_install_and_rollback(commands)
    info = commands.add_parser(
        "info",
        help="show what a bundle or a spectral profile is",
        epilog="example: python -m onboard info corsa-2level-1024 --tile 120 --json",
    )
    info.add_argument("bundle", help="name or path of a model bundle, or path of a profile (.prof)")
    info.add_argument("--tile", type=int, help="size of the tile whose payload is shown")
    add_json_option(info)
    info.set_defaults(run=_info)

    selftest = commands.add_parser(
        "selftest",
        help="run a bundle's golden vectors",
        epilog="example: python -m onboard selftest corsa-2level-1024 --engine ort",
    )
    selftest.add_argument("bundle", help="name or path of a model bundle")
    selftest.add_argument("--engine", choices=ENGINES)
    add_json_option(selftest)
    selftest.set_defaults(run=_selftest)


def _add_install_and_rollback(commands: Commands) -> None:
    install = commands.add_parser(
        "install",
        help="check a bundle, delta or spectral profile that came up, and make it the active one",
        epilog="example: python -m onboard install update.skyd --slots slots "
        "--public-key flight.pub.pem; then encode with --bundle slots/ (a profile: a folder of its "
        "own, --profile profiles/)",
    )
    install.add_argument(
        "update", type=Path, help="bundle (.skyb), delta (.skyd), or profile (.prof)"
    )
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
    refuse_overwriting({"--json": arguments.json}, [arguments.update, arguments.public_key])
    key = None if arguments.public_key is None else signature.read_key(arguments.public_key)
    with telling_room(arguments.slots):
        done = uplink.install(arguments.update, arguments.slots, key, arguments.engine)
    test = f"self test passed on {done.engine}" if done.engine else "its matrix checks"
    outcome = test if done.changed else "was in use already"
    checked = "checked" if done.signature_checked else "not checked (no --public-key)"
    text = f"{done.slot}: {done.name} is active; {outcome}; signature {checked}"
    print_result(asdict(done), text, arguments.json)
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    done = uplink.rollback(arguments.slots, arguments.engine)
    test = f"self test passed on {done.engine}" if done.engine else "its matrix checks"
    text = f"{done.slot}: {done.name} is active again; {test}"
    print_result(asdict(done), text, arguments.json)
    return 0


def _profile_info(arguments: argparse.Namespace) -> int:
    profile = load_profile(Path(arguments.bundle))
    result = {
        "bands": profile.bands,
        "sha256": profile.sha256.hex(),
        "named": profile.digest.hex(),
        "offsets": profile.offsets.tolist(),
    }
    least, most = profile.offsets.min(), profile.offsets.max()
    text = f"profile of {profile.bands} bands, {profile.digest.hex()}, means {least}..{most} DN"
    print_result(result, text, arguments.json)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    refuse_overwriting({"--json": arguments.json}, bundle_files(arguments.bundle))
    if Path(arguments.bundle).suffix == SUFFIX:
        return _profile_info(arguments)
    bundle = bundles.load(arguments.bundle)
    result: dict[str, Any] = {
        "name": bundle.name,
        "model_hash": bundle.model_hash.hex(),
        "bands": bundle.bands,
        "tile": bundle.tile,
        "variable_rate": bundle.variable_rate,
        "encoder_mac_per_pixel": bundle.macs_per_pixel,
        "parts": {part["name"]: part["bytes"] for part in bundle.manifest["parts"]},
        "wire": bundle.manifest["wire"],
    }
    rate = "any rate (--bytes, --ratio, --psnr, --rmse)"
    if not bundle.variable_rate:
        payload = _payload(bundle, bundle.tile if arguments.tile is None else arguments.tile)
        result |= payload
        rate = (
            f"payload of a {payload['payload_tile']}x{payload['payload_tile']} tile, coarse to "
            f"fine: {payload['payload_bytes_per_level']} = {payload['payload_bytes']} bytes "
            f"(ratio {payload['payload_ratio']:.2f})"
        )
    elif arguments.tile is not None:
        raise UsageError(f"--tile: bundle {bundle.name} has no fixed payload")
    text = (
        f"{bundle.name}  model {bundle.model_hash.hex()[:16]}  {bundle.bands} bands, "
        f"tiles of {bundle.tile}\n{rate}\n"
        f"encoder: {bundle.macs_per_pixel} MAC/pixel; parts: "
        + ", ".join(f"{name} {length}" for name, length in result["parts"].items())
    )
    print_result(result, text, arguments.json)
    return 0


def _payload(bundle: bundles.Bundle, size: int) -> dict[str, Any]:
    """Return the bytes of the packed indices of a tile."""
    if size < 1:
        raise UsageError(f"--tile: expected 1 or more, found {size}")
    payload = bundle.codec.payload_bytes(size, size)
    return {
        "payload_tile": size,
        "payload_bytes_per_level": payload,
        "payload_bytes": sum(payload),
        "payload_ratio": 2 * bundle.bands * size * size / sum(payload),
    }


def _selftest(arguments: argparse.Namespace) -> int:
    refuse_overwriting({"--json": arguments.json}, bundle_files(arguments.bundle))
    result = run_selftest(bundles.load(arguments.bundle), arguments.engine)
    text = (
        f"{result['name']} on {result['engine']}: {result['vectors']} golden vectors, "
        f"{result['agreement_percent']:.3f} % of indices agree: "
        + (
            f"passed; scrub of {result['covered_bytes']} bytes passed"
            if result["passed"]
            else "FAILED"
        )
    )
    print_result(result, text, arguments.json)
    return 0 if result["passed"] else 5
