"""Command line of the flight side."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

# Before numpy is loaded: products here are small, and a second thread of BLAS that waits for a busy
# core makes an encode take twice as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from onboard import bundle as bundles
from onboard.bundle.selftest import run_selftest
from onboard.commands.bundle import add_uplink_commands
from onboard.commands.commandline import (
    add_json_option,
    command_parser,
    print_result,
    run_command,
)
from onboard.commands.encode import add_encode_command
from onboard.commands.protect import add_protect_command
from onboard.commands.schedule import add_schedule_command
from onboard.commands.stream import add_stream_command
from onboard.engine.engines import ENGINES
from onboard.errors import UsageError


def _info(arguments: argparse.Namespace) -> int:
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


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("onboard", __doc__)

    add_encode_command(commands)
    add_stream_command(commands)
    add_protect_command(commands)
    add_schedule_command(commands)
    add_uplink_commands(commands)

    info = commands.add_parser(
        "info",
        help="show what a bundle is",
        epilog="example: python -m onboard info corsa-2level-1024 --tile 120 --json",
    )
    info.add_argument("bundle", help="name or path of a model bundle")
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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
