"""Command `profile`: a spectral profile of a sensor's earlier images."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from ground.products import geotiff
from ground.scene import Scene
from ground.train.profile.moments import PIXELS_A_BAND
from ground.train.profile.trial import BITS, Trial, learn
from onboard import bundle as bundles
from onboard.bundle.profiles import SUFFIX, pack_profile
from onboard.codec.profile import LEAST_BANDS, MOST_BANDS
from onboard.commands.commandline import Commands, add_json_option, print_result, progress_bar
from onboard.commands.rawinput import RawForm, add_raw_options
from onboard.errors import BundleError, InputError, UsageError
from onboard.image.files import read_npy
from onboard.outputs import open_whole, refuse_overwriting

NOT_BETTER = BundleError.exit_code
"""Exit code where nothing is written because nothing is gained."""
_DEFAULT = "skybook"


def add_profile_command(commands: Commands) -> None:
    """Add `profile`."""
    profile = commands.add_parser(
        "profile",
        help="make a spectral profile of your sensor's images: for more than 16 bands",
        description=f"Finds the components of {LEAST_BANDS} to {MOST_BANDS} bands in images of a "
        "sensor, codes images that were held back with and without them, and writes the profile "
        "if it needs fewer bytes at equal quality. One image of five is held back, of a single one "
        f"its last third of lines. Each band needs {PIXELS_A_BAND} pixels. Exit code {NOT_BETTER} "
        "if nothing is gained: then nothing is written. Then: onboard encode --profile FILE.",
        epilog="example: python -m ground profile pass1.bil pass2.bil -o camera.prof",
    )
    profile.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="GeoTIFF, .npy (bands, rows, cols), or raw (an ENVI header beside it is read)",
    )
    profile.add_argument("-o", "--output", type=Path, required=True, help=f"NAME{SUFFIX}")
    profile.add_argument(
        "--bundle", default=_DEFAULT, help="name or path, for the trial (default: %(default)s)"
    )
    add_raw_options(profile)
    add_json_option(profile)
    profile.set_defaults(run=_profile, bayer=None)


def _profile(arguments: argparse.Namespace) -> int:
    if arguments.output.suffix != SUFFIX:
        raise UsageError(f"-o {arguments.output}: expected NAME{SUFFIX}")
    path = bundles.find(arguments.bundle)
    outputs = {"-o": arguments.output, "--json": arguments.json}
    refuse_overwriting(outputs, [path, *arguments.files])
    scenes = [_read(arguments, file) for file in arguments.files]
    _check_alike(arguments.files, scenes)
    with progress_bar("encodes") as report:
        trial = learn(scenes, path, report)
    packed = pack_profile(trial.profile)
    if trial.better:
        with open_whole(arguments.output) as file:
            file.write(packed)
    result = {
        "written": trial.better,
        "change_percent": trial.change,
        "kind": trial.kind,
        "bands": trial.profile.bands,
        "sha256": trial.profile.sha256.hex(),
        "bytes": len(packed),
        "rows": [asdict(row) | {"change": row.change} for row in trial.rows],
    }
    print_result(result, _text(trial, arguments.output, len(packed)), arguments.json)
    return 0 if trial.better else NOT_BETTER


def _read(arguments: argparse.Namespace, path: Path) -> Scene:
    """Read an image; raw ones as the options say."""
    if path.suffix.lower() in (".tif", ".tiff"):
        scene = geotiff.read(path)
        nodata = scene.nodata if arguments.nodata is None else arguments.nodata
        scene = replace(scene, nodata=nodata)
    elif path.suffix == ".npy":
        scene = Scene(read_npy(path), arguments.nodata)
    else:
        form = RawForm.of(arguments, path)
        nodata = form.nodata if arguments.nodata is None else arguments.nodata
        scene = Scene(form.read(path), nodata, significant_bits=form.significant_bits)
    bits = arguments.significant_bits
    return scene if bits is None else replace(scene, significant_bits=bits)


def _check_alike(paths: list[Path], scenes: list[Scene]) -> None:
    """Refuse images that no profile fits, or not the same one."""
    forms = [(len(scene.image), scene.image.dtype) for scene in scenes]
    for path, form in zip(paths, forms, strict=True):
        if not LEAST_BANDS <= form[0] <= MOST_BANDS:
            raise InputError(
                f"{path}: expected {LEAST_BANDS}..{MOST_BANDS} bands (up to {LEAST_BANDS - 1} need "
                f"no profile), found {form[0]}"
            )
        if form != forms[0]:
            raise InputError(
                f"{path}: expected {forms[0][0]} bands of {forms[0][1]} as in {paths[0]}, found "
                f"{form[0]} of {form[1]}"
            )


def _text(trial: Trial, output: Path, length: int) -> str:
    lines = [
        f"held-back images, bytes at equal PSNR16; plain groups of 16 at {BITS[0]} to {BITS[-1]} "
        "bits a sample",
        f"{'bits':>6}{'PSNR16':>9}{'groups':>12}{'profile':>12}{'change':>11}",
    ]
    lines += [
        f"{row.bits:>6}{row.psnr16:>9.2f}{row.groups:>12.0f}{row.profile:>12.0f}"
        f"{row.change:>+9.1f} %"
        for row in trial.rows
    ]
    lines.append(f"on the whole {trial.change:+.1f} % (KLT of {trial.kind})")
    if trial.better:
        name = trial.profile.digest.hex()
        lines.append(f"{output}: written, {length} bytes, {trial.profile.bands} bands, {name}")
    else:
        lines.append(f"{output}: not written, since nothing is gained; stay with plain groups")
    return "\n".join(lines)
