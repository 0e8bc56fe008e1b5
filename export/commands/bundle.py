"""Command `bundle`: a checkpoint to a model bundle, its decoder and its model card."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.commands.verify import verdict_text
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.errors import BundleError, UsageError


def add_bundle_command(commands: Commands) -> None:
    """Add `bundle`."""
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
    add_json_option(bundle)


def _bundle(arguments: argparse.Namespace) -> int:
    try:
        from export.corsa.pipeline import export_checkpoint  # noqa: PLC0415 (torch is loaded only here)
        from export.lapped.pipeline import export_lapped  # noqa: PLC0415
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
    print_result(result, f"{files}\n{verdict_text(made.verdict)}", arguments.json)
    return 0 if made.verdict.passed else BundleError.exit_code
