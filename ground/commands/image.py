"""What `decode -o` writes: image, mask and quicklook."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ground import metrics
from ground.commands.dump import reasons_of
from ground.commands.options import bundle_path
from ground.commands.progress import progress_bar
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.products import geotiff
from ground.products.geotiff import mask_path
from ground.products.kinds import product_of
from ground.station.recording import Pass
from onboard.link.binding import Encoding


def write_image(
    arguments: argparse.Namespace, received: Pass, encoding: Encoding, output: Path, length: int
) -> tuple[dict[str, Any], str, list[str]]:
    """Decode and write an encoding; return figures, a text, and why it is not complete."""
    path = bundle_path(arguments, received, encoding)
    decoder = Decoder(path, arguments.threads, arguments.linear)
    with progress_bar(f"decoding scene {encoding.scene_id}") as report:
        decoded = decoder.decode_segments(
            received.of(encoding),
            encoding.scene_id,
            arguments.width,
            arguments.max_pixels,
            report,
            bands=arguments.bands,
        )
    mask = mask_path(output)
    reasons = product_of(output)(output, decoded.scene, decoded.mask)
    heard = received.heard[encoding].as_dict(encoding, [decoder.bundle.tag])
    result = {**heard, **_result(decoded, decoder.bundle.name, length)}
    result["linear"] = arguments.linear
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
    if not decoded.complete:
        lost = np.isin(decoded.mask, (Mask.CONCEALED, Mask.FINE_MISSING)).any()
        reasons += reasons_of(decoded.reception, "the mask" * bool(lost))
    return result, text, reasons


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
    bundle = result["bundle"] + ", linear" * result["linear"]
    return (
        f"{output}: {bands} bands, {rows} x {cols} ({bundle}, run {result['run']}); "
        f"segments: {segments}\n"
        f"{mask}: {shares} (ring of {result['ring']} pixels around losses)"
    )


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
