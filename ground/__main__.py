"""Command line of the ground: encode, decode, scene, train."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID

from ground import geotiff, metrics
from ground.decoder import Decoded, Decoder, Mask, find_bundle
from ground.quicklook import quicklook
from ground.scenes import procedural, spyndex_scene
from onboard import bundle as bundles
from onboard.__main__ import add_encode_options, cuc_time, encode_text, encode_to_file
from onboard.commandline import add_json_option, command_parser, print_result, run_command
from onboard.encoder import Encoder
from onboard.errors import InputError, StreamError, UsageError
from onboard.tiling import DEFAULT_MAX_PIXELS


def _encode(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    scene = geotiff.read(arguments.input)
    encoder = Encoder(bundle, arguments.engine, arguments.threads)
    header = replace(scene.header(), start_time=cuc_time(arguments.start_time))
    result = encode_to_file(encoder, scene.image, header, arguments)
    print_result(result, encode_text(result, arguments.output), arguments.json)
    return 0


def _decode(arguments: argparse.Namespace) -> int:
    try:
        stream = arguments.input.read_bytes()
    except OSError as error:
        raise InputError(f"{arguments.input}: cannot be read: {error.strerror}") from error
    path = bundles.find(arguments.bundle) if arguments.bundle else find_bundle(stream)
    decoder = Decoder(path, arguments.threads)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("decoding")
        decoded = decoder.decode(
            stream,
            arguments.scene_id,
            arguments.width,
            arguments.max_pixels,
            lambda done, of: progress.update(task, completed=done, total=of),
        )
    mask_path = arguments.output.with_suffix(".mask.tif")
    reasons = _write(arguments.output, mask_path, decoded)
    result = _decode_result(decoded, decoder.bundle.name, len(stream))
    text = _decode_text(result, arguments.output, mask_path)
    if arguments.original:
        original = geotiff.read(arguments.original).image
        valid = decoded.mask != Mask.NODATA
        if valid.any():
            result["psnr16"] = metrics.psnr(original, decoded.scene.image, 65_535, valid)
            text += f"\nPSNR16 {result['psnr16']:.2f} dB"
    if arguments.quicklook:
        _quicklook(arguments, decoded, result)
    print_result(result, text, arguments.json)
    reasons += [] if decoded.complete else _reasons(decoded)
    if reasons:
        print(f"error {StreamError.code}: incomplete: {'; '.join(reasons)}", file=sys.stderr)
        return StreamError.exit_code
    return 0


def _write(path: Path, mask_path: Path, decoded: Decoded) -> list[str]:
    """Write image and mask; what a GeoTIFF cannot hold is left out and said."""
    reasons = []
    try:
        geotiff.write(path, decoded.scene)
        scene = decoded.scene
    except InputError as error:
        reasons.append(f"written without CRS and band ids: {error}")
        scene = replace(decoded.scene, crs=None, band_ids=())
        geotiff.write(path, scene)
    geotiff.write_mask(mask_path, decoded.mask, scene)
    return reasons


def _decode_result(decoded: Decoded, name: str, length: int) -> dict[str, Any]:
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
        "ring": decoded.ring,
    }


def _decode_text(result: dict[str, Any], output: Path, mask: Path) -> str:
    shares = ", ".join(
        f"{name.replace('_', ' ')} {share:.2f} %"
        for name, share in result["mask_percent"].items()
        if share
    )
    segments = ", ".join(f"{count} {what}" for what, count in result["segments"].items() if count)
    bands, rows, cols = result["shape"]
    return (
        f"{output}: {bands} bands, {rows} x {cols} ({result['bundle']}); segments: {segments}\n"
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
        caption=caption,
    )


def _scene(arguments: argparse.Namespace) -> int:
    if arguments.name == "spyndex":
        scene = spyndex_scene()
    else:
        scene = procedural(arguments.seed, arguments.rows, arguments.cols)
    geotiff.write(arguments.output, scene)
    bands, rows, cols = scene.image.shape
    print(f"{arguments.output}: {bands} bands, {rows} x {cols}, {scene.image.dtype}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    try:
        from ground.recipe import Recipe, find_recipe, kind_of  # noqa: PLC0415
        from ground.train import Progress as Line  # noqa: PLC0415 (torch is loaded only here)
        from ground.train import train  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs torch: pip install 'skybook[train]' ({error})") from error
    changes = {
        key: getattr(arguments, key)
        for key in ("codewords", "steps", "seed", "start_from")
        if getattr(arguments, key) is not None
    }
    path = find_recipe(arguments.recipe)
    if kind_of(path) == "lapped":
        return _train_lapped(arguments, path, changes)
    recipe = Recipe.read(path, **changes)
    output = arguments.output or Path("runs") / f"{recipe.name}-{recipe.codewords}"
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(recipe.name, total=recipe.steps)

        def report(step: int, line: Line | None) -> None:
            progress.update(task, completed=step)
            if line is not None:
                console.print(
                    f"step {line.step}: training error {line.loss_db:.2f} dB, validation PSNR16 "
                    f"{line.validation_psnr16:.2f} dB, perplexity {line.perplexity}, "
                    f"codewords used {line.used}"
                )

        train(recipe, arguments.data, output, report)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0


def _train_lapped(arguments: argparse.Namespace, path: Path, changes: dict[str, Any]) -> int:
    from ground.lappedtrain import LappedRecipe, train  # noqa: PLC0415 (torch is loaded only here)
    from ground.train import train_items  # noqa: PLC0415

    recipe = LappedRecipe.read(path, **changes)
    output = arguments.output or Path("runs") / recipe.name
    console = Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=steps)
            progress.update(tasks[stage], completed=step)
            if step % 500 == 0 or step == steps:
                console.print(f"{stage}: step {step} of {steps}, loss {loss:.4f}")

        train(recipe, train_items(arguments.data)[0], output, report)
    print(f"{output}: checkpoint.pt, log.jsonl")
    return 0


def _add_encode(commands: Any) -> None:
    encode = commands.add_parser(
        "encode",
        help="encode a GeoTIFF with the onboard encoder",
        epilog="example: python -m ground encode scene.tif --bundle corsa-2level-1024 -o scene.sky",
    )
    encode.add_argument("input", type=Path, help="GeoTIFF, uint8, uint16 or int16")
    add_encode_options(encode)
    encode.set_defaults(run=_encode)


def _add_decode(commands: Any) -> None:
    decode = commands.add_parser(
        "decode",
        help="decode a stream to a GeoTIFF and a mask band",
        epilog="example: python -m ground decode scene.sky -o scene.tif --quicklook scene.png",
    )
    decode.add_argument("input", type=Path, help="stream (.sky)")
    decode.add_argument("-o", "--output", type=Path, required=True, help="GeoTIFF to write")
    decode.add_argument("--bundle", help="name or path; default: the known one the stream names")
    decode.add_argument("--scene-id", type=int, help="scene to decode; default: the first")
    decode.add_argument("--width", type=int, help="columns, needed only without a scene header")
    decode.add_argument("--max-pixels", type=int, default=DEFAULT_MAX_PIXELS)
    decode.add_argument("--threads", type=int, default=2, help="tiles decoded at once (default 2)")
    decode.add_argument("--original", type=Path, help="GeoTIFF to compare with")
    decode.add_argument("--quicklook", type=Path, help="PNG to write")
    decode.add_argument("--gain", type=float, default=8.0, help="gain of the error panel")
    add_json_option(decode)
    decode.set_defaults(run=_decode)


def _parser() -> argparse.ArgumentParser:
    parser, commands = command_parser("ground", __doc__)
    _add_encode(commands)
    _add_decode(commands)
    scene = commands.add_parser(
        "scene",
        help="write a test scene: the real spyndex one, or a procedural one",
        epilog="example: python -m ground scene spyndex -o scene.tif",
    )
    scene.add_argument("name", choices=("spyndex", "procedural"))
    scene.add_argument("-o", "--output", type=Path, required=True, help="GeoTIFF to write")
    scene.add_argument("--seed", type=int, default=0)
    scene.add_argument("--rows", type=int, default=512)
    scene.add_argument("--cols", type=int, default=512)
    scene.set_defaults(run=_scene)

    train = commands.add_parser(
        "train",
        help="train a model from a recipe; goes on where it was stopped",
        epilog="example: python -m ground train corsa-2level --data FOLDER -o runs/mine",
    )
    train.add_argument("recipe", help="name of a shipped recipe, or path of a .toml")
    train.add_argument("--data", type=Path, required=True, help="folder of scenes, see datasets")
    train.add_argument("-o", "--output", type=Path, help="folder (default runs/NAME-CODEWORDS)")
    train.add_argument("--start-from", help="checkpoint to take weights from, for the recipe's")
    train.add_argument("--codewords", type=int, help="codewords a level, instead of the recipe's")
    train.add_argument("--steps", type=int, help="steps, instead of the recipe's")
    train.add_argument("--seed", type=int, help="seed, instead of the recipe's")
    train.set_defaults(run=_train)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    return run_command(_parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
