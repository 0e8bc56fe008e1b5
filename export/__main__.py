"""Command line of the export: bundle, verify, c, verify-c, keygen, sign, delta."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export import csource, cverify
from ground.decode.decoder import open_decoder
from ground.scene import Scene
from ground.scenes.folders import find_scenes, read_item
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.bundle import Bundle, signature
from onboard.bundle import delta as bundledelta
from onboard.codec.kinds import open_tile_coder
from onboard.commands.commandline import (
    Commands,
    add_json_option,
    command_parser,
    open_output,
    print_result,
    run_command,
)
from onboard.engine.engines import ENGINES
from onboard.errors import BundleError, EngineError, UsageError

if TYPE_CHECKING:
    from export.verify import Verdict


def _bundle(arguments: argparse.Namespace) -> int:
    try:
        from export.lappedpipeline import export_lapped  # noqa: PLC0415
        from export.pipeline import export_checkpoint  # noqa: PLC0415 (torch is loaded only here)
        from ground.train.lapped.checkpoint import is_lapped  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"export needs torch: pip install 'skybook[export]' ({error})") from error
    result: dict[str, Any]
    if is_lapped(arguments.checkpoint):
        lapped = export_lapped(arguments.checkpoint, arguments.output, arguments.calibration)
        result = {**asdict(lapped), "files": {str(p): p.stat().st_size for p in lapped.files}}
        text = "\n".join(f"{path}: {length} bytes" for path, length in result["files"].items())
        psnr = ", ".join(f"{db:.2f} dB at ratio {r}" for r, db in lapped.psnr16.items())
        text += f"\nencoder: {lapped.macs_per_pixel} MAC/pixel; validation PSNR16: {psnr}"
        print_result(result, text, arguments.json)
        return 0
    made = export_checkpoint(arguments.checkpoint, arguments.output, arguments.calibration)
    result = {
        "name": made.name,
        "files": {str(path): path.stat().st_size for path in made.files},
        "half_decoder": made.half,
        **asdict(made.verdict),
    }
    files = "\n".join(f"{path}: {length} bytes" for path, length in result["files"].items())
    print_result(result, f"{files}\n{_verdict_text(made.verdict)}", arguments.json)
    return 0 if made.verdict.passed else BundleError.exit_code


def _verify(arguments: argparse.Namespace) -> int:
    from export.verify import Verification  # noqa: PLC0415 (onnx is loaded only here)

    path = bundles.find(arguments.bundle)
    bundle = bundles.load(str(path))
    if bundle.variable_rate:
        return _verify_exact(bundle, arguments)
    decoder = open_decoder(bundle, path)
    scenes: list[Scene] = [spyndex_scene()]
    if arguments.data:
        scenes = [read_item(item) for item in find_scenes(arguments.data)]
    verdict = Verification(bundle, decoder).run(scenes)
    result = {"name": bundle.name, **asdict(verdict)}
    print_result(result, f"{bundle.name}: {_verdict_text(verdict)}", arguments.json)
    return 0 if verdict.passed else BundleError.exit_code


def _verify_exact(bundle: bundles.Bundle, arguments: argparse.Namespace) -> int:
    """Run the golden vectors on every engine: the integer encoder gives the same bytes on all."""
    found: dict[str, str] = {}
    for engine in ENGINES:
        try:
            agree, total, _ = open_tile_coder(bundle, engine, 1).golden()
            found[engine] = f"{sum(agree)} of {sum(total)} golden vectors byte for byte"
        except EngineError as error:
            found[engine] = f"not here: {error}"
            continue
        if agree != total:
            raise BundleError(f"{bundle.name} on {engine}: {found[engine]}")
    text = "\n".join(f"{engine}: {outcome}" for engine, outcome in found.items())
    print_result({"name": bundle.name, "passed": True, "engines": found}, text, arguments.json)
    return 0


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
    packed = bundles.read_file(bundles.find(arguments.bundle))
    name = Bundle.unpack(packed).name
    signed = signature.sign(packed, signature.read_key(arguments.key))
    with open_output(arguments.output) as file:
        file.write(signed)
    result = {"name": name, "bytes": len(signed)}
    print_result(result, f"{arguments.output}: {name}, signed", arguments.json)
    return 0


def _delta(arguments: argparse.Namespace) -> int:
    old = bundles.load(arguments.old)
    new = bundles.read_file(bundles.find(arguments.new))
    delta = bundledelta.make(old, new)
    with open_output(arguments.output) as file:
        file.write(delta)
    result = {"old": old.name, "bytes": len(delta), "bundle_bytes": len(new)}
    text = f"{arguments.output}: {len(delta)} bytes instead of {len(new)}"
    print_result(result, text, arguments.json)
    return 0


def _c(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    written = csource.write(bundle, arguments.output)
    result = {
        "name": bundle.name,
        "model_hash": bundle.model_hash.hex(),
        "files": {str(path): path.stat().st_size for path in written},
    }
    text = f"{arguments.output}: encoder of {bundle.name}; make -C {arguments.output} builds it"
    print_result(result, text, arguments.json)
    return 0


def _verify_c(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    cverify.build(arguments.folder)
    compared = cverify.compare(bundle, arguments.folder)
    taken = cverify.footprint(arguments.folder)
    timed = cverify.speed(bundle, arguments.folder)
    result = {
        "name": bundle.name,
        "passed": compared.passed,
        **asdict(compared),
        **asdict(taken),
        **asdict(timed),
    }
    text = (
        f"{compared.mismatching_packets} of {compared.packets} packets and "
        f"{compared.mismatching_golden} of {compared.golden} golden vectors differ from Python\n"
        f"{timed.native_mpixel_per_s:.2f} Mpixel/s on one core (-O3 -march=native), "
        f"{timed.portable_mpixel_per_s:.2f} (-O2), OpenJPEG {timed.openjpeg_mpixel_per_s:.2f}: "
        f"{timed.speed_over_openjpeg:.1f} and {timed.portable_over_openjpeg:.1f} times as fast\n"
        f"along a trellis {timed.mpixel_per_s_trellis:.2f} Mpixel/s (-O3 -march=native), "
        f"{timed.speed_over_openjpeg_trellis:.1f} times as fast\n"
        f"{taken.code_bytes} bytes of code and constants, {taken.static_bytes} of static RAM, "
        f"stack at most {taken.stack_bound_bytes}"
    )
    print_result(result, text, arguments.json)
    return 0 if compared.passed else BundleError.exit_code


def _verdict_text(verdict: "Verdict") -> str:
    from export.verify import LARGEST_LOSS_DB  # noqa: PLC0415 (onnx is loaded only here)

    psnr = ", ".join(f"{path} {value:.2f} dB" for path, value in verdict.psnr16.items())
    agreement = ", ".join(f"{pair} {share:.2f} %" for pair, share in verdict.agreement.items())
    outcome = "passed" if verdict.passed else "FAILED"
    return (
        f"mean PSNR16 over {verdict.tiles} tiles: {psnr}\nindices that agree: {agreement}\n"
        f"int8 may cost {LARGEST_LOSS_DB} dB: {outcome}"
    )


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("export", __doc__)
    bundle = commands.add_parser(
        "bundle",
        help="make a model bundle, its decoder and its model card",
        epilog="example: python -m export bundle runs/mine/checkpoint.pt -o mine.skyb "
        "--calibration FOLDER",
    )
    bundle.add_argument("checkpoint", type=Path, help="checkpoint.pt of `ground train`")
    bundle.add_argument("-o", "--output", type=Path, required=True, help="NAME.skyb")
    bundle.add_argument(
        "--calibration",
        type=Path,
        required=True,
        help="folder of scenes to calibrate and verify on",
    )
    bundle.set_defaults(run=_bundle)
    verify = commands.add_parser(
        "verify",
        help="compare fp32, ONNX int8 and TFLite int8",
        description="fp32 is the network with its int8 weights but no rounding of activations: the "
        "trained weights are not in a bundle. `export bundle` compares with those.",
        epilog="example: python -m export verify corsa-2level-1024",
    )
    verify.add_argument("bundle", help="name or path of a model bundle")
    verify.add_argument("--data", type=Path, help="folder of scenes (default: the spyndex scene)")
    verify.set_defaults(run=_verify)
    c = commands.add_parser(
        "c",
        help="write the encoder of a bundle as C99 source",
        epilog="example: python -m export c skybook-s2 -o encoder && make -C encoder && "
        "encoder/skybook scene.bil --width 2048 -o scene.pkt",
    )
    c.add_argument("bundle", help="name or path of a model bundle of the lapped codec")
    c.add_argument("-o", "--output", type=Path, required=True, help="folder")
    c.set_defaults(run=_c)
    verify_c = commands.add_parser(
        "verify-c",
        help="compare the C encoder with Python, packet by packet; its size and speed",
        epilog="example: python -m export verify-c skybook-s2 encoder --json",
    )
    verify_c.add_argument("bundle", help="the bundle that the C source was made of")
    verify_c.add_argument("folder", type=Path, help="folder that `export c` wrote")
    verify_c.set_defaults(run=_verify_c)
    _add_uplink_commands(commands)
    for command in commands.choices.values():
        add_json_option(command)
    return parser


def _add_uplink_commands(commands: Commands) -> None:
    keygen = commands.add_parser(
        "keygen",
        help="make a pair of keys to sign bundles with",
        epilog="example: python -m export keygen -o flight.pem, which also writes flight.pub.pem",
    )
    keygen.add_argument("-o", "--output", type=Path, required=True, help="private key (.pem)")
    keygen.set_defaults(run=_keygen)
    sign = commands.add_parser(
        "sign",
        help="sign a bundle (Ed25519)",
        epilog="example: python -m export sign skybook-s2 --key flight.pem -o signed.skyb",
    )
    sign.add_argument("bundle", help="name or path of a model bundle")
    sign.add_argument("--key", type=Path, required=True, help="private key (.pem), no password")
    sign.add_argument("-o", "--output", type=Path, required=True, help="NAME.skyb")
    sign.set_defaults(run=_sign)
    delta = commands.add_parser(
        "delta",
        help="write what is new in a bundle: a few KB if only tables or codebooks are",
        epilog="example: python -m export delta skybook-s2 signed.skyb -o update.skyd",
    )
    delta.add_argument("old", help="name or path of the bundle that is on board")
    delta.add_argument("new", help="name or path of the bundle to come, signed or not")
    delta.add_argument("-o", "--output", type=Path, required=True, help="UPDATE.skyd")
    delta.set_defaults(run=_delta)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
