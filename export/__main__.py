"""Command line of the export: bundle, verify."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.verify import LARGEST_LOSS_DB, Verdict, Verification
from ground.datasets import find_scenes, read_item
from ground.decoder import open_decoder
from ground.geotiff import Scene
from ground.scenes import spyndex_scene
from onboard import bundle as bundles
from onboard.commandline import add_json_option, command_parser, print_result, run_command
from onboard.errors import BundleError, EngineError, UsageError
from onboard.session import ENGINES
from onboard.tilecoder import open_tile_coder


def _bundle(arguments: argparse.Namespace) -> int:
    try:
        from export.lappedpipeline import export_lapped  # noqa: PLC0415
        from export.pipeline import export_checkpoint  # noqa: PLC0415 (torch is loaded only here)
        from ground.lappedtrain import is_lapped  # noqa: PLC0415
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


def _verdict_text(verdict: Verdict) -> str:
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
    for command in (bundle, verify):
        add_json_option(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
