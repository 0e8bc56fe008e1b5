"""Command `decode`: recordings of a pass to GeoTIFFs and their masks."""

import argparse
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ground import metrics
from ground.commands.options import (
    add_recording_options,
    bundle_path,
    given_bindings,
    given_models,
)
from ground.commands.progress import progress_bar
from ground.decode.choice import Candidate, best_first
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.products import geotiff
from ground.products.geotiff import is_mask, mask_path
from ground.products.kinds import product_of
from ground.station.recording import Pass, open_recording, read_pass
from onboard.commands.commandline import Commands, add_json_option, print_result, warn
from onboard.commands.options import bundle_files
from onboard.errors import BundleError, LimitError, StreamError, UsageError
from onboard.link.binding import Encoding
from onboard.outputs import refuse_overwriting


def add_decode_command(commands: Commands) -> None:
    """Add `decode`."""
    decode = commands.add_parser(
        "decode",
        help="decode what was received to a GeoTIFF and a mask band",
        epilog="examples: python -m ground decode scene.sky -o scene.tif --quicklook scene.png; "
        "python -m ground decode station1.pkt station2.pkt late.pkt --scene-id 7 -o scene.tif",
    )
    add_recording_options(decode)
    decode.add_argument("-o", "--output", type=Path, required=True, help="GeoTIFF to write")
    decode.add_argument("--scene-id", type=int, help="scene to decode, if there are several")
    decode.add_argument(
        "--all-scenes",
        action="store_true",
        help="decode each scene, to OUTPUT-ID.tif; where one has several encodings, each of them, "
        "to OUTPUT-ID-RUN.tif",
    )
    decode.add_argument("--threads", type=int, default=2, help="tiles decoded at once (default 2)")
    decode.add_argument("--original", type=Path, help="GeoTIFF to compare with")
    decode.add_argument("--quicklook", type=Path, help="PNG to write")
    decode.add_argument("--gain", type=float, default=8.0, help="gain of the error panel")
    add_json_option(decode)
    decode.set_defaults(run=_decode)


def _decode(arguments: argparse.Namespace) -> int:
    product_of(arguments.output)
    _refuse_overwriting(arguments, {"-o": arguments.output})
    if arguments.all_scenes and (arguments.original or arguments.quicklook):
        raise UsageError("--all-scenes: expected neither --original nor --quicklook")
    if arguments.all_scenes and arguments.scene_id is not None:
        raise UsageError("--all-scenes: expected no --scene-id")
    recordings = [open_recording(path) for path in arguments.input]
    received = read_pass(recordings, arguments.apid, given_bindings(arguments))
    length = sum(path.stat().st_size for path in arguments.input)
    if arguments.all_scenes and len(received.encodings) > 1:
        return _decode_all(arguments, received, length)
    encoding, others = _choose(arguments, received)
    result, text, reasons = _decode_scene(arguments, received, encoding, arguments.output, length)
    tags = given_models(arguments)
    result["left_out"] = [received.heard[c.encoding].as_dict(c.encoding, tags) for c in others]
    print_result(result, text, arguments.json)
    said = {other: _left_out(other, received, tags) for other in others}
    warn(arguments.input[0], [said[other] for other in others if not other.has_pixels])
    return _exit_code([*(said[other] for other in others if other.has_pixels), *reasons])


def _choose(arguments: argparse.Namespace, received: Pass) -> tuple[Encoding, list[Candidate]]:
    """Return the encoding to decode, the better one of the scene, and what is left out."""
    wanted = arguments.scene_id, arguments.encoding_run
    encodings = received.of_one_scene(*wanted, given_models(arguments))
    if len(encodings) == 1:
        return encodings[0], []
    best, *others = best_first(
        {encoding: received.of(encoding) for encoding in encodings},
        lambda encoding: bundle_path(arguments, received, encoding),
        arguments.width,
        arguments.max_pixels,
    )
    return best.encoding, others


def _left_out(other: Candidate, received: Pass, tags: Collection[bytes]) -> str:
    """Return what to say of an encoding that is not decoded."""
    heard = received.heard[other.encoding]
    run = heard.run(other.encoding, tags)
    how = f"; --run {run} decodes it" if run else ""
    name = heard.text(other.encoding, tags)
    return f"another encoding is left out: {name}, {other.share}{how}"


def _decode_all(arguments: argparse.Namespace, received: Pass, length: int) -> int:
    """Decode each encoding; one that cannot be decoded does not stop the others."""
    results, texts, problems = [], [], []
    tags = given_models(arguments)
    outputs = _outputs(arguments, received, tags)
    names = {encoding: received.heard[encoding].text(encoding, tags) for encoding in outputs}
    _refuse_overwriting(arguments, {f"-o, {names[e]}:": path for e, path in outputs.items()})
    for encoding, output in outputs.items():
        if sum(other.scene_id == encoding.scene_id for other in outputs) > 1:
            problems.append(f"{names[encoding]}: one of several encodings, to {output}")
        try:
            result, text, reasons = _decode_scene(arguments, received, encoding, output, length)
        except (StreamError, BundleError, LimitError) as error:
            problems.append(f"{names[encoding]}: {error}")
            continue
        results.append(result)
        texts.append(text)
        problems += [f"{names[encoding]}: {reason}" for reason in reasons]
    print_result({"scenes": results}, "\n".join(texts), arguments.json)
    return _exit_code(problems)


def _outputs(
    arguments: argparse.Namespace, received: Pass, tags: Collection[bytes]
) -> dict[Encoding, Path]:
    """Return where each encoding goes: OUTPUT-ID, and OUTPUT-ID-RUN where a scene has several."""
    stem = arguments.output.stem
    outputs = {}
    encodings = received.wanted(None, arguments.encoding_run, tags)
    counts = Counter(encoding.scene_id for encoding in encodings)
    for encoding in encodings:
        run = received.heard[encoding].run(encoding, tags)
        name = encoding.binding.hex() if run is None else run
        end = f"-{name}" if counts[encoding.scene_id] > 1 else ""
        outputs[encoding] = arguments.output.with_stem(f"{stem}-{encoding.scene_id}{end}")
    return outputs


def _refuse_overwriting(arguments: argparse.Namespace, images: Mapping[str, Path]) -> None:
    """Refuse to write over an input, over a file twice, or a mask over what is no mask.

    Args:
        arguments: of the command line.
        images: image to write by the option that names it; its mask goes beside it.

    Raises:
        UsageError: naming the output.
    """
    masks = {f"mask of {option}": mask_path(image) for option, image in images.items()}
    others = {"--quicklook": arguments.quicklook, "--json": arguments.json}
    inputs = [*arguments.input, arguments.original, *bundle_files(arguments.bundle)]
    refuse_overwriting({**images, **masks, **others}, inputs)
    for image in images.values():
        mask = mask_path(image)
        if mask.exists() and not is_mask(mask):
            raise UsageError(f"-o {image}: its mask {mask} is there and is none, expected no file")


def _exit_code(reasons: Sequence[str]) -> int:
    """Say on stderr why something is not complete; return the exit code."""
    if not reasons:
        return 0
    print(f"error {StreamError.code}: incomplete: {'; '.join(reasons)}", file=sys.stderr)
    return StreamError.exit_code


def _decode_scene(
    arguments: argparse.Namespace, received: Pass, encoding: Encoding, output: Path, length: int
) -> tuple[dict[str, Any], str, list[str]]:
    """Decode and write an encoding; return its figures, a text, and why it is not complete."""
    decoder = Decoder(bundle_path(arguments, received, encoding), arguments.threads)
    with progress_bar(f"decoding scene {encoding.scene_id}") as report:
        decoded = decoder.decode_segments(
            received.of(encoding),
            encoding.scene_id,
            arguments.width,
            arguments.max_pixels,
            report,
        )
    mask = mask_path(output)
    reasons = product_of(output)(output, decoded.scene, decoded.mask)
    heard = received.heard[encoding].as_dict(encoding, [decoder.bundle.tag])
    result = {**heard, **_result(decoded, decoder.bundle.name, length)}
    text = _text(result, output, mask)
    if arguments.original:
        original = geotiff.read(arguments.original).image
        valid = decoded.mask != Mask.NODATA
        if valid.any():
            result["psnr16"] = metrics.psnr(
                original, decoded.scene.image, metrics.PEAK_16_BIT, valid
            )
            text += f"\nPSNR16 {result['psnr16']:.2f} dB"
    if arguments.quicklook:
        _quicklook(arguments, decoded, result)
    return result, text, reasons if decoded.complete else reasons + _reasons(decoded)


def _result(decoded: Decoded, name: str, length: int) -> dict[str, Any]:
    pixels = decoded.mask.size
    return {
        "bundle": name,
        "bytes": length,
        "complete": decoded.complete,
        "shape": list(decoded.scene.image.shape),
        "segments": dict(decoded.reception.counts),
        "mask_percent": {
            m.name.lower(): 100 * np.count_nonzero(decoded.mask == m) / pixels for m in Mask
        },
        "ring": decoded.halo,
    }


def _text(result: dict[str, Any], output: Path, mask: Path) -> str:
    shares = ", ".join(
        f"{name.replace('_', ' ')} {share:.2f} %"
        for name, share in result["mask_percent"].items()
        if share
    )
    segments = ", ".join(f"{count} {what}" for what, count in result["segments"].items() if count)
    bands, rows, cols = result["shape"]
    return (
        f"{output}: {bands} bands, {rows} x {cols} ({result['bundle']}, run {result['run']}); "
        f"segments: {segments}\n"
        f"{mask}: {shares} (ring of {result['ring']} pixels around losses)"
    )


def _reasons(decoded: Decoded) -> list[str]:
    """Say why a decode is not complete, in words."""
    reasons = list(decoded.reception.problems)
    if decoded.reception.header is None:
        reasons.append("no scene header arrived, samples are taken as u16")
    if decoded.reception.end is None:
        reasons.append("no end segment arrived")
    if (decoded.mask == Mask.CONCEALED).any() or (decoded.mask == Mask.FINE_MISSING).any():
        reasons.append("some segments are missing, see the mask")
    return reasons


def _quicklook(arguments: argparse.Namespace, decoded: Decoded, result: dict[str, Any]) -> None:
    from ground.products.quicklook import quicklook  # noqa: PLC0415 (pillow is loaded only here)

    original = geotiff.read(arguments.original).image if arguments.original else None
    caption = f"{result['bundle']}, {result['bytes']} bytes"
    if "psnr16" in result:
        caption += f", PSNR16 {result['psnr16']:.2f} dB"
    quicklook(
        arguments.quicklook,
        original,
        decoded.scene.image,
        decoded.mask,
        arguments.gain,
        rgb=decoded.scene.rgb,
        caption=caption,
    )
