"""What `decode -o` writes: image, mask and quicklook."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground import metrics
from ground.commands.dump import reasons_of
from ground.commands.options import bundle_path, given_wanted
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.decode.rows import Decoding
from ground.products import geotiff
from ground.products.demosaic import demosaic
from ground.products.kinds import product_of
from ground.products.origin import Origin
from ground.products.stac import write_item
from ground.scene import Scene
from ground.station.recording import Pass
from onboard.bundle import Bundle
from onboard.commands.commandline import progress_bar
from onboard.encoder.quality import BLOCKS
from onboard.errors import UsageError
from onboard.image.files import Image
from onboard.link.binding import NO_RUN, Encoding
from onboard.link.resync import Damage
from onboard.link.segment import Segment


def write_image(
    arguments: argparse.Namespace, received: Pass, encoding: Encoding, output: Path, length: int
) -> tuple[dict[str, Any], str, list[str]]:
    """Decode and write an encoding; return figures, a text, and why it is not complete."""
    path = bundle_path(arguments, received, encoding)
    wanted = given_wanted(arguments)
    best = arguments.quality == "best"
    decoder = Decoder(path, arguments.threads, arguments.linear, best=best)
    segments = received.of(encoding)
    product = product_of(output)
    with progress_bar(f"decoding scene {encoding.scene_id}") as report:
        decode = partial(decoder.decode_segments, segments, wanted, report)
        decoded, origin, reasons = _written(arguments, decoder, segments, decode, output)
    if arguments.stac:
        reasons += write_item(output, product.files_of(output), decoded.scene, origin, decoded.mask)
    heard = received.heard[encoding].as_dict(encoding, [decoder.bundle.tag])
    result = {**heard, **_result(decoded, decoder.bundle.name, length)}
    result["linear"] = arguments.linear
    result["quality"] = "best" if best else "fast" if arguments.linear else "standard"
    text = _text(result, output, product.files_of(output).get("mask"))
    if arguments.original:
        original = geotiff.read(arguments.original).image
        valid = decoded.mask != Mask.NODATA
        if valid.any():
            image, peak = decoded.scene.image, decoded.scene.peak
            result["psnr16"] = metrics.psnr(original, image, metrics.PEAK_16_BIT, valid)
            result |= {"peak": peak, "psnr": metrics.psnr(original, image, peak, valid)}
            result["psnr16_of_blocks"] = {s: _of_blocks(original, image, s, valid) for s in BLOCKS}
            text += f"\n{_psnr_text(result)}"
    if arguments.quicklook:
        _quicklook(arguments, decoded, result)
    if arguments.rgb:
        shown = product_of(arguments.rgb)
        reasons += shown.write(arguments.rgb, rgb_of(decoded), decoded.mask, origin)
        text += f"\n{arguments.rgb}: red, green, blue, demosaiced by OpenCV"
    if not decoded.complete:
        lost = np.isin(decoded.mask, (Mask.CONCEALED, Mask.FINE_MISSING, Mask.SALVAGED)).any()
        reasons += reasons_of(decoded.reception, "the mask" * bool(lost))
    return result, text, reasons


def _written(
    arguments: argparse.Namespace,
    decoder: Decoder,
    segments: Sequence[Segment | Damage],
    decode: Callable[..., Decoded],
    output: Path,
) -> tuple[Decoded, Origin, list[str]]:
    """Decode and write a product, row by row where nothing needs the image whole.

    Returns:
        What came of it, what it says of that, and what was left out of it.
    """
    product = product_of(output)
    is_looked_at = arguments.original or arguments.quicklook or arguments.rgb
    if product.write_blocks is None or is_looked_at:
        decoded = decode()
        origin = _origin(decoded, decoder.bundle, segments, arguments.linear)
        return decoded, origin, product.write(output, decoded.scene, decoded.mask, origin)
    threads = arguments.threads
    rows = Decoding(lambda give: decode(give=give), threads > 1)

    def told() -> Origin:
        return _origin(rows.decoded, decoder.bundle, segments, arguments.linear)

    coders = max(1, threads - 1)  # one decodes
    _, reasons = product.write_blocks(output, rows.scene, rows, lambda: told().tags(None), coders)
    return rows.decoded, told(), reasons


def _of_blocks(
    original: Image, image: Image, side: int, valid: NDArray[np.bool_]
) -> dict[str, float] | None:
    """Return mean and deviation of the PSNR16, dB, of blocks of so many pixels a side.

    Blocks lie from the upper left corner, the last are cut; None if none differs anywhere.
    """
    squared = np.where(valid, np.square(original.astype(np.float64) - image), 0).mean(axis=0)
    sums = []
    for plane in (squared, valid.astype(np.float64)):
        rows, cols = (np.arange(0, size, side) for size in plane.shape)
        sums.append(np.add.reduceat(np.add.reduceat(plane, rows, axis=0), cols, axis=1))
    total, count = (part[sums[0] > 0] for part in sums)
    if not total.size:
        return None
    found = 10 * np.log10(metrics.PEAK_16_BIT**2 * count / total)
    return {"mean": float(found.mean()), "std": float(found.std())}


def _psnr_text(result: dict[str, Any]) -> str:
    """Return PSNR16 and, where its peak is another, the source's own."""
    text = f"PSNR16 {result['psnr16']:.2f} dB"
    if result["peak"] == metrics.PEAK_16_BIT:
        return text
    return f"{text}, PSNR {result['psnr']:.2f} dB of peak {result['peak']}"


def rgb_of(decoded: Decoded) -> Scene:
    """Return the colours of a Bayer mosaic.

    Raises:
        UsageError: the scene is none.
        EngineError: OpenCV is not installed.
    """
    scene = decoded.scene
    if scene.bayer is None:
        raise UsageError("--rgb: expected a Bayer mosaic, which the stream does not say it is")
    image = demosaic(scene.image, scene.bayer)
    image[:, decoded.mask == Mask.NODATA] = scene.nodata or 0
    colours = replace(scene.facts, colours=(3, 4, 5))
    names = ("red", "green", "blue")
    return replace(scene, image=image, band_ids=names, facts=colours, bayer=None)


def _origin(
    decoded: Decoded, bundle: Bundle, segments: Sequence[Segment | Damage], linear: bool
) -> Origin:
    """Return what a product says of the encoding that it was decoded from."""
    return Origin(
        bundle.name,
        bundle.model_hash.hex(),
        decoded.reception.scene_id or 0,
        decoded.reception.run or NO_RUN,
        sum(segment.size for segment in segments if isinstance(segment, Segment)),
        decoded.complete,
        linear,
        decoded.expected_psnr(decoded.scene.peak),
        decoded.scene.peak,
    )


def _result(decoded: Decoded, name: str, length: int) -> dict[str, Any]:
    pixels = decoded.mask.size
    return {
        "bundle": name,
        "bytes": length,
        "complete": decoded.complete,
        "shape": list(decoded.scene.image.shape),
        "bayer": decoded.scene.bayer,
        "segments": dict(decoded.reception.counts),
        "salvaged": decoded.reception.salvage.counts,
        "mask_percent": {
            m.name.lower(): 100 * np.count_nonzero(decoded.mask == m) / pixels for m in Mask
        },
        "ring": decoded.halo,
        "parts": _reached(decoded),
        "expected_psnr16_db": decoded.expected_psnr(metrics.PEAK_16_BIT),
        "expected_psnr_db": decoded.expected_psnr(decoded.scene.peak),
        "peak": decoded.scene.peak,
    }


def _reached(decoded: Decoded) -> dict[str, Any] | None:
    """Return which bounds on the error are kept where, of a scene in two parts."""
    header = decoded.reception.header
    if not decoded.reached:
        return None
    told = header.parts if header else None
    return {
        "first": str(told.first) if told else None,
        "both": str(told.both) if told else None,
        "tiles": len(decoded.reached),
        "tiles_both": sum(decoded.reached.values()),
        "first_alone": [tile for tile, both in sorted(decoded.reached.items()) if not both],
    }


def _parts_text(parts: dict[str, Any]) -> str:
    """Return in words which bounds on the error are kept where."""
    first, both = (
        "the first bound" if parts[name] is None else f"{parts[name]} DN"
        for name in ("first", "both")
    )
    alone, tiles = len(parts["first_alone"]), parts["tiles"]
    if not alone:
        return f"off by at most {both} in all {tiles} tiles"
    text = f"off by at most {first} in {alone} of {tiles} tiles"
    if alone < tiles:
        text += f", {both} in {tiles - alone}"
    return f"{text}; `ground missing --rest` asks for the rest"


def _text(result: dict[str, Any], output: Path, mask: Path | None) -> str:
    shares = ", ".join(
        f"{name.replace('_', ' ')} {share:.2f} %"
        for name, share in result["mask_percent"].items()
        if share
    )
    segments = ", ".join(f"{count} {what}" for what, count in result["segments"].items() if count)
    right, part = result["salvaged"].values()
    if right or part:
        segments += f"; salvaged: {right} put right, {part} in part"
    bands, rows, cols = result["shape"]
    parts = result["parts"]
    ring = "losses reach no other pixels"
    if result["ring"]:
        ring = f"ring of {result['ring']} pixels around losses"
    bundle = result["bundle"] + ", linear" * result["linear"]
    psnr = result["expected_psnr16_db"]
    expected = "" if psnr is None else f"; expected PSNR16 about {psnr:.0f} dB"
    return (
        f"{output}: {bands} bands, {rows} x {cols} ({bundle}, run {result['run']}); "
        f"segments: {segments}{expected}\n"
        f"{mask or 'its mask'}: {shares} ({ring})" + (f"\n{_parts_text(parts)}" if parts else "")
    )


def _quicklook(arguments: argparse.Namespace, decoded: Decoded, result: dict[str, Any]) -> None:
    from ground.products.quicklook import quicklook  # noqa: PLC0415 (pillow is loaded only here)

    original = geotiff.read(arguments.original).image if arguments.original else None
    caption = f"{result['bundle']}, {result['bytes']} bytes"
    if "psnr16" in result:
        caption += f", {_psnr_text(result)}"
    quicklook(
        arguments.quicklook,
        original,
        decoded.scene.image,
        decoded.mask,
        arguments.gain,
        rgb=decoded.scene.rgb,
        caption=caption,
    )
