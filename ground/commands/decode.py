"""Command `decode`: recordings of a pass to products, masks included."""

import argparse
from collections import ChainMap, Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ground.commands.dump import exit_code, write_dump
from ground.commands.image import write_image
from ground.commands.options import (
    add_recording_options,
    bundle_path,
    given_bindings,
    given_models,
    given_wanted,
)
from ground.commands.part import add_part_options, asks_for_part, write_part
from ground.decode.choice import Candidate, best_first
from ground.decode.dump import KEYS
from ground.products.kinds import product_of
from ground.products.stac import item_path
from ground.station.recording import Pass, open_recording, read_pass
from onboard.commands.commandline import Commands, add_json_option, print_result, warn
from onboard.commands.options import bundle_files
from onboard.errors import BundleError, LimitError, StreamError, UsageError
from onboard.link.binding import Encoding
from onboard.outputs import refuse_overwriting

_MOST_NAMED = 5

Outputs = tuple[Path | None, Path | None]
"""Where image and dump go."""

_EXAMPLES = """\
examples:
  python -m ground decode scene.sky -o scene.tif --quicklook scene.png
  python -m ground decode scene.sky -o scene.zarr --stac
  python -m ground decode scene.sky -o corner.tif --window 0,0,512,512 --index
  python -m ground decode scene.sky -o small.tif --overview 16
  python -m ground decode station1.pkt station2.pkt late.pkt --scene-id 7 -o scene.tif
  python -m ground decode scene.sky --dump symbols.npz"""


def add_decode_command(commands: Commands) -> None:
    """Add `decode`."""
    decode = commands.add_parser(
        "decode",
        help="decode what was received to an image and a mask: GeoTIFF, NetCDF or Zarr",
        epilog=f"{_EXAMPLES}\n\n{KEYS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recording_options(decode)
    _add_output_options(decode)
    decode.add_argument("--scene-id", type=int, help="scene to decode, if there are several")
    decode.add_argument(
        "--all-scenes",
        action="store_true",
        help="decode each scene, to OUTPUT-ID.tif (NPZ-ID.npz); where one has several encodings, "
        "each of them, to OUTPUT-ID-RUN.tif",
    )
    add_part_options(decode)
    decode.add_argument(
        "--threads",
        type=int,
        default=2,
        help="tiles decoded at once; all but one code blocks of a GeoTIFF beside (2)",
    )
    _add_picture_options(decode)
    add_json_option(decode)
    decode.set_defaults(run=_decode)


def _add_output_options(decode: argparse.ArgumentParser) -> None:
    decode.add_argument(
        "-o",
        "--output",
        type=Path,
        help="what to write: a cloud-optimised GeoTIFF (.tif), NetCDF-CF (.nc) or a GeoZarr folder "
        "(.zarr, Zarr v3)",
    )
    decode.add_argument(
        "--stac",
        action="store_true",
        help="write a STAC item beside the output, too: OUTPUT.stac.json",
    )
    decode.add_argument(
        "--linear",
        action="store_true",
        help="leave the image as the bundle alone gives it, without the decoder graph: "
        "SPEC.md, section 12 (coder rans)",
    )
    decode.add_argument(
        "--quality",
        choices=("fast", "standard", "best"),
        help="grade of the image: fast is --linear; standard, the decoder graph, is the default; "
        "best is its mean over the image mirrored and turned: 8 times its time (coder rans)",
    )
    decode.add_argument(
        "--dump",
        type=Path,
        metavar="NPZ",
        help="write symbols or indices, step codes, tile states and what arrived, see below; "
        "needs no decoder graph, and no -o",
    )


def _add_picture_options(decode: argparse.ArgumentParser) -> None:
    decode.add_argument("--original", type=Path, help="GeoTIFF to compare with")
    decode.add_argument("--quicklook", type=Path, help="PNG to write")
    decode.add_argument(
        "--rgb",
        type=Path,
        metavar="TIF",
        help="GeoTIFF to write of the red, green and blue of a Bayer mosaic, demosaiced (OpenCV)",
    )
    decode.add_argument("--gain", type=float, default=8.0, help="gain of the error panel")


def _decode(arguments: argparse.Namespace) -> int:
    if arguments.linear and arguments.quality in ("standard", "best"):
        raise UsageError(f"--linear: expected no --quality {arguments.quality}")
    arguments.linear |= arguments.quality == "fast"
    _check_outputs(arguments)
    images = {"-o": arguments.output, "--rgb": arguments.rgb}
    _refuse_overwriting(arguments, images, {"--dump": arguments.dump})
    _check_suffix("--dump", arguments.dump, ".npz")
    _check_suffix("--quicklook", arguments.quicklook, ".png")
    if asks_for_part(arguments):
        if arguments.quality == "best":
            raise UsageError("--quality best: expected no --window and no --overview")
        result, text, reasons = write_part(arguments)
        print_result(result, text, arguments.json)
        return exit_code(reasons)
    if arguments.all_scenes and (arguments.original or arguments.quicklook or arguments.rgb):
        raise UsageError("--all-scenes: expected neither --original, --quicklook nor --rgb")
    if arguments.all_scenes and arguments.scene_id is not None:
        raise UsageError("--all-scenes: expected no --scene-id")
    recordings = [open_recording(path) for path in arguments.input]
    received = read_pass(recordings, arguments.apid, given_bindings(arguments))
    length = sum(path.stat().st_size for path in arguments.input)
    if arguments.all_scenes and len(received.encodings) > 1:
        return _decode_all(arguments, received, length)
    encoding, others = _choose(arguments, received)
    outputs = arguments.output, arguments.dump
    result, text, reasons = _decode_scene(arguments, received, encoding, outputs, length)
    tags = given_models(arguments)
    result["left_out"] = [received.heard[c.encoding].as_dict(c.encoding, tags) for c in others]
    print_result(result, text, arguments.json)
    pictures = [other for other in others if other.has_pixels]
    empty = [other for other in others if not other.has_pixels]
    warn(arguments.input[0], _left_out(empty, received, tags))
    return exit_code(_left_out(pictures, received, tags) + reasons)


def _choose(arguments: argparse.Namespace, received: Pass) -> tuple[Encoding, list[Candidate]]:
    """Return the encoding to decode, the better one of the scene, and what is left out."""
    wanted = arguments.scene_id, arguments.encoding_run
    encodings = received.of_one_scene(*wanted, given_models(arguments))
    if len(encodings) == 1:
        return encodings[0], []
    best, *others = best_first(
        {encoding: received.of(encoding) for encoding in encodings},
        lambda encoding: bundle_path(arguments, received, encoding),
        given_wanted(arguments),
    )
    return best.encoding, others


def _left_out(others: Sequence[Candidate], received: Pass, tags: Collection[bytes]) -> list[str]:
    """Return what to say of encodings that are not decoded; of many, the best are named."""
    said = []
    for other in others[:_MOST_NAMED]:
        heard = received.heard[other.encoding]
        run = heard.run(other.encoding, tags)
        how = f"; --run {run} decodes it" if run else ""
        name = heard.text(other.encoding, tags)
        said.append(f"another encoding is left out: {name}, {other.share}{how}")
    if (more := len(others) - _MOST_NAMED) > 0:
        said.append(f"{more} more encodings are left out, see --json")
    return said


def _decode_all(arguments: argparse.Namespace, received: Pass, length: int) -> int:
    """Decode each encoding; one that cannot be decoded does not stop the others."""
    results, texts, problems = [], [], []
    tags = given_models(arguments)
    outputs = _outputs(arguments, received, tags)
    names = {encoding: received.heard[encoding].text(encoding, tags) for encoding in outputs}
    _refuse_overwriting(
        arguments,
        {f"-o, {names[e]}:": image for e, (image, _) in outputs.items()},
        {f"--dump, {names[e]}:": dump for e, (_, dump) in outputs.items()},
    )
    for encoding, paths in outputs.items():
        if sum(other.scene_id == encoding.scene_id for other in outputs) > 1:
            to = paths[0] or paths[1]
            problems.append(f"{names[encoding]}: one of several encodings, to {to}")
        try:
            result, text, reasons = _decode_scene(arguments, received, encoding, paths, length)
        except (StreamError, BundleError, LimitError) as error:
            problems.append(f"{names[encoding]}: {error}")
            continue
        results.append(result)
        texts.append(text)
        problems += [f"{names[encoding]}: {reason}" for reason in reasons]
    print_result({"scenes": results}, "\n".join(texts), arguments.json)
    return exit_code(problems)


def _outputs(
    arguments: argparse.Namespace, received: Pass, tags: Collection[bytes]
) -> dict[Encoding, Outputs]:
    """Return where each encoding goes: OUTPUT-ID, and OUTPUT-ID-RUN where a scene has several."""
    outputs = {}
    encodings = received.wanted(None, arguments.encoding_run, tags)
    counts = Counter(encoding.scene_id for encoding in encodings)
    for encoding in encodings:
        run = received.heard[encoding].run(encoding, tags)
        name = encoding.binding.hex() if run is None else run
        end = f"-{encoding.scene_id}" + f"-{name}" * (counts[encoding.scene_id] > 1)
        outputs[encoding] = _with_end(arguments.output, end), _with_end(arguments.dump, end)
    return outputs


def _with_end(path: Path | None, end: str) -> Path | None:
    return None if path is None else path.with_stem(f"{path.stem}{end}")


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse outputs that are none, and options that have nothing to work on."""
    if arguments.output:
        product_of(arguments.output)
    elif not arguments.dump:
        raise UsageError("decode: expected -o OUTPUT, --dump FILE.npz or both")
    elif any((arguments.linear, arguments.original, arguments.quicklook, arguments.rgb)):
        raise UsageError("--linear, --original, --quicklook, --rgb: expected -o, too")
    elif arguments.stac:
        raise UsageError("--stac: expected -o, too")
    if arguments.rgb:
        product_of(arguments.rgb)


def _check_suffix(option: str, path: Path | None, suffix: str) -> None:
    """Refuse a name that says the file is of another kind than it will be."""
    if path and path.suffix.lower() != suffix:
        raise UsageError(f"{option} {path}: expected a file name in {suffix}")


def _refuse_overwriting(
    arguments: argparse.Namespace,
    outputs: Mapping[str, Path | None],
    dumps: Mapping[str, Path | None],
) -> None:
    """Refuse to write over an input, over a file twice, or a mask over what is no mask.

    Args:
        arguments: of the command line.
        outputs: image to write by the option that names it; its mask goes beside it.
        dumps: dump to write by the option that names it.

    Raises:
        UsageError: naming the output.
    """
    images = {option: image for option, image in outputs.items() if image}
    beside = {
        f"{what} of {option}": file
        for option, image in images.items()
        for what, file in product_of(image).files_of(image).items()
    }
    items = {f"--stac, {o}": item_path(image) for o, image in images.items() if arguments.stac}
    others = {"--quicklook": arguments.quicklook, "--json": arguments.json}
    models = [*bundle_files(arguments.bundle), arguments.profile]
    inputs = [*arguments.input, arguments.original, *models]
    refuse_overwriting({**images, **beside, **items, **dumps, **others}, inputs)
    for image in images.values():
        product_of(image).check_place(image)


def _decode_scene(
    arguments: argparse.Namespace,
    received: Pass,
    encoding: Encoding,
    outputs: Outputs,
    length: int,
) -> tuple[dict[str, Any], str, list[str]]:
    """Write image and dump of an encoding; return figures, a text, and why it is not complete.

    Where there is an image, it says what is complete.
    """
    image, dump = outputs
    done = []
    if image:
        done.append(write_image(arguments, received, encoding, image, length))
    if dump:
        done.append(write_dump(arguments, received, encoding, dump, length))
    results, texts, reasons = zip(*done, strict=True)
    return dict(ChainMap(*results)), "\n".join(texts), reasons[0]
