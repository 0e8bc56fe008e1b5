"""Command `verify`: a bundle on every engine."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from onboard import bundle as bundles
from onboard.bundle.selftest import golden_agreement
from onboard.commands.commandline import Commands, add_json_option, print_result
from onboard.engine.engines import ENGINES
from onboard.errors import BundleError, EngineError

if TYPE_CHECKING:
    from export.corsa.verify import Verdict


def add_verify_command(commands: Commands) -> None:
    """Add `verify`."""
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
    add_json_option(verify)


def _verify(arguments: argparse.Namespace) -> int:
    path = bundles.find(arguments.bundle)
    bundle = bundles.load(str(path))
    if bundle.variable_rate:
        return _verify_exact(bundle, arguments)
    return _verify_network(bundle, path, arguments)


def _verify_network(bundle: bundles.Bundle, path: Path, arguments: argparse.Namespace) -> int:
    """Compare the networks; what is not needed to write C is loaded only here."""
    from export.corsa.verify import Verification  # noqa: PLC0415
    from ground.decode.decoder import open_decoder  # noqa: PLC0415
    from ground.scenes.folders import find_scenes, read_item  # noqa: PLC0415
    from ground.scenes.spyndex import spyndex_scene  # noqa: PLC0415

    decoder = open_decoder(bundle, path)
    scenes = [spyndex_scene()]
    if arguments.data:
        scenes = [read_item(item) for item in find_scenes(arguments.data)]
    verdict = Verification(bundle, decoder).run(scenes)
    result = {"name": bundle.name, **asdict(verdict)}
    print_result(result, f"{bundle.name}: {verdict_text(verdict)}", arguments.json)
    return 0 if verdict.passed else BundleError.exit_code


def _verify_exact(bundle: bundles.Bundle, arguments: argparse.Namespace) -> int:
    """Run the golden vectors on every engine: the integer encoder gives the same bytes on all."""
    found: dict[str, str] = {}
    for engine in ENGINES:
        try:
            agree, total, _ = golden_agreement(bundle.codec, engine)
            found[engine] = f"{sum(agree)} of {sum(total)} golden vectors byte for byte"
        except EngineError as error:
            found[engine] = f"not here: {error}"
            continue
        if agree != total:
            raise BundleError(f"{bundle.name} on {engine}: {found[engine]}")
    text = "\n".join(f"{engine}: {outcome}" for engine, outcome in found.items())
    print_result({"name": bundle.name, "passed": True, "engines": found}, text, arguments.json)
    return 0


def verdict_text(verdict: "Verdict") -> str:
    """Return the lines that say what int8 costs."""
    from export.corsa.verify import LARGEST_LOSS_DB  # noqa: PLC0415 (onnx is loaded only here)

    psnr = ", ".join(f"{path} {value:.2f} dB" for path, value in verdict.psnr16.items())
    agreement = ", ".join(f"{pair} {share:.2f} %" for pair, share in verdict.agreement.items())
    outcome = "passed" if verdict.passed else "FAILED"
    return (
        f"mean PSNR16 over {verdict.tiles} tiles: {psnr}\nindices that agree: {agreement}\n"
        f"int8 may cost {LARGEST_LOSS_DB} dB: {outcome}"
    )
