"""Command `fit`: a bundle fitted to the images of one's own camera."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from ground.decode.decoder import Decoder
from ground.scene import Scene
from ground.scenes.camera import Camera, read_camera
from ground.train.lapped.refit import CONTEXT_STEPS, bundle_of, fitted, write_bundle
from ground.train.lapped.trial import Trial, try_on
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.commands.commandline import Commands, add_json_option, print_result, progress_bar
from onboard.errors import BundleError, UsageError
from onboard.outputs import refuse_overwriting

NOT_BETTER = BundleError.exit_code
"""Exit code where nothing is written because nothing is gained."""
_MOST_TRIED = 512
"""Rows and columns of a held-back image that are coded."""
_DEFAULT = "skybook"


def add_fit_command(commands: Commands) -> None:
    """Add `fit`."""
    fit = commands.add_parser(
        "fit",
        help="fit a bundle to the images of your camera, in seconds or minutes",
        description="Fits the tables of a bundle to images, codes images that were held back with "
        "both, and writes the new bundle, and its decoder beside it, if it needs fewer bytes at "
        f"equal quality. Exit code {NOT_BETTER} if it does not: then nothing is written.",
        epilog="example: python -m ground fit FOLDER -o mine.skyb --contexts",
    )
    fit.add_argument("folder", type=Path, help="GeoTIFFs, or raw files with an ENVI header")
    fit.add_argument("-o", "--output", type=Path, required=True, help="NAME.skyb")
    fit.add_argument(
        "--bundle", default=_DEFAULT, help="name or path to start from (default: %(default)s)"
    )
    fit.add_argument(
        "--contexts",
        action="store_true",
        help="fit contexts before the tables: minutes instead of seconds; needs torch",
    )
    fit.add_argument(
        "--significant-bits", type=int, metavar="N", help="bits of a sample in use (as files tell)"
    )
    fit.add_argument("--seed", type=int, default=1, help="of all that is drawn (%(default)s)")
    add_json_option(fit)
    fit.set_defaults(run=_fit)


def _fit(arguments: argparse.Namespace) -> int:
    path = bundles.find(arguments.bundle)
    decoder_path = arguments.output.with_suffix(".onnx")
    if arguments.output.suffix != ".skyb":
        raise UsageError(f"-o {arguments.output}: expected NAME.skyb")
    outputs = {"-o": arguments.output, "the decoder": decoder_path, "--json": arguments.json}
    refuse_overwriting(outputs, [path])
    generic = bundles.load(arguments.bundle)
    LappedCodec.of(generic.codec)

    def tile(camera: Camera) -> int:
        return generic.for_scene(camera.bands, camera.bits).tile

    images = read_camera(arguments.folder, tile, arguments.significant_bits)
    if arguments.json != "-":
        print(images.told, flush=True)
    try:
        with progress_bar("contexts" if arguments.contexts else "tables") as report:
            model = fitted(
                generic,
                images.camera,
                images.training,
                CONTEXT_STEPS if arguments.contexts else 0,
                arguments.seed,
                report,
            )
    except ModuleNotFoundError as error:
        raise UsageError(f"contexts need torch: pip install 'skybook[train]' ({error})") from error
    told = {"fitted_from": generic.model_hash.hex(), "images": len(images.training)}
    new = bundle_of(model, generic, arguments.output.stem, told)
    trial = try_on([_middle(s) for s in images.held_back], generic, new, _decoder(path))
    if trial.better:
        write_bundle(arguments.output, new, path, generic)
    result = {"written": trial.better, "change_percent": trial.change, "camera": str(images.camera)}
    result |= {
        "images": images.told,
        "rows": [asdict(r) | {"change": r.change} for r in trial.rows],
    }
    print_result(result, _text(trial, arguments.output), arguments.json)
    return 0 if trial.better else NOT_BETTER


def _decoder(path: Path) -> Decoder:
    """Return the decoder of a bundle, without a network where it has none."""
    try:
        return Decoder(path)
    except BundleError:
        return Decoder(path, linear=True)


def _middle(scene: Scene) -> Scene:
    """Return the middle of a held-back image."""
    rows, cols = (
        slice(max(n - _MOST_TRIED, 0) // 2, max(n - _MOST_TRIED, 0) // 2 + _MOST_TRIED)
        for n in scene.image.shape[1:]
    )
    return replace(scene, image=scene.image[:, rows, cols])


def _text(trial: Trial, output: Path) -> str:
    lines = [
        "held-back images, bytes at equal quality",
        f"{'mode':<9}{'bits':>6}{'images':>8}{'PSNR16':>9}{'generic':>12}{'fitted':>12}{'change':>10}",
    ]
    lines += [
        f"{row.mode:<9}{row.bits:>6}{row.images:>8}{row.psnr16:>9.2f}{row.generic:>12.0f}"
        f"{row.fitted:>12.0f}{row.change:>+9.2f} %"
        for row in trial.rows
    ]
    lines.append(f"on the whole {trial.change:+.2f} %")
    if trial.better:
        lines.append(f"{output}: written; `ground decode --bundle {output}` reads its streams")
    else:
        lines.append(
            f"{output}: not written, since nothing is gained; stay with the generic bundle"
        )
    return "\n".join(lines)
