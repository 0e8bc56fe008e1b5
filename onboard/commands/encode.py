"""Command `encode`: a whole image to a stream, and the options of every command that encodes."""

import argparse
import time
from dataclasses import replace
from functools import reduce
from itertools import chain
from operator import add
from pathlib import Path
from typing import Any

from onboard import bundle as bundles
from onboard.bundle.scrub import Scrub
from onboard.commands.commandline import Commands, peak_rss_mb, print_result, warn
from onboard.commands.options import (
    add_encode_options,
    bundle_files,
    cuc_time,
    encode_options,
    given_profile,
    order_remark,
    region_files,
)
from onboard.commands.rate import rate_figures, rate_remarks, rate_text
from onboard.commands.rawinput import RawForm, add_raw_options, raw_words, swap_remark
from onboard.downlink.recorder import Recorder
from onboard.encoder import Encoder, Options
from onboard.encoder.indices import open_encoder
from onboard.encoder.outcome import Outcome
from onboard.image.bayer import CELL, split
from onboard.image.files import Image, read_npy, sample_type
from onboard.link.header import SceneHeader
from onboard.outputs import open_output, refuse_overwriting


def add_encode_command(commands: Commands) -> None:
    """Add `encode`."""
    encode = commands.add_parser(
        "encode",
        help="encode an .npy or raw image",
        epilog="example: python -m onboard encode scene.bil --layout bil --bands 4 --width 2048 "
        "--bundle corsa-2level-1024 -o scene.sky",
    )
    encode.add_argument(
        "input",
        type=Path,
        help=".npy (bands, rows, cols), or a raw file (an ENVI header beside it is read)",
    )
    add_encode_options(encode)
    add_raw_options(encode)
    encode.set_defaults(run=_encode)


def encode_to_file(
    encoder: Encoder,
    image: Image,
    header: SceneHeader,
    options: Options,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Encode an image as the options say; return the figures of the run.

    The output grows under its own name: what was written stays.
    """
    named = *region_files(arguments), *bundle_files(arguments.bundle)
    outputs = {"-o": arguments.output, "--json": arguments.json}
    inputs = [arguments.input, arguments.profile, *named]
    refuse_overwriting(outputs, inputs)
    warn(arguments.input, swap_remark(image))
    recorder, outcome, seconds = _write(encoder, image, header, options, arguments.output)
    raw = image.size * image.dtype.itemsize
    figures = rate_figures(arguments, options, outcome, raw, recorder.bytes, header.peak)
    warn(arguments.output, rate_remarks(figures, options))
    bands, rows, cols = image.shape
    if header.bayer:
        bands, rows, cols = 1, CELL * rows, CELL * cols
    return {
        "bundle": encoder.bundle.name,
        "engine": encoder.engine_of(options),
        "run": recorder.run,
        "bands": bands,
        "rows": rows,
        "columns": cols,
        "sample_type": sample_type(image),
        "bayer": header.bayer,
        "bytes": recorder.bytes,
        "packets": recorder.packets,
        "raw_bytes": raw,
        "ratio": raw / recorder.bytes,
        **figures,
        "seconds": seconds,
        "mpixel_per_s": rows * cols / seconds / 1e6,
        "encoder_mac_per_pixel": encoder.bundle.macs_per_pixel,
        "peak_rss_mb": peak_rss_mb(),
    }


def _write(
    encoder: Encoder, image: Image, header: SceneHeader, options: Options, output: Path
) -> tuple[Recorder, Outcome, float]:
    """Encode an image into a file, which is made only once there is something to write.

    Returns:
        What was written, what became of the rate, and the seconds that it took.
    """
    scrub = Scrub(encoder.bundle, encoder.coder)
    begun = time.perf_counter()
    outcomes = [Outcome()]
    strips = encoder.strips(image, header, options, outcomes.append)
    first = next(strips)
    with open_output(output) as stream:
        recorder = Recorder(stream, options.packets, scrub, options.strips_at_once)
        for strip in chain([first], strips):
            recorder.record(strip)
        recorder.flush()
    return recorder, reduce(add, outcomes), time.perf_counter() - begun


def encode_text(result: dict[str, Any], output: Path) -> str:
    """Return the line that `encode` prints."""
    sides = f"{result['bands']} bands x {result['rows']} rows x {result['columns']} columns"
    kind = result["sample_type"] + (f" (Bayer {result['bayer']})" if result["bayer"] else "")
    parts = [
        f"{output}: run {result['run']}, {sides} of {kind}: {result['bytes']} "
        f"bytes, ratio {result['ratio']:.2f} of {result['raw_bytes']} raw",
        rate_text(result),
        f"{result['mpixel_per_s']:.2f} Mpixel/s ({result['engine']}), "
        f"{result['encoder_mac_per_pixel']} MAC/pixel, peak RSS {result['peak_rss_mb']:.0f} MB",
    ]
    return "; ".join(filter(None, parts))


def _encode(arguments: argparse.Namespace) -> int:
    bundle = bundles.load(arguments.bundle)
    path: Path = arguments.input
    form = None if path.suffix == ".npy" else RawForm.of(arguments, path)
    if form:
        refuse_overwriting({"-o": arguments.output, "--json": arguments.json}, form.files)
    image = form.read(path) if form else read_npy(path)
    words = raw_words(arguments, len(image), form)
    if arguments.bayer:
        image = split(image)
    header = SceneHeader.of(image, start_time=cuc_time(arguments.start_time), **words)
    remarks = form.remarks if form else []
    warn(path, [*remarks, *order_remark(bundle, header.band_ids)])
    bits = arguments.significant_bits
    if bits is None and form:
        bits = form.significant_bits
    if bits is not None:
        header = replace(header, significant_bits=bits)
    profile = given_profile(arguments)
    packets = arguments.output.suffix == ".pkt"
    asked = encode_options(arguments, arguments.rate_window, packets, header)
    engine = arguments.engine, arguments.threads
    encoder, options = open_encoder(bundle, header, asked, arguments.trellis, *engine, profile)
    result = encode_to_file(encoder, image, header, options, arguments)
    print_result(result, encode_text(result, arguments.output), arguments.json)
    return 0
